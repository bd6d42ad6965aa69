import random

from core.ai_plugin_base import AIPluginBase, action


class Coin(AIPluginBase):
    @action(effect="read", permission="anyone", command="toss", phrases=["toss a coin"])
    async def toss_coin(self) -> str:
        """Toss a coin and tell how it fell."""
        return random.choice(["heads", "tails"])


PLUGIN_CLASS = Coin
