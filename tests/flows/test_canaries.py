"""Secrets of the configuration appear nowhere: a real process with canaries in it, made to fail in many ways."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bot_api import BotApi, Fault, private
from tests.support.model_server import ModelServer, echo_key, reply

ROOT = Path(__file__).parents[2]
TRAINER = 7
TOKEN = "4242:canary-token-canary-token-canary-tok"
CANARIES = {
    "TELEGRAM_BOT_TOKEN": TOKEN,
    "TELEGRAM_WEBHOOK_SECRET": "canary_webhook_secret",
    "OPENAI_API_KEY": "sk-canary-of-the-model",
    "LEAKY_PHRASE": "canary of a plugin",
}
PLUGIN = '''
from pydantic import BaseModel, SecretStr

from core.ai_plugin_base import AIPluginBase, action


class Leaky(AIPluginBase):
    """Does with its secret what it should not."""

    class Config(BaseModel):
        phrase: SecretStr

    def secret(self) -> str:
        return self.config.phrase.get_secret_value()

    @action(effect="external", command="leak")
    async def leak(self) -> str:
        """Return it."""
        self.context.log.warning("leaking", what=self.secret(), config=self.config)
        print(self.config)
        return f"it is {self.secret()}"

    @action(effect="external", command="crash")
    async def crash(self) -> str:
        """Raise it."""
        hidden = self.secret()
        raise ValueError(f"cannot use {hidden}")


PLUGIN_CLASS = Leaky
'''


def environment(home: Path, api: BotApi, server: ModelServer) -> dict[str, str]:
    (home / "plugins").mkdir(parents=True)
    (home / "plugins" / "leaky.py").write_text(PLUGIN, encoding="utf-8")
    (home / "rekku.toml").write_text('[plugins.leaky]\nphrase = "${LEAKY_PHRASE}"\n', encoding="utf-8")
    (home / ".env").write_text(
        f"LEAKY_PHRASE='{CANARIES['LEAKY_PHRASE']}'\nOPENAI_API_KEY={CANARIES['OPENAI_API_KEY']}\n", encoding="utf-8"
    )
    (home / ".env").chmod(0o600)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "TELEGRAM", "REKKU"))},
        "REKKU_HOME": str(home),
        "REKKU_LOG_LEVEL": "DEBUG",
        "REKKU_HEALTH_LISTEN": "",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_WEBHOOK_SECRET": CANARIES["TELEGRAM_WEBHOOK_SECRET"],
        "TELEGRAM_API_BASE": api.base_url,
        "TELEGRAM_TRAINER_ID": str(TRAINER),
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_MODEL": "fake-1",
    }


def found(canary: str, *places: bytes) -> bool:
    forms = {canary, canary.replace(":", "%3A"), json.dumps(canary)[1:-1], canary[5:] if canary == TOKEN else canary}
    return any(form.encode() in place for form in forms for place in places)


async def converse(api: BotApi) -> None:
    """Have the process run into everything that might tell a secret."""
    world = api.world
    for number, said in enumerate(
        (
            "/sh env; cat /proc/self/environ /proc/*/environ; ls -la /proc/$PPID/fd",
            "/leak",
            "/crash",
            "please leak",
            "now fail",
            f"my key is {CANARIES['OPENAI_API_KEY']}, remember it",
        ),
        1,
    ):
        world.say(private(TRAINER, said, message_id=number))
        await world.until(lambda number=number: len(world.sent(TRAINER)) >= number, timeout_s=60)  # type: ignore[misc]
    # A connection that breaks ends up in an error with its URL, and what cannot be read in one with its text.
    world.say({"message": {"message_id": "no number"}})
    world.faults.append(Fault(method="sendMessage", drop="before"))
    for _ in range(2):
        world.say(private(TRAINER, "/status"))
    await world.until(lambda: len(world.sent(TRAINER)) >= 8, timeout_s=60)


@pytest.mark.service
async def test_no_byte_of_a_secret_is_anywhere(tmp_path: Path) -> None:
    home = tmp_path / "home"
    model_says_it = json.dumps({"actions": [{"type": "message", "payload": {"text": CANARIES["OPENAI_API_KEY"]}}]})
    async with ModelServer() as server, BotApi() as api:
        api.world.token = TOKEN
        server.queue(
            reply('{"actions":[{"type":"leak","payload":{}}]}'),
            reply(model_says_it),
            *(echo_key() for _ in range(8)),
        )
        variables = environment(home, api, server)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "main.py", "run"),
            cwd=ROOT,
            env=variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await converse(api)
        finally:
            process.terminate()
            out, err = await process.communicate()
        effects = json.dumps([[e.method, e.params] for e in api.world.effects], default=str).encode()
        prompts = b"".join(request.raw for request in server.requests)
    told = []
    for arguments in (("doctor",), ("ledger", "list", "--json"), ("db", "backup", str(tmp_path / "copy.db"))):
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "main.py", *arguments],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            timeout=120,
            check=False,
        )
        told += [run.stdout, run.stderr]
    written = [
        path.read_bytes()
        for path in [*home.rglob("*"), tmp_path / "copy.db"]
        if path.is_file() and path.name not in (".env", "rekku.toml")
    ]
    assert len(written) >= 2
    assert b"leaking" in err
    for name, canary in CANARIES.items():
        assert not found(canary, out, err), f"{name} in the log"
        assert not found(canary, effects), f"{name} at the platform"
        assert not found(canary, prompts), f"{name} in a prompt"
        assert not found(canary, *told), f"{name} in the answer of a command"
        assert not found(canary, *written), f"{name} on the disk"
