"""An estimate of tokens that corrects itself from the usage which the servers report."""

from __future__ import annotations

from core.contracts.engine import EngineReply

FIRST_GUESS = 0.27
WEIGHT = 0.2
PLAUSIBLE = (0.05, 1.5)


class TokenEstimate:
    """Tokens per byte of prompt, by model; the first guess is what English and JSON take on common tokenizers."""

    def __init__(self) -> None:
        self._per_byte: dict[str, float] = {}

    def learn(self, model: str, reply: EngineReply) -> None:
        """Take a reply's usage into account, where the server reported it."""
        tokens = reply.usage.prompt_tokens
        if not tokens or reply.prompt_bytes < 200:
            return
        ratio = min(max(tokens / reply.prompt_bytes, PLAUSIBLE[0]), PLAUSIBLE[1])
        known = self._per_byte.get(model)
        self._per_byte[model] = ratio if known is None else known + WEIGHT * (ratio - known)

    def per_byte(self, model: str) -> float:
        """Return the tokens per byte that are expected of a model."""
        return self._per_byte.get(model, FIRST_GUESS)

    def of_bytes(self, model: str, size: int) -> int:
        """Return the tokens that so many bytes of prompt will take."""
        return round(size * self.per_byte(model))

    def to_bytes(self, model: str, tokens: int) -> int:
        """Return how many bytes so many tokens allow."""
        return int(tokens / self.per_byte(model))
