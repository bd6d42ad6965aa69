"""`rekku policy`: what the gate would say and why, and rules that have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.commands.exit_status import FAILED, CommandFailed, finish
from core.commands.options import AsJson
from core.contracts.inputs import Address, Principal, Role
from core.contracts.json import JsonObject
from core.counted import counted

if TYPE_CHECKING:
    from core.app import App
    from core.contracts.actions import ActionSpec

group = typer.Typer(no_args_is_help=True, help="Ask the gate who may do what, and check the policy rules.")

Who = Annotated[str, typer.Option("--who", metavar="WHO", help="The principal: telegram:5.", show_default=False)]
Action = Annotated[str, typer.Option("--action", metavar="TYPE", help="The action's type.", show_default=False)]
Payload = Annotated[str, typer.Option("--payload", metavar="JSON", help="Its payload, a JSON object.")]
AsRole = Annotated[
    str | None, typer.Option("--role", metavar="ROLE", help="In place of the role that WHO has.", show_default=False)
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="WHERE", help="The chat: telegram:-100123. Else WHO's own.", show_default=False),
]
Tainted = Annotated[bool, typer.Option("--tainted", help="As if the step had seen text from outside.")]


@group.command()
def explain(
    who: Who,
    action: Action,
    payload: Payload = "{}",
    role: AsRole = None,
    where: Where = None,
    tainted: Tainted = False,
    as_json: AsJson = False,
) -> None:
    """Tell what the gate says to an action, and which rule says so.

    Nothing is run. The rules are those of rekku.toml now; a running process has those of its start.
    """
    principal = _principal(who)
    address = None if where is None else _address(where)
    given_role, given_payload = _role(role), _payload(payload)
    finish(lambda: _explain(principal, given_role, address, action, given_payload, tainted, as_json))


@group.command()
def check(as_json: AsJson = False) -> None:
    """Find rules that are wrong or have no effect.

    The exit status is 1 when there are some.
    """
    finish(lambda: _check(as_json))


def _explain(
    who: Principal,
    role: Role | None,
    where: Address | None,
    action: str,
    payload: JsonObject,
    tainted: bool,
    as_json: bool,
) -> int:
    from core.commands.loaded import loaded_app
    from core.commands.policy_explanation import explanation, known_role, lines, stranger
    from core.commands.startup import settings_for
    from core.commands.stored import stored_roles
    from core.commands.terminal_text import say, say_json
    from core.contracts.policy import Question
    from core.near_names import suggestion
    from core.services.policy import read_rules

    settings = settings_for()
    rules = read_rules(settings.policy_rules)
    app = loaded_app(settings)
    entries = {entry.spec.type: entry for c in app.registry.components("plugin") for entry in c.entries}
    entry = entries.get(action)
    if entry is None:
        raise CommandFailed(f"There is no action {action}.", cure=suggestion(action, entries))
    stored = stored_roles(settings)
    question = Question(
        spec=entry.spec,
        payload=payload,
        principal=who,
        role=role or known_role(app, who, stored),
        address=where or Address(who.interface, who.user_id),
        tainted=tainted,
    )
    told = explanation(question, rules, entry.complaints(payload), "" if role else stranger(app, who, stored))
    if as_json:
        say_json(told)
    else:
        say(lines(told))
    return 0


def _check(as_json: bool) -> int:
    from core.commands.loaded import loaded_app
    from core.commands.policy_findings import policy_findings
    from core.commands.startup import settings_for, tell_failures
    from core.commands.terminal_text import say, say_json

    settings = settings_for()
    app = loaded_app(settings)
    interfaces = {component.name for component in app.registry.components("interface")}
    found = policy_findings(settings.policy_rules, _specs(app), interfaces)
    wrong = [finding for finding in found if not finding.note]
    if as_json:
        say_json([finding.as_json() for finding in found])
    else:
        tell_failures(app)  # the actions of a plugin that does not load are not known
        for finding in found:
            name = "" if finding.name == finding.rule else f" ({finding.name})"
            say(f"{finding.rule}{name}: {finding.problem} {finding.cure}".rstrip())
        if not wrong:
            say(f"{counted(len(settings.policy_rules), 'rule')}, and nothing is wrong.")
    return FAILED if wrong else 0


def _specs(app: App) -> dict[str, ActionSpec]:
    return {entry.spec.type: entry.spec for c in app.registry.components("plugin") for entry in c.entries}


def _principal(text: str) -> Principal:
    try:
        return Principal.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--who") from None


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--where") from None


def _role(text: str | None) -> Role | None:
    try:
        return None if text is None else Role(text)
    except ValueError:
        raise typer.BadParameter(f"write one of {', '.join(Role)}", param_hint="--role") from None


def _payload(text: str) -> JsonObject:
    import json

    try:
        payload = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"it is no JSON: {error}", param_hint="--payload") from None
    if not isinstance(payload, dict):
        raise typer.BadParameter('write a JSON object, as {"path": "a"}', param_hint="--payload")
    return payload
