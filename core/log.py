"""The log: structlog and the standard library's logging through one chain, to stderr or a file, never to stdout.

What was bound (`turn`, `lane`, `plugin`, `action`) stands in every line; secrets are masked before a line is
rendered; an exception is one `error=Type: message`, and a traceback only at DEBUG. Texts of messages are for DEBUG
alone; that is for callers to keep to.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

LONGEST_VALUE = 4_000
"""Characters of one value in a line; tracebacks have five times as many."""

QUIET = ("asyncio", "httpcore2", "httpx2", "openai")
"""Loggers that tell of every request and its headers below WARNING."""

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
_FIRST = ("timestamp", "level", "event")
_LAST = ("logger", "traceback")


def configure_log(
    level: str = "INFO",
    format: str = "console",
    stream: TextIO | Path | None = None,
    masker: Processor | None = None,
) -> Callable[[], None]:
    """Send all logging of this process through one chain; return what undoes it.

    level: "DEBUG", "INFO", "WARNING" or "ERROR". format: "console" or "json". stream: a text stream, or a file that
    is appended to (created for its owner alone); None is what `sys.stderr` is at the time of each line. masker: a
    structlog processor that takes the secrets out of the texts of an event. Raises OSError when the file cannot be
    opened.
    """
    threshold = logging.getLevelNamesMapping()[level]
    sink = _Sink(stream)
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            _add_logger_name,
            structlog.processors.TimeStamper(
                "iso" if format == "json" else "%Y-%m-%d %H:%M:%S", utc=format == "json"
            ),
            _render_exception(with_traceback=threshold <= logging.DEBUG),
            _render_values,
            *([_only_texts(masker)] if masker is not None else []),
            _as_json if format == "json" else _as_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        context_class=dict,
        logger_factory=lambda *names: _Output(sink, names[0] if names else "rekku"),
        cache_logger_on_first_use=False,
    )
    restore_logging = _bridge_logging(threshold)

    def undo() -> None:
        restore_logging()
        structlog.configure(**before)
        sink.close()

    return undo


class _Sink:
    """Where lines go, whole, from any thread. One that cannot be written is lost: a log must not stop the work."""

    def __init__(self, stream: TextIO | Path | None) -> None:
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        self._stream: TextIO | None = None
        if isinstance(stream, Path):
            self._file = self._stream = open(  # noqa: SIM115 - closed by `close`
                stream, "a", encoding="utf-8", errors="backslashreplace", opener=_for_owner
            )
        else:
            self._stream = stream

    def write(self, line: str) -> None:
        stream = self._stream if self._stream is not None else sys.stderr
        if stream is None:
            return
        with self._lock:
            try:
                try:
                    stream.write(f"{line}\n")
                except UnicodeEncodeError:
                    stream.write(f"{line.encode('ascii', 'backslashreplace').decode('ascii')}\n")
                stream.flush()
            except (OSError, ValueError):
                return  # the other end of the pipe is gone, or the stream is closed

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Output:
    """The named logger at the end of the chain: each level's method takes the line."""

    def __init__(self, sink: _Sink, name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = sink.write


class _Bridge(logging.Handler):
    """Hands the records of the standard library's loggers to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except Exception as error:  # noqa: BLE001 - a foreign record whose arguments do not fit its text
            event = f"a log record could not be formatted ({type(error).__name__}): {record.msg!r}"
        level = max((each for each in _LEVELS if each <= record.levelno), default=logging.DEBUG)
        structlog.get_logger(record.name).log(level, event, exc_info=record.exc_info)


def _bridge_logging(threshold: int) -> Callable[[], None]:
    root = logging.getLogger()
    bridge = _Bridge()
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, QUIET))}
    for logger in levels:
        logger.setLevel(max(threshold, logging.WARNING))
    root.setLevel(threshold)
    root.addHandler(bridge)
    logging.captureWarnings(True)

    def restore() -> None:
        logging.captureWarnings(False)
        root.removeHandler(bridge)
        for logger, level in levels.items():
            logger.setLevel(level)

    return restore


def _add_logger_name(logger: Any, method: str, event: EventDict) -> EventDict:
    event.setdefault("logger", logger.name)
    return event


def _render_exception(*, with_traceback: bool) -> Processor:
    def render(logger: Any, method: str, event: EventDict) -> EventDict:
        event.pop("stack_info", None)
        given = event.pop("exc_info", None)
        error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
        if error is None and given is True:
            error = sys.exc_info()[1]
        told = event.pop("raised", None)  # its sentence is in the line already: it is here for its traceback
        if with_traceback and isinstance(told, BaseException):
            event["traceback"] = "".join(traceback.format_exception(told))
        if error is not None:
            event["exception" if "error" in event else "error"] = error
            if with_traceback:
                event["traceback"] = "".join(traceback.format_exception(error))
        return event

    return render


def _render_values(logger: Any, method: str, event: EventDict) -> EventDict:
    """Make each value a text, a number, a truth value or None."""
    return {key: _plain(value) for key, value in event.items()}


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or (isinstance(value, int | float) and type(value) in (bool, int, float)):
        return value
    try:
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}".removesuffix(": ")
        if isinstance(value, dict | list | tuple):
            return json.dumps(value, ensure_ascii=False, default=str)
        return str(value)
    except Exception as error:  # noqa: BLE001 - a foreign object that cannot say what it is must not stop the work
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _only_texts(masker: Processor) -> Processor:
    def mask(logger: Any, method: str, event: EventDict) -> EventDict:
        texts = {key: value for key, value in event.items() if isinstance(value, str)}
        masked: Any = masker(logger, method, texts)
        return {**event, **masked}

    return mask


def _shortened(key: str, value: Any) -> Any:
    longest = 5 * LONGEST_VALUE if key == "traceback" else LONGEST_VALUE
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}… ({len(value) - longest} more characters)"
    return value


def _ordered(event: EventDict) -> dict[str, Any]:
    middle = [key for key in event if key not in _FIRST and key not in _LAST]
    keys = [key for key in (*_FIRST, *middle, *_LAST) if key in event]
    return {key: _shortened(key, event[key]) for key in keys}


def _as_json(logger: Any, method: str, event: EventDict) -> str:
    return json.dumps(_ordered(event), ensure_ascii=False)


def _as_line(logger: Any, method: str, event: EventDict) -> str:
    """`2026-05-01 12:00:00 WARNING what happened key=value … logger=name`, and a traceback below it."""
    values = _ordered(event)
    stack = values.pop("traceback", "")
    head = f"{values.pop('timestamp')} {str(values.pop('level')).upper():<7} {_on_one_line(values.pop('event'))}"
    line = " ".join((head, *(f"{key}={_quoted(value)}" for key, value in values.items())))
    return f"{line}\n{_without_controls(stack).rstrip()}" if stack else line


def _quoted(value: object) -> str:
    text = _on_one_line(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text or "=" in text else text


def _on_one_line(value: object) -> str:
    return _without_controls(" ".join(str(value).splitlines()))


def _without_controls(text: str) -> str:
    """Escape what could move the cursor or forge a line: a log is read in a terminal."""
    return "".join(mark if mark.isprintable() or mark == "\n" else repr(mark)[1:-1] for mark in text)
