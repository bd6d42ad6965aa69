"""Message: what the assistant says. Plain text of a model stands for this action too."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.actions import MESSAGE_ACTION
from core.contracts.inputs import Address
from core.contracts.json import JsonObject

MAX_TEXT_CHARS = 100_000


class Message(AIPluginBase):
    """Sends text to a chat."""

    @action(
        name=MESSAGE_ACTION,
        effect="local",
        permission="anyone",
        repeatable=False,
        destination_field="to",
        phrases=["say {text}", "echo {text}", "repeat after me {text}"],
    )
    async def message(
        self,
        ctx: ActionContext,
        text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, description="CommonMark")],
        to: Annotated[
            str | None,
            Field(description="another chat: interface:chat_id[/thread_id]"),
        ] = None,
    ) -> None:
        """Send a message to the current chat, or to another one."""
        ctx.send(text, to=Address.parse(to) if to else None)

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        """Refuse an empty text, and an address that cannot be read."""
        complaints = []
        if not payload["text"].strip():
            complaints.append("text is empty: write what to say.")
        to = payload.get("to")
        if to is not None:
            try:
                Address.parse(to)
            except ValueError as error:
                complaints.append(f"to: {error}.")
        return complaints


PLUGIN_CLASS = Message
