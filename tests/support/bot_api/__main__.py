"""`python -m tests.support.bot_api --port 0`: prints its address, and serves until it is stopped."""

from __future__ import annotations

import argparse
import asyncio

from tests.support.bot_api.server import BotApi


async def serve(port: int) -> None:
    """Serve until cancelled."""
    async with BotApi(port=port) as api:
        print(api.base_url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))
