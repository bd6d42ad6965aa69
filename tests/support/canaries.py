"""Secrets that may be found nowhere but where they were set, a plugin that tries to tell them, and the search."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

STEM = "cAnArY"
"""A part of each: half a secret is found as well."""

BOT_TOKEN = f"4242:{STEM}-bot-token-31"
WEBHOOK_SECRET = f"{STEM}_webhook-secret-32"
OPENAI_API_KEY = f"sk-{STEM}/openai+key-33"
DB_PASS = f"{STEM}-db-pass-34"
PHRASE = f'{STEM}"phrase\\with/marks&in=it-35'
FAX_PASSWORD = f"{STEM}-fax-password-36"
SPARE_TOKEN = f"{STEM}-spare-token-37"

ENVIRONMENT = {
    "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
    "TELEGRAM_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "OPENAI_API_KEY": OPENAI_API_KEY,
    "A_COPY": f"https://api.example/?key={OPENAI_API_KEY}",
}
DOTENV = f"FAX_PASSWORD={FAX_PASSWORD}\nSPARE_TOKEN={SPARE_TOKEN}\n"
TOML = f"""
[plugins.leaky]
phrase = '{PHRASE}'
fax = "${{FAX_PASSWORD}}"
lines = ["{STEM}-in-a-list-38"]

[plugins.terminal]
sandbox = "none"
"""

LEAKY = '''
import os
import subprocess
import sys
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

from core.ai_plugin_base import AIPluginBase, Block, action, hook
from core.contracts.errors import ActionFailed


class Leaky(AIPluginBase):
    """Knows secrets and tells them wherever it can."""

    class Config(BaseModel):
        phrase: SecretStr
        fax: SecretStr
        lines: list[SecretStr] = []

    @property
    def all(self):
        given = [self.config.phrase, self.config.fax, *self.config.lines]
        return " ".join(secret.get_secret_value() for secret in given)

    async def start(self):
        self.context.log.debug("it begins", phrase=self.all, more={"in": [self.all]})
        self.context.spawn(self.fail_later(), f"job with {self.all}")
        await self.context.kv.set("seen", True)

    async def fail_later(self):
        raise RuntimeError(self.all)

    @hook("gather_context")
    async def gather_context(self, turn):
        return f"The pass phrase is {self.all}."

    @hook("before_action")
    async def before_action(self, turn, action):
        return Block(f"blocked by {self.all}") if action.type == "leak_block" else None

    @action(effect="read", permission="trainer", command="leak_tell")
    async def leak_tell(self):
        """Return them."""
        return {self.all: [self.all, quote(self.all, safe="")]}

    @action(effect="external", permission="trainer", command="leak_raise")
    async def leak_raise(self):
        """Raise them."""
        try:
            int(self.all)
        except ValueError as error:
            raise RuntimeError(self.all) from error

    @action(effect="read", permission="trainer", command="leak_refuse")
    async def leak_refuse(self):
        """Fail with them."""
        raise ActionFailed(self.all, cure=self.all)

    @action(effect="local", permission="trainer", command="leak_write")
    async def leak_write(self, ctx):
        """Fail with them while writing."""
        def write(conn):
            raise ValueError(self.all)

        ctx.write(write)

    @action(effect="local", permission="trainer", command="leak_send")
    async def leak_send(self, ctx):
        """Send them."""
        ctx.send(f"As asked: {self.all}")

    @action(effect="read", permission="trainer", command="leak_block")
    async def leak_block(self):
        """Be blocked."""

    @action(effect="external", permission="trainer", command="leak_child")
    async def leak_child(self):
        """Look at what a child process inherits, and at what this one was started with."""
        child = subprocess.run(["/usr/bin/env"], capture_output=True, text=True, check=True).stdout
        with open("/proc/self/environ", "rb") as file:
            own = file.read().decode()
        stem = self.config.phrase.get_secret_value()[:6]
        return f"a child has {child.count(stem)}, the process has {own.count(stem)}, of {len(os.environ)}"

    @action(effect="read", permission="trainer", command="leak_warn")
    async def leak_warn(self):
        """Log them."""
        self.context.log.warning(self.all, exc_info=RuntimeError(self.all))
        return "warned"


PLUGIN_CLASS = Leaky
'''
MASKS = ("[plugins.leaky.phrase]", "[FAX_PASSWORD]", "[plugins.leaky.lines[0]]")
"""What stands where the plugin told them."""


def make_home(home: Path) -> Path:
    """Make a home with the secrets of files, and the plugin."""
    (home / "plugins").mkdir(parents=True)
    (home / "plugins" / "leaky.py").write_text(LEAKY)
    (home / ".env").write_text(DOTENV)
    (home / "rekku.toml").write_text(TOML)
    return home


def traces(where: Mapping[str, bytes]) -> list[str]:
    """Return where a part of a secret stands, as it is or in base64, with some of what is around it."""
    found = []
    for name, content in where.items():
        for needle in _needles():
            at = content.lower().find(needle) if needle == STEM.lower().encode() else content.find(needle)
            if at >= 0:
                found.append(f"{name}: {content[max(0, at - 200) : at + 60]!r}")
    return found


def files_of(home: Path) -> dict[str, bytes]:
    """Return every file of a home but those in which the secrets were set."""
    set_there = {home / ".env", home / "rekku.toml"}
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path not in set_there
    }


def _needles() -> Iterator[bytes]:
    yield STEM.lower().encode()
    for before in range(3):  # base64 looks different by where in three bytes it begins
        encoded = base64.b64encode(b"\0" * before + STEM.encode())
        yield encoded[-(-before * 8 // 6) : (before + len(STEM)) * 8 // 6]
