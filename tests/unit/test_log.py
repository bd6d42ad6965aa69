"""The log: one chain for both libraries, masked, one line an event, and never in the way of the work."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.log import LONGEST_VALUE, QUIET, configure_log
from core.services.mask import Masker

SECRET = "sk-secret-123"

Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure() -> Iterator[Configure]:
    undos: list[Callable[[], None]] = []

    def start(level: str = "INFO", format: str = "console", *, secrets: bool = True) -> io.StringIO:
        stream = io.StringIO()
        masker = Masker()
        if secrets:
            masker.learn("OPENAI_API_KEY", SECRET)
        undos.append(configure_log(level, format, stream, masker.processor))
        return stream

    yield start
    for undo in reversed(undos):
        undo()
    structlog.contextvars.clear_contextvars()


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_is_bound_stands_in_every_line(configure: Configure) -> None:
    stream = configure(format="json")
    with structlog.contextvars.bound_contextvars(turn=7, lane="console:1", plugin="dice", action="roll_dice"):
        structlog.get_logger("rekku.actions").info("action done", took_ms=1.5, ok=True, output=None)
        logging.getLogger("foreign.part").warning("slow: %d ms", 12)
    ours, foreign = records(stream)
    bound = {"turn": 7, "lane": "console:1", "plugin": "dice", "action": "roll_dice"}
    assert bound.items() <= ours.items()
    assert bound.items() <= foreign.items()
    assert (ours["level"], ours["event"], ours["logger"]) == ("info", "action done", "rekku.actions")
    assert (ours["took_ms"], ours["ok"], ours["output"]) == (1.5, True, None)
    assert (foreign["level"], foreign["event"], foreign["logger"]) == ("warning", "slow: 12 ms", "foreign.part")
    assert ours["timestamp"].endswith("Z")


def test_a_console_line_is_one_line(configure: Configure) -> None:
    stream = configure()
    structlog.get_logger("rekku.x").warning("first\nforged 2026", value="a b", plain="c", escape="\x1b[2J\u202e")
    [line] = stream.getvalue().splitlines()
    assert "WARNING first forged 2026 " in line
    assert 'value="a b"' in line
    assert "plain=c" in line
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert line.endswith("logger=rekku.x")


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_secrets_are_masked_wherever_they_stand(configure: Configure, level: str, format: str) -> None:
    stream = configure(level, format)
    log = structlog.get_logger("rekku.x")
    with structlog.contextvars.bound_contextvars(lane=SECRET):
        log.info(f"event {SECRET}", text=SECRET, items=[{"deep": SECRET}], thing=Path(SECRET))
        try:
            raise ValueError(f"refused {SECRET}")
        except ValueError:
            log.exception("failed")
            logging.getLogger("foreign").exception("failed with %s", SECRET)
        log.error("given", error=RuntimeError(SECRET))
    text = stream.getvalue()
    assert SECRET not in text
    assert text.count("[OPENAI_API_KEY]") >= 8


def test_an_exception_is_one_line_above_debug(configure: Configure) -> None:
    stream = configure(format="json")
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        structlog.get_logger("rekku.x").error("failed", exc_info=error)
        structlog.get_logger("rekku.x").exception("again", error="my own")
    first, second = records(stream)
    assert first["error"] == "ValueError: two\nlines"
    assert (second["error"], second["exception"]) == ("my own", "ValueError: two\nlines")
    assert "traceback" not in first
    assert "exc_info" not in first


def test_an_exception_has_its_traceback_at_debug(configure: Configure) -> None:
    stream = configure("DEBUG")
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger("rekku.x").exception("failed")
    lines = stream.getvalue().splitlines()
    assert "failed error=" in lines[0]
    assert lines[1].startswith("Traceback")
    assert "test_log.py" in stream.getvalue()


def test_the_level_holds_for_both_libraries(configure: Configure) -> None:
    stream = configure("WARNING")
    for log in (structlog.get_logger("rekku.x"), logging.getLogger("foreign")):
        log.debug("no")
        log.info("no")
        log.warning("yes")
    assert [line.split()[3] for line in stream.getvalue().splitlines()] == ["yes", "yes"]


@pytest.mark.parametrize("name", QUIET)
def test_what_tells_of_every_request_is_quiet(configure: Configure, name: str) -> None:
    stream = configure("DEBUG")
    logging.getLogger(name).info("request with headers")
    logging.getLogger(f"{name}.part").debug("request with headers")
    assert stream.getvalue() == ""
    logging.getLogger(name).warning("trouble")
    assert "trouble" in stream.getvalue()


def test_levels_between_the_known_ones(configure: Configure) -> None:
    stream = configure("DEBUG", "json")
    logging.getLogger("foreign").log(35, "between")
    logging.getLogger("foreign").log(logging.CRITICAL, "worst")
    assert [record["level"] for record in records(stream)] == ["warning", "critical"]


def test_what_cannot_be_shown_does_not_raise(configure: Configure) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    stream = configure(format="json")
    structlog.get_logger("rekku.x").info("shown", thing=Broken(), nested=[Broken()], error=BrokenError())
    record = logging.LogRecord("foreign", logging.INFO, __file__, 1, "%d", ("text",), None)
    logging.getLogger().handlers[-1].handle(record)  # not through pytest's own handler, which raises
    first, second = records(stream)
    assert "Broken that cannot be shown" in first["thing"]
    assert "cannot be shown" in first["nested"]
    assert "cannot be shown" in first["error"]
    assert "could not be formatted" in second["event"]


def test_a_value_has_a_bound(configure: Configure) -> None:
    stream = configure(format="json", secrets=False)
    structlog.get_logger("rekku.x").info("long", value="x" * (LONGEST_VALUE + 5))
    assert records(stream)[0]["value"] == "x" * LONGEST_VALUE + "… (5 more characters)"


def test_a_secret_at_the_bound_is_not_cut_in_two(configure: Configure) -> None:
    stream = configure(format="json")
    structlog.get_logger("rekku.x").info("long", value="x" * (LONGEST_VALUE - 5) + SECRET)
    assert SECRET[:5] not in stream.getvalue()


def test_warnings_come_along(configure: Configure) -> None:
    stream = configure(format="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    [record] = records(stream)
    assert "DeprecationWarning: old way" in record["event"]


def test_a_stream_that_is_gone_stops_nothing(configure: Configure) -> None:
    stream = configure()
    stream.close()
    structlog.get_logger("rekku.x").info("nobody hears")


def test_a_narrow_stream_gets_escapes() -> None:
    raw = io.BytesIO()
    undo = configure_log(stream=io.TextIOWrapper(raw, encoding="ascii"))
    structlog.get_logger("rekku.x").info("größer")
    undo()
    assert rb"gr\xf6\xdfer" in raw.getvalue()


def test_a_file_is_appended_to_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "rekku.log"
    for event in ("one", "two"):
        undo = configure_log(stream=path)
        structlog.get_logger("rekku.x").info(event)
        undo()
    assert [line.split()[3] for line in path.read_text().splitlines()] == ["one", "two"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_undoing_leaves_nothing() -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogger("openai").level, structlog.get_config())
    undo = configure_log("DEBUG", stream=io.StringIO())
    assert (root.level, logging.getLogger("openai").level) == (logging.DEBUG, logging.WARNING)
    undo()
    assert (list(root.handlers), root.level, logging.getLogger("openai").level, structlog.get_config()) == before


def test_the_default_is_stderr_and_never_stdout() -> None:
    code = (
        "import logging, structlog; from core.log import configure_log; configure_log();"
        "structlog.get_logger('rekku.x').info('ours'); logging.getLogger('y').error('theirs')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == ""
    assert [line.split()[3] for line in result.stderr.splitlines()] == ["ours", "theirs"]
