"""Plugins that each break one rule: their text, the check that has to catch it, and a part of its sentence."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """
from typing import Annotated, Any
import asyncio, os, socket, subprocess, sys, threading, time
from pydantic import BaseModel, Field, SecretStr
from core.ai_plugin_base import ActionContext, AIPluginBase, TurnContext, action, hook, on
"""

TAIL = "\nPLUGIN_CLASS = Animal\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Animal:
    """body: the module's text between the imports and PLUGIN_CLASS. where: the file and line that is told, or ""."""

    body: str
    check: str
    state: str
    sentence: str
    reads: bool = False

    @property
    def source(self) -> str:
        """The whole module."""
        return HEAD + self.body + TAIL


def _class(*lines: str, before: str = "") -> str:
    inside = "\n".join(f"    {line}" for line in lines)
    return f'{before}\nclass Animal(AIPluginBase):\n    """Lives."""\n{inside}\n'


ACTION = '@action(effect="read", permission="anyone")'

ZOO: dict[str, Animal] = {
    "cannot_be_imported": Animal(
        body="import nothing_of_that_name\n" + _class("x = 1"),
        check="import",
        state="failed",
        sentence="nothing_of_that_name",
    ),
    "writes_while_imported": Animal(
        body=_class("x = 1", before="open('left.txt', 'w').close()"),
        check="import does nothing",
        state="failed",
        sentence="open(",
    ),
    "reads_while_imported": Animal(
        body=_class("x = 1", before="TEXT = open(__file__).read()"),
        check="import does nothing",
        state="warning",
        sentence="open(",
    ),
    "starts_a_thread_while_imported": Animal(
        body=_class("x = 1", before="threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"),
        check="import does nothing",
        state="failed",
        sentence="the thread",
    ),
    "runs_a_program_while_imported": Animal(
        body=_class("x = 1", before="subprocess.run(['true'])"),
        check="import does nothing",
        state="failed",
        sentence="the start of a program",
    ),
    "ends_the_process": Animal(
        body=_class("async def start(self):", "    os._exit(3)"),
        check="process",
        state="failed",
        sentence="status 3",
    ),
    "has_no_docstring": Animal(
        body=_class(ACTION, "async def graze(self) -> str:", "    return 'grass'"),
        check="declaration",
        state="failed",
        sentence="no docstring",
    ),
    "needs_settings": Animal(
        body=_class("class Config(BaseModel):", "    place: str"),
        check="configuration",
        state="failed",
        sentence="place",
    ),
    "has_a_plain_secret": Animal(
        body=_class("class Config(BaseModel):", "    api_token: str | None = None"),
        check="secrets",
        state="warning",
        sentence="Config.api_token",
    ),
    "takes_a_command": Animal(
        body=_class(
            '@action(effect="read", command="roll")',
            "async def graze(self) -> str:",
            '    """Graze."""',
            "    return 'grass'",
        ),
        check="names",
        state="failed",
        sentence="/roll is a command of the plugin dice",
    ),
    "takes_anything": Animal(
        body=_class(
            ACTION,
            "async def graze(self, meadow: Annotated[dict[str, Any], Field(description='x')]) -> str:",
            '    """Graze."""',
            "    return 'grass'",
        ),
        check="schema",
        state="warning",
        sentence="graze: its payload cannot be said in a strict JSON Schema",
    ),
    "talks_too_much": Animal(
        body=_class(ACTION, "async def graze(self) -> str:", f'    """{"Graze. " * 800}"""', "    return 'grass'"),
        check="prompt size",
        state="warning",
        sentence="bytes to every prompt",
    ),
    "hides_its_effect": Animal(
        body='''
class Animal:
    """Lives."""

    def get_supported_actions(self):
        return {"graze": {"description": "Graze.", "required_fields": []}}

    async def handle_custom_action(self, action_type, payload):
        return "grass"
''',
        check="effects",
        state="warning",
        sentence="graze does not say its effect",
    ),
    "describes_no_field": Animal(
        body=_class(ACTION, "async def graze(self, hours: int) -> str:", '    """Graze."""', "    return 'grass'"),
        check="descriptions",
        state="warning",
        sentence="graze: no description of hours",
    ),
    "speaks_in_riddles": Animal(
        body=_class(
            '@action(effect="read", phrases=["roll a d{sides}"])',
            "async def graze(self, sides: int = 6) -> str:",
            '    """Graze on so many sides."""',
            "    return 'grass'",
        ),
        check="phrases",
        state="failed",
        sentence="graze: 'roll a d{sides}'",
    ),
    "is_local_and_writes_nothing": Animal(
        body=_class(
            '@action(effect="local")', "async def graze(self) -> str:", '    """Graze."""', "    return 'grass'"
        ),
        check="writes",
        state="warning",
        sentence="never calls ctx.write",
    ),
    "writes_by_itself": Animal(
        body=_class(
            '@action(effect="read")',
            "async def graze(self) -> str:",
            '    """Graze."""',
            "    await self.context.kv.set('grazed', True)",
            "    return 'grass'",
        ),
        check="writes",
        state="warning",
        sentence="writes by itself",
    ),
    "has_a_hook_that_does_not_fit": Animal(
        body=_class('@hook("extend_system_prompt")', "async def graze(self, turn):", "    return None"),
        check="declaration",
        state="failed",
        sentence="does not fit the hook extend_system_prompt",
    ),
    "has_a_hook_that_answers_wrongly": Animal(
        body=_class('@hook("before_llm")', "async def graze(self, turn, request):", "    return 'grass'"),
        check="hooks",
        state="failed",
        sentence="graze answered a str, not a EngineRequest or None",
    ),
    "has_a_guard_that_says_yes": Animal(
        body=_class('@hook("before_action")', "async def graze(self, turn, action):", "    return True"),
        check="hooks",
        state="failed",
        sentence="blocks every action",
    ),
    "has_a_hook_that_raises": Animal(
        body=_class('@hook("after_llm")', "async def graze(self, turn, reply):", "    raise KeyError('grass')"),
        check="hooks",
        state="failed",
        sentence="KeyError: 'grass'",
    ),
    "injects_with_too_many_arguments": Animal(
        body=_class("def get_static_injection(self, a, b, c):", "    return 'grass'"),
        check="declaration",
        state="failed",
        sentence="get_static_injection",
    ),
    "swallows_cancellation_in_a_hook": Animal(
        body=_class(
            '@hook("gather_context")',
            "async def graze(self, turn):",
            "    for _ in range(15):",
            "        try:",
            "            await asyncio.sleep(0.1)",
            "        except asyncio.CancelledError:",
            "            pass",
            "    return 'grass'",
        ),
        check="cancellation",
        state="failed",
        sentence="graze does not end within 1 s when it is cancelled",
    ),
    "may_swallow_cancellation": Animal(
        body=_class(
            "async def run(self):",
            "    while True:",
            "        try:",
            "            await asyncio.sleep(1)",
            "        except BaseException:",
            "            self.tries = 1",
        ),
        check="cancellation",
        state="warning",
        sentence="run catches its cancellation and goes on",
    ),
    "does_not_start": Animal(
        body=_class("async def start(self):", "    raise OSError('no meadow')"),
        check="start",
        state="failed",
        sentence="The first start failed: OSError: no meadow",
    ),
    "does_not_start_again": Animal(
        body=_class(
            "starts = 0",
            "async def start(self):",
            "    self.starts += 1",
            "    if self.starts > 1:",
            "        raise OSError('grazed already')",
        ),
        check="start",
        state="failed",
        sentence="The second start failed: OSError: grazed already",
    ),
    "does_not_stop": Animal(
        body=_class("async def stop(self):", "    del self.never_taken"),
        check="stop",
        state="failed",
        sentence="The first stop failed: AttributeError",
    ),
    "has_a_broken_health": Animal(
        body=_class("async def health(self):", "    return True"),
        check="health",
        state="failed",
        sentence="health returned a bool",
    ),
    "leaves_a_task": Animal(
        body=_class(
            "async def start(self):", "    self.task = asyncio.create_task(asyncio.sleep(3600), name='grazing')"
        ),
        check="nothing left",
        state="failed",
        sentence="the task 'grazing'",
    ),
    "leaves_a_thread": Animal(
        body=_class(
            "async def start(self):",
            "    self.end = threading.Event()",
            "    threading.Thread(target=self.end.wait, name='grazer', daemon=True).start()",
        ),
        check="nothing left",
        state="failed",
        sentence="the thread 'grazer'",
    ),
    "leaves_a_descriptor": Animal(
        body=_class("async def start(self):", "    self.pipe = os.pipe()"),
        check="nothing left",
        state="failed",
        sentence="the open descriptor of pipe:",
    ),
    "leaves_a_child": Animal(
        body=_class(
            "async def start(self):",
            "    self.child = await asyncio.create_subprocess_exec('sleep', '60', stdin=subprocess.DEVNULL)",
        ),
        check="nothing left",
        state="failed",
        sentence="the child process",
    ),
    "leaves_a_file": Animal(
        body=_class(
            "async def start(self):",
            "    await asyncio.to_thread(self.graze)",
            "def graze(self):",
            "    with open('grass.txt', 'w') as file:",
            "        file.write('eaten')",
        ),
        check="nothing left",
        state="failed",
        sentence="outside of its directory",
    ),
    "sleeps_on_the_loop": Animal(
        body=_class("async def start(self):", "    time.sleep(0.01)"),
        check="blocking",
        state="failed",
        sentence="start calls time.sleep on the event loop",
    ),
    "connects_on_the_loop": Animal(
        body=_class(
            '@hook("gather_context")',
            "async def graze(self, turn):",
            "    with socket.socket() as one:",
            "        one.connect_ex(('127.0.0.1', 9))",
        ),
        check="blocking",
        state="failed",
        sentence="hooks calls a socket that connects on the event loop",
    ),
    "runs_a_program_on_the_loop": Animal(
        body=_class("async def stop(self):", "    subprocess.run(['true'])"),
        check="blocking",
        state="failed",
        sentence="stop calls the start of a program on the event loop",
    ),
    "reads_a_file_on_the_loop": Animal(
        body=_class("async def start(self):", "    open(__file__).close()"),
        check="blocking",
        state="warning",
        sentence="start calls open(",
    ),
    "computes_on_the_loop": Animal(
        body=_class(
            "async def start(self):",
            "    end = time.thread_time() + 1.5",
            "    while time.thread_time() < end:",
            "        pass",
        ),
        check="blocking",
        state="warning",
        sentence="start kept the event loop busy",
    ),
    "keeps_tables_of_people": Animal(
        body=_class(
            "async def start(self):",
            "    await self.context.database.transact(",
            "        lambda conn: conn.exec_driver_sql('CREATE TABLE IF NOT EXISTS grass (who TEXT)') and None)",
        ),
        check="people",
        state="warning",
        sentence="keeps the table grass and has no export_person and erase_person",
    ),
    "cannot_export": Animal(
        body=_class(
            "async def export_person(self, principal):",
            "    return await self.context.database.read(",
            "        lambda conn: conn.exec_driver_sql('SELECT * FROM grass').all())",
            "async def erase_person(self, principal):",
            "    return 0",
        ),
        check="people",
        state="failed",
        sentence="export_person raised",
    ),
    "erases_without_counting": Animal(
        body=_class(
            "async def export_person(self, principal):",
            "    return None",
            "async def erase_person(self, principal):",
            "    return None",
        ),
        check="people",
        state="failed",
        sentence="erase_person returned None",
    ),
    "reaches_inside_from_its_own_process": Animal(
        body=_class(
            'isolation = "process"',
            '@action(effect="local")',
            "async def graze(self, ctx: ActionContext) -> str:",
            '    """Graze."""',
            "    ctx.write(lambda conn: None)",
            "    return 'grazed'",
        ),
        check="isolation",
        state="failed",
        sentence="uses ctx.write, which is not there",
    ),
    "has_commands_in_its_own_process": Animal(
        body=_class('isolation = "process"', "def command_groups(self) -> list[Any]:", "    return []"),
        check="isolation",
        state="failed",
        sentence="uses command_groups, which is not there",
    ),
    "reads_and_raises": Animal(
        body=_class(ACTION, "async def graze(self) -> str:", '    """Graze."""', "    raise KeyError('grass')"),
        check="reads",
        state="failed",
        sentence="graze with {} raised KeyError: 'grass'",
        reads=True,
    ),
    "waits_for_a_misspelt_event": Animal(
        body=_class('@on("turn.complete")', "async def note(self, event: Any) -> None:", "    self.last = event"),
        check="events",
        state="warning",
        sentence="note waits for turn.complete, which the core does not emit",
    ),
    "takes_a_misspelt_hook": Animal(
        body=_class('@hook("before_action_")', "async def look(self, turn: TurnContext) -> None:", "    return None"),
        check="import",
        state="failed",
        sentence="line 9): @hook('before_action_'): there is no such hook. Did you mean before_action?",
    ),
}
