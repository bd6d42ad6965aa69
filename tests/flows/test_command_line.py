"""The command line as its users meet it: real processes of `python main.py …` on a home of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.storage import schema
from tests.support.forked_program import run_forked
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30.0
ASK_BEFORE_ROLLING = '[[policy.rules]]\nverdict = "ask"\naction = "roll_dice"\n'
BROKEN_PLUGIN = "class Broken(:\n"
DEAD_LETTER = (
    "INSERT INTO outbox (address, interface, turn_id, text, body, state, attempts, not_before_ms, expires_at_ms,"
    " reason, message_id, lease_owner, lease_epoch, lease_until_ms, created_at_ms, ended_at_ms) VALUES"
    " ('console:local', 'console', 0, ?, '{}', 'dead', 3, 0, 0, 'nobody reads', '', '', 0, 0, 1, 1)"
)

Ended = subprocess.CompletedProcess[str]


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    own = {"HOME": str(home.parent), "TZ": "UTC", "REKKU_HOME": str(home), "REKKU_HEALTH_LISTEN": ""}
    return {**kept, **own, **(more or {})}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "main.py", *arguments]


def rekku(home: Path, *arguments: str, stdin: str = "", settings: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end, forked from a process that has imported everything."""
    return run_forked(arguments, env=environment(home, settings), stdin=stdin, timeout_s=TIMEOUT_S)


def answer(ended: Ended, status: int = 0) -> Any:
    """Return what a command printed as JSON."""
    assert ended.returncode == status, ended.stderr
    return json.loads(ended.stdout)


def refused(ended: Ended, status: int) -> str:
    """Return the complaint of a command that did nothing; it is no traceback, and stdout stays empty."""
    assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
    assert ended.stderr.startswith("rekku: ")
    assert "Traceback" not in ended.stderr
    return ended.stderr


def written(home: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    return home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is not there yet."""
    return tmp_path / "home"


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which something was done, with two dead letters; for commands that change nothing."""
    home = tmp_path_factory.mktemp("used") / "home"
    rekku(home, "chat", stdin="roll_dice sides=20\nroll_dice sides=1\n")
    with sqlite3.connect(home / "rekku.db") as database:
        database.executemany(DEAD_LETTER, [("lost \x1b[31m one",), ("lost two",)])
    database.close()
    return home


@pytest.fixture
def running(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A conversation through a pipe that is still open, its first turn done."""
    process = subprocess.Popen(
        command("chat"),
        cwd=ROOT,
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("roll_dice sides=20\n")
        process.stdin.flush()
        assert process.stdout.readline().strip().isdecimal()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_message(home: Path) -> None:
    ended = rekku(home, "chat", "--once", "roll_dice sides=20")
    assert ended.returncode == 0
    assert re.fullmatch(r"\d{1,2}\n", ended.stdout)
    assert ended.stderr == ""
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not (home / "rekku.log").exists()


def test_a_pipe_is_answered_in_order(home: Path) -> None:
    ended = rekku(home, "chat", stdin="calculate 1 + 1\n\ncalculate 2 + 2\ncalculate 3 + 3")
    assert (ended.returncode, ended.stderr) == (0, "")
    answers = [re.findall(r"\d+", line)[-1] for line in ended.stdout.splitlines()]
    assert answers == ["2", "4", "6"]


def test_outside_of_the_environment_it_says_what_to_run() -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import runpy, sys; sys.path.insert(0, '.'); runpy.run_path('main.py')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "typer is not installed" in ended.stderr
    assert "make chat" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_failed_turn_is_a_status(home: Path) -> None:
    ended = rekku(home, "chat", "--once", "/roll 1")
    assert ended.returncode == 1
    assert "failed" in ended.stderr


def test_an_approval_across_processes(home: Path) -> None:
    written(home, {"rekku.toml": ASK_BEFORE_ROLLING})
    asked = rekku(home, "chat", "--once", "roll_dice sides=20")
    assert asked.returncode == 1
    found = re.search(r"Approval (\w+) is needed; to give it: (.+)", asked.stderr)
    assert found is not None, asked.stderr
    approval_id, suggested = found.groups()
    assert suggested.endswith(f"chat --once '/approve {approval_id}'")
    (waiting,) = answer(rekku(home, "approvals", "list", "--json"))
    assert (waiting["id"], waiting["state"], waiting["payload"]) == (approval_id, "waiting", {"sides": 20})

    given = rekku(home, "chat", "--once", f"/approve {approval_id}")
    assert given.returncode == 0, given.stderr
    approved, rolled = given.stdout.splitlines()
    assert approved == "Approved: roll_dice."
    assert rolled.isdecimal()
    assert [row["state"] for row in answer(rekku(home, "approvals", "list", "--json"))] == ["used"]


@pytest.mark.parametrize(
    ("files", "settings", "complaint"),
    [
        ({"rekku.toml": "REKKU_ENGINE = offline\n"}, {}, r"rekku\.toml, line 1, column \d+: is not valid TOML"),
        ({}, {"REKKU_ENGIN": "offline"}, r"REKKU_ENGIN \(environment\).*Did you mean REKKU_ENGINE\?"),
        ({}, {"REKKU_ENGINE": "offlin"}, r"there is no engine offlin\. Did you mean offline\?"),
        ({"rekku.toml": '[[policy.rules]]\nverdict = "maybe"\n'}, {}, r"policy\.rules\[1\]: verdict"),
    ],
)
def test_a_mistake_in_the_settings_is_one_message(
    home: Path, files: dict[str, str], settings: dict[str, str], complaint: str
) -> None:
    said = refused(rekku(written(home, files), "chat", "--once", "hello", settings=settings), 2)
    assert re.search(complaint, said), said


def test_a_home_that_is_a_file(home: Path) -> None:
    home.write_text("in the way")
    said = refused(rekku(home, "chat", "--once", "hello"), 2)
    assert "is not a directory" in said
    assert "Set REKKU_HOME" in said
    checks = answer(rekku(home, "doctor", "--json"), 1)["checks"]
    assert ["is not a directory" in check["detail"] for check in checks if check["state"] == "failed"] == [True]


def test_a_bug_is_told_in_a_line(home: Path) -> None:
    written(
        home, {"plugins/sly.py": "import core.app\n\ndef interface(self, name):\n    raise ValueError('sly')\n\n"}
    )
    with (home / "plugins" / "sly.py").open("a") as plugin:
        plugin.write("core.app.App.interface = interface\nPLUGIN_CLASS = None\n")
    said = rekku(home, "chat", "--once", "hello")
    assert said.returncode == 70
    assert "This is a bug in Rekku, please report it: ValueError: sly." in said.stderr
    assert "Traceback" not in said.stderr


def test_a_home_in_use(home: Path, running: subprocess.Popen[str]) -> None:
    said = refused(rekku(home, "chat", "--once", "hello"), 2)
    assert f"process {running.pid}" in said
    examined = answer(rekku(home, "doctor", "--json"))
    assert (examined["ok"], examined["process"]) == (True, str(running.pid))
    assert [row["action"] for row in answer(rekku(home, "ledger", "list", "--json"))] == ["message", "roll_dice"]
    assert refused(rekku(home, "db", "upgrade"), 2)


def test_what_is_retried_is_taken_up_by_the_running_process(home: Path, running: subprocess.Popen[str]) -> None:
    with sqlite3.connect(home / "rekku.db", timeout=5) as database:
        database.execute(DEAD_LETTER, ("found again",))
    database.close()
    ended = rekku(home, "outbox", "retry", "--all")
    assert ended.stdout == (
        f"1 dead letter will be tried again. Process {running.pid} takes this up within 5 seconds.\n"
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "found again\n"


def test_a_signal_stops_it_cleanly(home: Path, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGTERM)
    output, errors = running.communicate(timeout=TIMEOUT_S)
    assert (running.returncode, output) == (128 + signal.SIGTERM, "")
    # The reply is printed a moment before its turn is over.
    assert errors in ("", "Rekku stops; the turn goes on at the next start.\n")
    assert answer(rekku(home, "db", "status", "--json"))["process"] == ""


CLINGS = '''
import asyncio
from core.ai_plugin_base import AIPluginBase, action

class PLUGIN_CLASS(AIPluginBase):
    """Holds on to its call."""

    @action(effect="read", permission="anyone", command="cling", timeout_s=0.1)
    async def cling(self) -> str:
        """Swallow every cancellation."""
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
'''


def test_a_handler_that_swallows_its_cancellation_does_not_keep_the_process(home: Path) -> None:
    ended = rekku(written(home, {"plugins/clinging.py": CLINGS}), "chat", "--once", "/cling")
    assert ended.returncode == 1
    assert "took longer than 0.1 s" in ended.stdout
    assert "Task was destroyed" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_signal_ends_it_at_once(home: Path) -> None:
    slow = (
        "import asyncio\nfrom core.ai_plugin_base import AIPluginBase, action\n\nclass Slow(AIPluginBase):\n"
        '    @action(effect="read", command="slow")\n    async def be_slow(self) -> None:\n        """Be slow."""\n'
        '        print("slow", flush=True)\n        await asyncio.sleep(60)\n\nPLUGIN_CLASS = Slow\n'
    )
    written(home, {"plugins/slow.py": slow})
    process = subprocess.Popen(
        command("chat", "--once", "/slow"),
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "slow\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "Rekku stops; the turn goes on at the next start.\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() - begun < 5


def test_a_broken_plugin_is_told_and_the_rest_works(home: Path) -> None:
    written(home, {"plugins/broken.py": BROKEN_PLUGIN, "rekku.toml": "[plugins.dcie]\nmax_sides = 6\n"})
    ended = rekku(home, "chat", "--once", "roll_dice sides=20")
    assert ended.returncode == 0
    assert ended.stdout.strip().isdecimal()
    broken, nobodys = ended.stderr.splitlines()
    assert (
        broken == "rekku: The plugin broken does not work (import): SyntaxError: invalid syntax (broken.py, line 1)"
    )
    assert nobodys == "rekku: [plugins.dcie] has no effect: there is no such plugin. Did you mean dice?"


def test_plugins_list(home: Path) -> None:
    noisy = "print('noise')\nfrom core.ai_plugin_base import AIPluginBase\n\nclass Noisy(AIPluginBase):\n"
    noisy += (
        "    requires = ('absent',)\n    def start(self):\n        open('started', 'w')\n\nPLUGIN_CLASS = Noisy\n"
    )
    files = {
        "plugins/broken.py": BROKEN_PLUGIN,
        "plugins/noisy.py": noisy,
        "rekku.toml": "[plugins.dice]\nenabled = false\n",
    }
    written(home, files)
    listed = {(row["kind"], row["name"]): row for row in answer(rekku(home, "plugins", "list", "--json"))}
    states = {name: row["state"] for (kind, name), row in listed.items() if kind == "plugin"}
    assert states == {
        "core": "ok",
        "core_people": "ok",
        "core_plugins": "ok",
        "core_sessions": "ok",
        "broken": "failed",
        "dice": "disabled",
        "event": "ok",
        "mcp": "ok",
        "message": "ok",
        "noisy": "failed",
        "terminal": "ok",
        "time": "ok",
        "weather": "ok",
    }
    assert listed["plugin", "noisy"]["stage"] == "requirement"
    assert "absent" in listed["plugin", "noisy"]["reason"]
    assert listed["engine", "openai"]["state"] == "off"
    assert listed["interface", "console"]["state"] == "ok"
    table = rekku(home, "plugins", "list").stdout.splitlines()
    assert table[0].split() == ["KIND", "NAME", "STATE", "STAGE", "REASON", "SOURCE"]
    assert any(re.match(r"plugin +broken +failed +import +SyntaxError", line) for line in table)
    assert not (home / "rekku.db").exists()


def test_doctor_before_the_first_start(home: Path) -> None:
    ended = rekku(home, "doctor", settings={"OPENAI_API_KEY": "sk-very-secret", "REKKU_ENGINE": "offline"})
    # Nothing answers at the engine that the key configures.
    assert "sk-very-secret" not in ended.stdout + ended.stderr
    assert re.search(r"^OPENAI_API_KEY +set +environment$", ended.stdout, re.MULTILINE)
    assert re.search(r"^ok +home .*will be created\.$", ended.stdout, re.MULTILINE)
    assert re.search(r"^ok +database .*will be created", ended.stdout, re.MULTILINE)
    assert not home.exists()


def test_doctor_names_what_does_not_work_and_the_cure(home: Path) -> None:
    written(home, {"plugins/broken.py": BROKEN_PLUGIN, "rekku.db": "this is no database" * 100})
    settings = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    checks = answer(rekku(home, "doctor", "--json", settings=settings), 1)["checks"]
    failed = {(check["area"], check["name"]): check for check in checks if check["state"] == "failed"}
    assert failed.keys() == {("database", "sqlite"), ("engine", "openai"), ("plugin", "broken")}
    assert failed["database", "sqlite"]["cure"]
    assert next(check["detail"] for check in checks if check["name"] == "REKKU_ENGINE") == "auto: openai"


EXAMINED_PLUGIN = """
from core.ai_plugin_base import AIPluginBase
from core.contracts.deliveries import Health

class Examined(AIPluginBase):
    async def start(self):
        raise AssertionError("doctor starts nothing")

    async def examine(self):
        (self.context.data_directory / "left").write_text("behind")
        if self.context.name == "raises":
            raise OSError("the socket is gone")
        return Health(ok=self.context.name == "warns", detail="It says so.", cure="Do this.")

PLUGIN_CLASS = Examined
"""


def test_doctor_shows_what_plugins_say_of_themselves(home: Path) -> None:
    names = ("warns", "fails", "raises")
    written(home, {f"plugins/{name}.py": EXAMINED_PLUGIN for name in names})
    checks = {check["name"]: check for check in answer(rekku(home, "doctor", "--json"), 1)["checks"]}
    assert [checks[name]["state"] for name in names] == ["warning", "failed", "failed"]
    assert (checks["warns"]["detail"], checks["warns"]["cure"]) == ("It says so.", "Do this.")
    assert "the socket is gone" in checks["raises"]["detail"]
    assert not (home / "data").exists()


def test_doctor_says_which_sandbox_is_in_force(home: Path) -> None:
    written(home, {"rekku.toml": '[plugins.terminal]\nsandbox = "none"\n'})
    checks = {check["name"]: check for check in answer(rekku(home, "doctor", "--json"))["checks"]}
    assert checks["terminal"]["state"] == "warning"
    assert "Sandbox: none. Commands may read and change whatever this user may" in checks["terminal"]["detail"]
    assert "Install bubblewrap" in checks["terminal"]["cure"]


def test_doctor_tells_mistakes_in_the_settings(home: Path) -> None:
    ended = rekku(home, "doctor", settings={"REKKU_MAX_STEP": "3"})
    assert ended.returncode == 1
    assert "Did you mean REKKU_MAX_STEPS?" in ended.stdout


def test_run_has_nothing_to_serve(home: Path) -> None:
    said = rekku(home, "run")
    assert said.returncode == 2
    nothing = said.stderr.splitlines()[-1]
    assert "telegram is off: TELEGRAM_BOT_TOKEN is not set." in nothing
    assert nothing.startswith("rekku: There is nothing to serve")
    assert "rekku chat" in nothing
    watched = rekku(home, "run", "--watch")
    assert watched.returncode == 2
    assert "`rekku chat --watch`" in watched.stderr.splitlines()[-1]


def test_run_serves_until_it_is_told_to_stop(home: Path) -> None:
    # An interface that needs no server.
    script = """
import functools, sys
import core.commands.serving as serving
from core.commands.tree import command_line
from core.interface_base import InterfaceBase

class Radio(InterfaceBase):
    name = "radio"
    async def start(self, receive):
        print("on", flush=True)
    async def stop(self):
        print("off", flush=True)

serving.App = functools.partial(serving.App, interfaces=[Radio()])
command_line(["run"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "on\n"
    assert any(re.search(r"INFO +serving .*radio", process.stderr.readline()) for _ in range(5))
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, output) == (0, "off\n")
    assert "stopping" in errors


def test_readers_that_are_gone_and_disks_that_are_full(used_home: Path) -> None:
    """What cannot be written is a status, no traceback."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as nobody, open("/dev/full", "w") as full:
        for stdout, complaint in ((nobody, ""), (full, "rekku: The machine refuses: [Errno 28] No space left")):
            ended = subprocess.run(
                command("ledger", "list"),
                cwd=ROOT,
                env=environment(used_home),
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            assert ended.returncode == 1
            assert ended.stderr.startswith(complaint)
            assert len(ended.stderr.splitlines()) == bool(complaint), ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [("ledger", "list"), ("outbox", "retry", "--all"), ("db", "upgrade")],
)
def test_a_home_that_is_not_there(home: Path, arguments: tuple[str, ...]) -> None:
    assert "There is no database at" in refused(rekku(home, *arguments), 1)
    assert not home.exists()


def test_ledger_list(used_home: Path) -> None:
    rows = answer(rekku(used_home, "ledger", "list", "--json"))
    assert [(row["id"], row["action"]) for row in rows[-2:]] == [(2, "message"), (1, "roll_dice")]
    assert rows[-1]["payload"] == {"sides": 20}
    of_one_turn = answer(rekku(used_home, "ledger", "list", "--json", "--turn", "1", "--limit", "5"))
    assert [row["id"] for row in of_one_turn] == [1, 2]
    heading, newest, *rest = rekku(used_home, "ledger", "list", "--limit", "1").stdout.splitlines()
    assert heading.split() == ["ID", "TIME", "TURN", "ACTION", "STATUS", "WHO", "PAYLOAD", "REASON"]
    assert newest.startswith(str(rows[0]["id"]))
    assert not rest


def test_ledger_show(used_home: Path) -> None:
    row = answer(rekku(used_home, "ledger", "show", "1", "--json"))
    assert (row["action"], row["turn"]["id"]) == ("roll_dice", 1)
    assert row["input"]["text"] == "roll_dice sides=20"
    lines = rekku(used_home, "ledger", "show", "1").stdout.splitlines()
    assert {"action: roll_dice", "  text: roll_dice sides=20"} <= set(lines)
    assert "no row 99" in refused(rekku(used_home, "ledger", "show", "99"), 1)


def test_outbox(used_home: Path, home: Path) -> None:
    home.mkdir()
    rekku(used_home, "db", "backup", str(home / "rekku.db"))
    states = [row["state"] for row in answer(rekku(home, "outbox", "list", "--json"))]
    assert states[:2] == ["dead", "dead"]
    assert set(states[2:]) == {"sent"}
    newest, oldest = answer(rekku(home, "outbox", "dead", "--json"))
    assert (newest["text"], oldest["reason"]) == ("lost two", "nobody reads")
    table = rekku(home, "outbox", "dead").stdout
    assert "lost \\x1b[31m one" in table
    assert "\x1b" not in table

    ended = rekku(home, "outbox", "retry", str(newest["id"]), "1", "--json")
    assert answer(ended, 1) == {"retried": 1}
    assert "1 of the 2 ids" in ended.stderr
    assert rekku(home, "outbox", "retry").returncode == 2
    assert rekku(home, "outbox", "prune", "--older-than", "soon").returncode == 2
    assert answer(rekku(home, "outbox", "prune", "--json")) == {"deleted": 1}  # the old dead letter
    assert rekku(home, "chat", "--once", "/help").stdout.startswith("lost two\n")


def test_a_backup_can_be_restored(used_home: Path, home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    made = answer(rekku(used_home, "db", "backup", str(copy), "--json"))
    assert made == {"path": str(copy), "bytes": copy.stat().st_size}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
    assert "is there already" in refused(rekku(used_home, "db", "backup", str(copy)), 1)
    assert rekku(used_home, "db", "backup", str(copy), "--force").returncode == 0

    home.mkdir()
    copy.rename(home / "rekku.db")
    restored = rekku(home, "db", "status").stdout
    assert "check: ok\n" in restored
    assert "dead_letters: 2\n" in restored
    assert rekku(home, "db", "upgrade").stdout == f"The schema is up to date: {schema.HEAD}.\n"


def test_a_conversation_in_a_terminal(home: Path) -> None:
    with Terminal(
        [sys.executable, str(ROOT / "main.py"), "chat"], environment=environment(home), rows=40, columns=100
    ) as terminal:
        terminal.until_typing(">")
        screen = "\n".join(terminal.screen.lines)
        assert "This is Rekku. Engine: offline." in screen
        assert "OPENAI_API_KEY" in screen
        terminal.type("calculate 20 + 22\r")
        terminal.until(lambda screen: any("42" in line for line in screen.lines), "the answer")
        terminal.type("\x04")
        assert terminal.wait() == 0
    log = home / "rekku.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_terminal_is_left_in_order_by_a_signal(home: Path) -> None:
    with Terminal([sys.executable, str(ROOT / "main.py"), "chat"], environment=environment(home)) as terminal:
        terminal.until_typing(">")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM


def test_help_and_version(home: Path) -> None:
    assert rekku(home, "--version").stdout == "rekku 0.1.0\n"
    assert rekku(home, "--help").stdout.startswith("Usage: rekku [OPTIONS] COMMAND")
    unknown = rekku(home, "chta")
    assert unknown.returncode == 2
    assert "Did you mean 'chat'?" in unknown.stderr
    assert not home.exists()
