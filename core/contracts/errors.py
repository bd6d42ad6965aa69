"""Every error that Rekku raises on purpose.

    RekkuError
    ├── ConfigurationError         settings, rekku.toml, command line arguments
    ├── StorageError               the database refuses, or cannot be used
    │   ├── HomeInUse              another process owns this home
    │   ├── StorageUnavailable     the database is away; the work goes on when it is back
    │   └── LeaseLost              somebody else has taken this input or delivery over
    ├── DeclarationError           a plugin, interface or engine that cannot be loaded as written
    ├── ServiceMissing             a service that nobody provides
    ├── EventRefused               an event that one of its handlers rejected or dropped
    ├── ScheduleError              a time or repetition that cannot be kept, or never comes
    ├── ActionFailed               raised by a handler: the action failed for good, with a reason for the model
    │   └── RetryAction            raised by a handler: try again later, the reason says why
    ├── BudgetUsedUp               somebody has used what they may use of the model for now
    ├── EngineError                a model call that gave no reply
    │   ├── EngineTimeout          no reply in time
    │   ├── EngineUnavailable      cannot be reached, overloaded or misconfigured; another engine may do
    │   └── EngineRefused          the server refused this request; asking again will not help
    └── DeliveryError              raised by an interface's `send`
        ├── RetryLater             the platform asks to wait
        └── CannotDeliver          this part can never be delivered

Each carries a stable `code` for programs and, in `cure`, what a person can do about it. Inside a turn failures
are values (`core.contracts.outcomes`); these are raised at the edges.
"""

from __future__ import annotations

from typing import ClassVar


class RekkuError(Exception):
    """Base of the tree. `str(error)` is one sentence for a person; `cure` says what to do, or is empty."""

    code: ClassVar[str] = "rekku"

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure

    def explain(self) -> str:
        """Return the message and, behind it, the cure."""
        message = str(self).rstrip()
        end = "" if not self.cure or message.endswith((".", "!", "?", ":")) else "."
        return f"{message}{end} {self.cure}".strip()


class ConfigurationError(RekkuError):
    """A setting is unknown, malformed or missing."""

    code = "configuration"


class StorageError(RekkuError):
    """The database refused a statement or cannot be used as it is."""

    code = "storage"


class HomeInUse(StorageError):
    """Another running process owns this home directory."""

    code = "home_in_use"


class StorageUnavailable(StorageError):
    """The database cannot be reached right now."""

    code = "storage_unavailable"


class ValueRefused(StorageError):
    """The database can never take this value: it is too long, or no text of its encoding."""

    code = "value_refused"


class LeaseLost(StorageError):
    """The row that was being worked on belongs to another process by now; the work here is void."""

    code = "lease_lost"


class DeclarationError(RekkuError):
    """A component's declaration is wrong: names the component, the place and the cure."""

    code = "declaration"


class ServiceMissing(RekkuError):
    """A plugin asked for a service that no active plugin provides."""

    code = "service_missing"


class EventRefused(RekkuError):
    """Nobody was asked: a handler in stage `validate` or `filter` has ended the event."""

    code = "event_refused"


class ScheduleError(RekkuError):
    """A time, zone or repetition that cannot be read or never comes, or a reminder that is not there."""

    code = "schedule"


class ActionFailed(RekkuError):
    """Raised by a handler to say that the action failed; the message is shown to the model."""

    code = "action_failed"


class RetryAction(ActionFailed):
    """Raised by a handler when trying again later may help; the model is told so."""

    code = "retry_action"


class BudgetUsedUp(RekkuError):
    """The principal a call would be made for has nothing left of their budget, or may not use the assistant."""

    code = "budget"


class EngineError(RekkuError):
    """A call of a language model gave no reply."""

    code = "engine"


class EngineTimeout(EngineError):
    """The model did not answer in time."""

    code = "engine_timeout"


class EngineUnavailable(EngineError):
    """The model cannot be reached, is overloaded or misconfigured.

    `retry_after_s` is what the server asked for, in seconds, or None; `retryable` is False where only another
    engine or a person can help (a wrong key, say).
    """

    code = "engine_unavailable"

    def __init__(
        self, message: str, *, cure: str = "", retry_after_s: float | None = None, retryable: bool = True
    ) -> None:
        super().__init__(message, cure=cure)
        self.retry_after_s = retry_after_s
        self.retryable = retryable


class EngineRefused(EngineError):
    """The server refused this very request (its content or size); asking again will not help."""

    code = "engine_refused"


class DeliveryError(RekkuError):
    """Raised by an interface's `send`."""

    code = "delivery"


class RetryLater(DeliveryError):
    """The platform asks to wait `after_s` seconds; `scope` is "address" or "interface"."""

    code = "retry_later"

    def __init__(self, after_s: float, scope: str = "address", message: str = "") -> None:
        super().__init__(message or f"The platform asks to wait {after_s:g} s.")
        self.after_s = after_s
        self.scope = scope


class CannotDeliver(DeliveryError):
    """This part can never be delivered; the reason goes to the dead letters."""

    code = "cannot_deliver"
