"""What a turn is compared with: one `chat.completions.create` of the openai SDK, and nothing around it."""

from __future__ import annotations

import json
from types import TracebackType

import openai

MODEL = "fake-1"


class BareCalls:
    """The SDK's client as anyone would write it, against one server. An async context manager."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(
            api_key="none",
            base_url=base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        )

    async def __aenter__(self) -> BareCalls:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def call(self, prompt_bytes: int) -> str:
        """Ask once with a prompt of that many bytes, and return the text.

        The prompt is one message: the SDK walks through the messages one by one, so that this is its cheapest way.
        """
        completion = await self._client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "x" * prompt_bytes}]
        )
        text = completion.choices[0].message.content or ""
        json.loads(text)  # a caller has to read the reply as well
        return text
