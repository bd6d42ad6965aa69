"""Secrets of the configuration: through turns, failures, refusals and commands, none of them is found anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import canaries
from tests.support.bot_api import BotApi, Fault, World, private
from tests.support.canaries import ENVIRONMENT, MASKS, OPENAI_API_KEY, STEM, files_of, make_home, traces
from tests.support.model_server import Behaviour, ModelServer, actions, echo_key, message, reply, scripted

ROOT = Path(__file__).parents[2]
TRAINER = 7
TRAINERS = range(10, 30)
"""Each has a chat of their own, so that they need not wait for each other."""

COMMANDS = (
    ("doctor",),
    ("plugins", "list"),
    ("ledger", "list", "--json"),
    ("outbox", "list", "--json"),
    ("approvals", "list"),
)
LEAKS = ("tell", "raise", "refuse", "write", "send", "block", "child", "warn")
LOOK = (
    "env; tr '\\0' '\\n' < /proc/self/environ; "
    "for one in /proc/[0-9]*; do tr '\\0' '\\n' < $one/environ; done 2>/dev/null "
    f"| grep '{STEM[:3]}[{STEM[3]}]{STEM[4:]}' | base64; "
    "echo looked; cat ../../../.env ../../../rekku.toml"
)


def obey(body: dict[str, Any]) -> Behaviour:
    """Run the action that the newest words name; then repeat what came of it."""
    said = str(body["messages"][-1]["content"])
    wanted = re.findall(r"please (\w+)", said)
    if "Incorrect" in said or "key" in wanted:
        return echo_key()
    if wanted and "Outcomes" not in said:
        return reply(actions((f"leak_{wanted[-1]}", {})))
    return reply(message(f"This is what I know: {said}"))


@dataclass(slots=True)
class Served:
    """A process that serves Telegram, and all that came out of it."""

    api: BotApi
    model: ModelServer
    process: asyncio.subprocess.Process
    outputs: dict[str, bytes] = field(default_factory=dict)

    async def ask(self, *texts: str, who: int = TRAINER) -> str:
        """Write to the bot as a trainer, each text when the one before is answered; return the answers."""
        for count, text in enumerate(texts, len(self.api.world.texts(who)) + 1):
            self.api.world.say(private(who, text, message_id=count))
            while len(self.api.world.texts(who)) < count:  # noqa: ASYNC110 - several wait at the same time
                await asyncio.sleep(0.01)
        return "\n".join(self.api.world.texts(who))


def environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    return {**kept, "HOME": str(home.parent), "TZ": "UTC", "REKKU_HOME": str(home), **more}


@asynccontextmanager
async def served(home: Path, directory: Path) -> AsyncIterator[tuple[Served, dict[str, str]]]:
    """Run `rekku run` with every secret set, at a Bot API and a model server on loopback."""
    world = World()
    world.token = canaries.BOT_TOKEN
    async with BotApi(world) as api, ModelServer(scripted(obey)) as model:
        env = environment(
            home,
            {
                **ENVIRONMENT,
                "TELEGRAM_API_BASE": api.base_url,
                "OPENAI_BASE_URL": model.base_url,
                "TRAINER_IDS": ",".join(f"telegram:{trainer}" for trainer in (TRAINER, *TRAINERS)),
                "REKKU_LOG_LEVEL": "DEBUG",
            },
        )
        with (directory / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "main.py", "run", cwd=ROOT, env=env, stdout=log, stderr=log
            )
            running = Served(api, model, process)
            try:
                yield running, env
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(20):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
        running.outputs["log"] = (directory / "log").read_bytes()
        for number, seen in enumerate(model.requests):
            running.outputs[f"prompt {number}"] = seen.raw
        for number, (method, params) in enumerate(api.world.calls):
            running.outputs[f"call {number} of {method}"] = repr(params).encode()


def started_environment(pid: int) -> bytes:
    """Return what the system says that a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


async def output_of(env: Mapping[str, str], *arguments: str) -> tuple[int, bytes]:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "main.py",
        *arguments,
        cwd=ROOT,
        env=dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out


async def test_no_secret_of_the_configuration_is_found_anywhere(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    assert len(traces({name: (home / name).read_bytes() for name in (".env", "rekku.toml")})) == 2, (
        "it would be found"
    )
    replies: list[str] = []
    async with served(home, tmp_path) as (running, env):
        replies.append(await running.ask("good morning"))
        started_with = started_environment(running.process.pid)
        texts: list[tuple[str, ...]] = [(f"please {leak}", f"/leak_{leak}") for leak in LEAKS]
        texts += [(f"my key is {OPENAI_API_KEY}, keep it", f"/sh {LOOK}"), ("please key",)]
        async with asyncio.timeout(60):
            replies += await asyncio.gather(
                *(running.ask(*each, who=who) for who, each in zip(TRAINERS, texts, strict=False))
            )
        running.api.world.faults.append(
            Fault(method="sendMessage", status=400, description=f"Bad Request: bot{canaries.BOT_TOKEN} is odd")
        )
        running.api.world.faults.append(
            Fault(method="getUpdates", status=500, description=f"Internal: bot{canaries.BOT_TOKEN}")
        )
        running.api.world.say(private(TRAINER, "/help", message_id=900))  # which becomes a dead letter
        await running.api.world.until(lambda: not running.api.world.faults, timeout_s=30)
        replies.append(await running.ask("/status"))
        told = await asyncio.gather(*(output_of(env, *arguments) for arguments in COMMANDS))
        for arguments, (_, out) in zip(COMMANDS, told, strict=True):
            assert out, arguments
            running.outputs[" ".join(arguments)] = out
        status, out = await output_of(env, "db", "backup", str(tmp_path / "backup.db"))
        assert status == 0, out
    found = {
        **running.outputs,
        **{f"file {name}": content for name, content in files_of(home).items()},
        "backup": (tmp_path / "backup.db").read_bytes(),
        "environment of the process": started_with,
        "replies": json.dumps(replies, ensure_ascii=False).encode(),
    }
    assert traces(found) == []

    # That they were told, and where: all of this would have been a leak.
    said = "\n".join(replies)
    for mask in (*MASKS, "[OPENAI_API_KEY]", "[SPARE_TOKEN]"):
        assert mask in said, mask
    assert "a child has 0, the process has 0, of " in said
    assert "\nlooked\n" in said
    for sink in ("log", "backup"):
        assert MASKS[0].encode() in found[sink], sink
    assert b"Traceback" in found["log"]
    assert any(MASKS[0].encode() in content for name, content in found.items() if name.startswith("prompt"))


async def test_a_configuration_that_is_refused_does_not_quote_its_secrets(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    wrong = {
        "DB_PASS": canaries.DB_PASS,
        "DATABASE_URL": f"mysql://rekku:{canaries.DB_PASS}@db/rekku",
        "TELEGRAM_BOT_TOKEN": f"{canaries.BOT_TOKEN} with spaces",
        "OPENAI_BASE_URL": f"http://user:{canaries.DB_PASS}@localhost/v1",
        "REKKU_ACCESS": "everybody",
    }
    outputs = {}
    for arguments in (("run",), ("doctor",), ("chat", "--once", "hi"), ("ledger", "list")):
        status, out = await output_of(environment(home, wrong), *arguments)
        assert status != 0
        assert b"REKKU_ACCESS" in out
        outputs[" ".join(arguments)] = out
    assert traces(outputs) == []


async def test_a_secret_that_is_too_short_to_be_masked_is_refused_whatever_its_key(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    short = (home / "rekku.toml").read_text().replace(f"'{canaries.PHRASE}'", "'abc'")
    (home / "rekku.toml").write_text(short)
    _, out = await output_of(environment(home, {}), "plugins", "list")
    assert b"[plugins.leaky] phrase: a secret of 3 characters is too short" in b" ".join(out.split())
