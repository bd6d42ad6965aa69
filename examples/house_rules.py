"""House rules: hooks that tell the model a rule, block what is against it, and look at what goes out."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field

from core.ai_plugin_base import AIPluginBase, Block, Intercept, TurnContext, hook
from core.contracts.actions import ActionEnvelope
from core.contracts.deliveries import Delivery
from core.contracts.inputs import Input, Role


class HouseRules(AIPluginBase):
    """Keeps the rules of the house."""

    class Config(BaseModel):
        """`[plugins.house_rules]`."""

        forbidden: tuple[str, ...] = Field(default=("roll_dice",), description="Actions that only trainers may use.")
        names: dict[str, str] = Field(default_factory=dict, description="Words, and what is said in their place.")
        closed: bool = Field(default=False, description="Nobody but trainers is answered.")

    config: Config

    @hook("transform_input", priority=10)
    async def keep_closed(self, turn: TurnContext, input: Input) -> Intercept | None:
        """Answer that nobody is there, while the house is closed."""
        return Intercept("The house is closed.") if self.config.closed and turn.role is not Role.TRAINER else None

    @hook("extend_system_prompt")
    async def tell_rules(self, turn: TurnContext, prompt: str) -> str:
        """Let the model know what it should not try."""
        return f"{prompt}\n- Only trainers may use: {', '.join(self.config.forbidden) or 'nothing'}."

    @hook("before_action")
    async def forbid(self, turn: TurnContext, action: ActionEnvelope) -> Block | None:
        """Block what is forbidden, whatever the model thinks of it."""
        if action.type in self.config.forbidden and turn.role is not Role.TRAINER:
            return Block(f"{action.type} is against the rules of the house.")
        return None

    @hook("before_delivery")
    async def rename(self, turn: TurnContext, delivery: Delivery) -> Delivery | None:
        """Say other words in place of some."""
        text = delivery.text
        for word, other in self.config.names.items():
            text = text.replace(word, other)
        return replace(delivery, text=text) if text != delivery.text else None


PLUGIN_CLASS = HouseRules
