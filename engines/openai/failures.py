"""From a server's answer to the error that says what to do; pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from core.contracts.errors import EngineError, EngineRefused, EngineUnavailable
from core.contracts.json import Json

CHECK_BASE_URL = "Check OPENAI_BASE_URL: it usually ends in /v1."
CHECK_KEY = "Check OPENAI_API_KEY."
CHECK_MODEL = "Check OPENAI_MODEL."

TOO_LONG = ("context length", "context window", "context size", "maximum context", "too many tokens", "too long")
FORMAT_WORDS = ("response_format", "json_schema", "json_object", "schema", "grammar")
POLICY_CODES = ("content_filter", "content_policy_violation")
OUR_SETTINGS = {
    "temperature": "Leave temperature out of [engines.openai].",
    "max_tokens": "Lower max_output_tokens in [engines.openai], or leave it out.",
    "max_completion_tokens": "Lower max_output_tokens in [engines.openai], or leave it out.",
}
WORD = re.compile(r"[A-Za-z_]{3,48}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered, of any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What the body of an error says. `message` is looked at, never shown: it may quote the key or the prompt."""

    code: str = ""
    param: str = ""
    message: str = ""

    @property
    def too_long(self) -> bool:
        """Whether the prompt does not fit into the model."""
        return "context_length" in self.code or any(words in self.message for words in TOO_LONG)

    @property
    def policy(self) -> bool:
        """Whether the content was objected to."""
        return self.code in POLICY_CODES or "content management policy" in self.message


def complaint(answer: Answer) -> Complaint:
    """Read the body of an error, in any of the forms that servers give it."""
    try:
        data: Json = json.loads(answer.body)
    except (ValueError, RecursionError):
        return Complaint()
    return complaint_of(data)


def complaint_of(data: Json) -> Complaint:
    """Read an error that is JSON already."""
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return Complaint(message=str(error).lower())
    code = next((error[key] for key in ("code", "type") if isinstance(error.get(key), str)), "")
    param = error.get("param")
    message = error.get("message") or error.get("detail") or ""
    return Complaint(code=code, param=param if isinstance(param, str) else "", message=str(message).lower())


def concerns_format(answer: Answer) -> bool:
    """Tell whether a refused `response_format` may be the reason; servers say so in many words, some in none."""
    if answer.status not in (400, 422, 500, 501):
        return False
    said = complaint(answer)
    if answer.status >= 500:  # a grammar that could not be made of the schema, say
        return any(word in said.message for word in FORMAT_WORDS)
    return not (said.too_long or said.policy or said.param in (*OUR_SETTINGS, "model"))


def failure(answer: Answer, *, place: str, key: str, now_ms: int) -> EngineError:
    """Return the error for an answer that is no success.

    place: the server as a person knows it. key: kept out of every text. now_ms: for a Retry-After that is a date.
    """
    said = complaint(answer)
    status = answer.status
    shown = next((word for word in (said.code, said.param) if WORD.fullmatch(word)), "")
    if key and (shown.lower() in key.lower() or key.lower() in shown.lower()):
        shown = ""
    what = f"{place} answered {status}" + (f" ({shown})" if shown else "")
    if status == 429 and said.code == "insufficient_quota":
        return EngineUnavailable(f"{what}.", cure="The account has no credit left.", retryable=False)
    if status >= 500 or status in (408, 409, 425, 429):
        return EngineUnavailable(f"{what}.", retry_after_s=retry_after_s(answer.headers, now_ms=now_ms))
    cure = _configuration_cure(status, said)
    if cure:
        return EngineUnavailable(f"{what}.", cure=cure, retryable=False)
    if said.too_long or status == 413:
        return EngineRefused(f"{what}: the prompt is too long for the model.", cure="Lower context_tokens.")
    if said.policy:
        return EngineRefused(f"{what}: it objects to the content.")
    return EngineRefused(f"{what}: it refuses the request.", cure=OUR_SETTINGS.get(said.param, ""))


def _configuration_cure(status: int, said: Complaint) -> str:
    """Return which setting an answer of this status is about, or ""."""
    if 300 <= status < 400 or status == 405:
        return CHECK_BASE_URL
    if status == 401:
        return CHECK_KEY
    if status == 402:
        return "The account has no credit left."
    if status == 403:
        return f"{CHECK_KEY} It may not be allowed to use this model: {CHECK_MODEL}"
    if status == 404:
        return CHECK_MODEL if "model" in said.code or "model" in said.message else CHECK_BASE_URL
    if status == 407:
        return "The proxy wants a password: check HTTPS_PROXY."
    return ""


def retry_after_s(headers: Mapping[str, str], *, now_ms: int) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, 10.2.3: seconds or a date), or None.

    `retry-after-ms` is OpenAI's own and more exact.
    """
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - now_ms / 1000)
    except (TypeError, ValueError, OverflowError):
        return None
