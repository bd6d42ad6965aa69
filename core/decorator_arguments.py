"""What is wrong with the arguments of a decorator, told with the method that it stands above and its place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from core.contracts.errors import DeclarationError
from core.declarations import named
from core.near_names import suggestion

D = TypeVar("D", bound=Callable[..., Any])


def mistake(function: object, what: str, cure: str) -> DeclarationError:
    """Return the error of a declaration: which method it is, where it is written, and the cure."""
    name = str(getattr(function, "__qualname__", function)).rpartition("<locals>.")[2]
    return DeclarationError(f"{named(name, function)}: {what}.", cure=cure)


def tells_mistakes(decorator: D) -> D:
    """Let a decorator raise DeclarationError for arguments that it does not take or lacks, in place of TypeError."""
    signature = inspect.signature(decorator)

    @functools.wraps(decorator)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            if args and inspect.isfunction(args[0]):
                cure = f"Write @{decorator.__name__}({_needed(signature)}) above the method."
                raise mistake(args[0], f"@{decorator.__name__} is used without its arguments", cure) from None
            return functools.partial(_refuse, decorator.__name__, signature, kwargs, str(error))
        return decorator(*args, **kwargs)

    return cast(D, called)


def _refuse(
    name: str, signature: inspect.Signature, given: Mapping[str, Any], why: str, function: object
) -> NoReturn:
    unknown = next((keyword for keyword in given if keyword not in signature.parameters), None)
    if unknown is not None:
        free = [parameter for parameter in signature.parameters if parameter not in given]
        raise mistake(function, f"@{name} has no argument {unknown}", suggestion(unknown, free))
    raise mistake(function, f"@{name}: {why}", f"Write @{name}({_needed(signature)}).")


def _needed(signature: inspect.Signature) -> str:
    """Return what has to be given, "effect=…" say."""
    needed = [p for p in signature.parameters.values() if p.default is p.empty]
    return ", ".join(f"{p.name}=…" for p in needed) or "…"
