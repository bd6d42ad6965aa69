"""What the actions answer: JSON for the model, text for whoever typed the command."""

from __future__ import annotations

import re

from core.contracts.json import JsonObject
from plugins.terminal.one_shot import Finished
from plugins.terminal.session import Shown

NO_NETWORK = "This terminal has no network."

_ABOUT_NETWORK = re.compile(
    r"resolv|network|connect|unreachable|getaddrinfo|name or service|timed out", re.IGNORECASE
)


def finished_json(finished: Finished, *, network: str) -> JsonObject:
    """Return the result of a command without a session. network: of the sandbox; a failure may be due to it."""
    result: JsonObject = {
        "exit_code": finished.exit_code,
        "stdout": finished.stdout.text,
        "stderr": finished.stderr.text,
        "duration_s": finished.duration_s,
    }
    if finished.timed_out:
        result["timed_out"] = True
    streams = {"stdout": finished.stdout.cut_bytes, "stderr": finished.stderr.cut_bytes}
    cut = {f"{stream}_bytes": count for stream, count in streams.items() if count}
    if cut:
        result["cut"] = cut
    if finished.exit_code and network != "on" and _ABOUT_NETWORK.search(finished.stderr.text):
        result["note"] = NO_NETWORK
    return result


def finished_text(finished: Finished) -> str:
    """Return the same for a person: what was printed, and how it ended unless it ended well."""
    printed = "\n".join(text.rstrip("\n") for text in (finished.stdout.text, finished.stderr.text) if text.strip())
    ends = [f"exit code {finished.exit_code}"] if finished.exit_code else []
    if finished.timed_out:
        ends.append(f"ended at the time-out, after {finished.duration_s:g} s")
    block = fenced(printed) if printed else ""
    return "\n\n".join(part for part in (block, ", ".join(ends)) if part) or "Done; it printed nothing."


def fenced(text: str) -> str:
    """Return the text as a code block that nothing in it can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"


def shown_json(name: str, shown: Shown, note: str = "") -> JsonObject:
    """Return what a session has to say."""
    result: JsonObject = {"session": name, "state": shown.state}
    if shown.exit_code is not None:
        result["exit_code"] = shown.exit_code
    result["output"] = shown.output
    if shown.screen is not None:
        result["screen"] = "\n".join(shown.screen)
    if shown.duration_s is not None:
        result["duration_s"] = shown.duration_s
    if shown.cut_bytes:
        result["cut"] = {"output_bytes": shown.cut_bytes}
    notes = [note] if note else []
    if shown.waits:
        notes.append("It may be waiting for input.")
    if notes:
        result["note"] = " ".join(notes)
    return result
