"""What is to be seen after everything has come to rest: at the platform, the model, the world and the database."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import inspect, text

from core.contracts.json import JsonObject
from core.storage.server import ServerDatabase
from tests.faults.child import Job
from tests.faults.children import Children
from tests.faults.outside import CALLS, PLATFORM, REPLIES, SENDS, WORLD, Records, Said

T = TypeVar("T")

ANSWERED_BY_MODEL = frozenset(REPLIES)


@dataclass(frozen=True, slots=True)
class Scene:
    """A home and what stands around it, over all its runs, with what is noted at the end of each.

    database: the URL of a server, where the home's own file is not used. own_home: of one process among several.
    asked_in_vain: what the model was asked though its reply was recorded. begun: external actions, by token, that
    were begun and had no end. in_flight: parts that the platform had taken and the database did not know of.
    """

    directory: Path
    database: str = ""
    own_home: Path | None = None
    asked_in_vain: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    in_flight: Counter[int] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        return self.own_home or self.directory / "home"

    @property
    def outside(self) -> Records:
        return Records(self.directory)

    async def run(self, children: Children, said: Sequence[Said], **how: object) -> int:
        """Run a child here; see `Job` for `how`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        words = [{"key": s.key, "chat": s.chat, "text": s.text, "user": s.user} for s in said]
        kill_after_s = how.pop("kill_after_s", None)
        assert kill_after_s is None or isinstance(kill_after_s, float)
        while_it_runs: Any = how.pop("while_it_runs", None)
        places = {"home": str(self.home), "world": str(self.directory), "database": self.database}
        job = Job(job=children.number(), said=words, **places, **how)  # type: ignore[arg-type]
        alone = self.own_home is None
        recorded, calls_before = self._recorded() if alone else set(), len(self.outside.read(CALLS))
        code = await children.run(job, kill_after_s=kill_after_s, while_it_runs=while_it_runs)
        if self.own_home is not None:
            return code  # others work here at the same time: what is open is not this one's
        for call in self.outside.read(CALLS)[calls_before:]:
            if (call["token"], call["step"]) in recorded:
                self.asked_in_vain.append(f"the model was asked again for step {call['step']} of {call['token']}")
        if code:
            self._note_what_was_open()
        if code >= 0:
            self._note_what_was_stopped()
        return code

    def _note_what_was_open(self) -> None:
        if not self._has_tables():
            return
        open_rows = self.rows("SELECT payload FROM ledger WHERE status = 'started'")
        self.begun.update(_token(row) for row in open_rows)
        taken = {event["id"] for event in self.outside.read(SENDS)}
        sending = self.rows("SELECT id, address FROM outbox WHERE state = 'sending'")
        self.in_flight.update(row["id"] for row in sending if row["id"] in taken)
        addresses = Counter(row["address"] for row in sending)
        assert all(n == 1 for n in addresses.values()), f"more than one part of an address is in flight: {sending}"

    def _note_what_was_stopped(self) -> None:
        """Note what a process that left in good order has cancelled: it wrote itself that the end is not known."""
        if self._has_tables():
            stopped = self.rows(
                "SELECT payload FROM ledger WHERE status = 'unknown' AND reason LIKE 'It was stopped%'"
            )
            self.begun.update(_token(row) for row in stopped)

    def _has_tables(self) -> bool:
        if self.database:
            return "faults_kept" in self._tables_of_server()
        if not (self.home / "rekku.db").exists():
            return False
        try:
            return bool(self.rows("SELECT name FROM sqlite_master WHERE name = 'faults_kept'"))
        except sqlite3.OperationalError:
            return False  # torn in its first moments: to be mended by who may write to it, and that is not us

    def _recorded(self) -> set[tuple[str, int]]:
        """Return the steps, by token, whose reply is recorded."""
        if not self._has_tables():
            return set()
        rows = self.rows(
            "SELECT replies.step, inbox.body FROM replies JOIN turns ON turns.id = replies.turn_id "
            "JOIN inbox ON inbox.id = turns.input_id"
        )
        return {(json.loads(row["body"])["text"].split()[1], row["step"]) for row in rows}

    def rows(self, statement: str) -> list[JsonObject]:
        """Return the rows of a query on the database."""
        if self.database:
            return asked_of_server(
                self.database, lambda conn: [dict(row._mapping) for row in conn.execute(text(statement))]
            )
        connection = sqlite3.connect(f"file:{self.home / 'rekku.db'}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(statement)]
        finally:
            connection.close()

    def _tables_of_server(self) -> list[str]:
        return asked_of_server(self.database, lambda conn: inspect(conn).get_table_names())

    def log(self) -> str:
        """Return the end of what the children logged."""
        path = self.directory / "log"
        return path.read_text()[-3000:] if path.exists() else ""


def asked_of_server(url: str, fn: Callable[[Any], T]) -> T:
    """Return what a function of a connection finds on a server; in a loop of its own, for whoever has one already."""

    async def ask() -> T:
        database = ServerDatabase(url, read_only=True)
        await database.start()
        try:
            return await database.read(fn)
        finally:
            await database.stop()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result()


def complaints(
    scene: Scene, said: Sequence[Said], *, failing_turns: bool = False, gateway_kills: int | None = None
) -> list[str]:
    """Return what is wrong after a scene has come to rest; nothing when every promise was kept.

    failing_turns: a turn may have ended as failed, its user told. gateway_kills: how often what sends was killed
    where several processes shared the work, so that nobody could note what was open at the end of one.
    """
    return [
        *_inputs(scene, said, failing_turns=failing_turns),
        *_sends(scene, gateway_kills),
        *_answers(scene, said, failing_turns=failing_turns),
        *_world(scene, noted=gateway_kills is None),
        *scene.asked_in_vain,
    ]


def _inputs(scene: Scene, said: Sequence[Said], *, failing_turns: bool) -> list[str]:
    found = []
    keys = Counter(row["dedupe_key"] for row in scene.rows("SELECT dedupe_key FROM inbox"))
    found += [f"input {s.key} stands {keys[s.key]} times in the inbox" for s in said if keys[s.key] != 1]
    found += [f"input {row['id']} is {row['state']}" for row in scene.rows("SELECT * FROM inbox WHERE state<>'done'")]
    turns = scene.rows("SELECT turns.*, kind FROM turns JOIN inbox ON inbox.id = turns.input_id")
    unsure = {row["turn_id"] for row in scene.rows("SELECT turn_id FROM ledger WHERE status = 'unknown'")}
    unanswered = _press_given_up(scene) if failing_turns else set()
    for turn in turns:
        may_fail = failing_turns or (turn["kind"] == "command" and turn["id"] in unsure)
        waits = turn["state"] == "awaiting_approval" and turn["input_id"] in unanswered
        if turn["state"] != "complete" and not (may_fail and turn["state"] == "error") and not waits:
            found.append(f"turn {turn['id']} ended as {turn['state']}: {turn['reason']}")
    opened = scene.rows(
        "SELECT inbox.lane, input_id FROM turns JOIN inbox ON inbox.id = turns.input_id "
        "WHERE NOT passes_lanes ORDER BY turns.id"
    )
    for lane in {turn["lane"] for turn in opened}:
        taken_up = [turn["input_id"] for turn in opened if turn["lane"] == lane]
        if taken_up != sorted(taken_up):
            found.append(f"the inputs of {lane} were taken up in the order {taken_up}")
    inputs = Counter(turn["input_id"] for turn in turns)
    found += [f"input {input_id} has {n} turns" for input_id, n in inputs.items() if n != 1]
    return found


def _press_given_up(scene: Scene) -> set[int]:
    """The inputs whose action waits for an approval since the turn of the button's press was given up.

    A turn that was interrupted too often ends as failed, and who pressed is told; the approval can still be given.
    """
    waiting = scene.rows(
        "SELECT approvals.id, turns.input_id FROM approvals JOIN turns ON turns.id = approvals.turn_id "
        "WHERE approvals.state = 'waiting' AND turns.state = 'awaiting_approval'"
    )
    presses = {
        row["dedupe_key"]: row
        for row in scene.rows(
            "SELECT inbox.dedupe_key, inbox.lane, turns.id, turns.reason FROM inbox "
            "JOIN turns ON turns.input_id = inbox.id WHERE turns.state = 'error'"
        )
    }
    turn_of = {row["id"]: row["turn_id"] for row in scene.rows("SELECT id, turn_id FROM outbox")}
    told = {(turn_of.get(event["id"]), event["address"], event["text"]) for event in scene.outside.read(SENDS)}
    found = set()
    for row in waiting:
        press = presses.get(f"press {row['id']}")
        if press is not None and (press["id"], press["lane"], press["reason"]) in told:
            found.add(row["input_id"])
    return found


def _sends(scene: Scene, gateway_kills: int | None) -> list[str]:
    found = []
    outbox = scene.rows("SELECT * FROM outbox")
    found += [f"part {row['id']} is {row['state']}: {row['reason']}" for row in outbox if row["state"] != "sent"]
    sends = scene.outside.read(SENDS)
    times = Counter(event["id"] for event in sends)
    found += [f"part {row['id']} was never seen at the platform" for row in outbox if not times[row["id"]]]
    for id_, n in times.items():
        if n > 1 + (scene.in_flight[id_] if gateway_kills is None else gateway_kills):
            found.append(f"part {id_} was sent {n} times, and was in flight {scene.in_flight[id_]} times")
    for address in {event["address"] for event in sends}:
        ids = [event["id"] for event in sends if event["address"] == address]
        in_order = [id_ for place, id_ in enumerate(ids) if place == 0 or ids[place - 1] != id_]
        if in_order != sorted(set(ids)):
            found.append(f"{address} got its parts in the order {ids}")
    return found


def _answers(scene: Scene, said: Sequence[Said], *, failing_turns: bool) -> list[str]:
    """Each input is answered by one part of its own; a part that was sent again counts once."""
    parts = {event["id"]: event for event in scene.outside.read(SENDS)}.values()
    unsure = _unsure(scene)
    found = []
    unanswered = _press_given_up(scene) if failing_turns else set()
    waiting = {row["dedupe_key"] for row in scene.rows("SELECT id, dedupe_key FROM inbox") if row["id"] in unanswered}
    failed = {
        row["dedupe_key"]
        for row in scene.rows(
            "SELECT dedupe_key FROM inbox JOIN turns ON turns.input_id = inbox.id WHERE turns.state = 'error'"
        )
    }
    for each in said:
        address = f"{PLATFORM}:{each.chat}"
        word, token = each.text.split()
        texts = [part["text"] for part in parts if part["address"] == address and token in part["text"].split()]
        texts += [p["text"] for p in parts if p["address"] == address and f"answer {token}:" in p["text"]]
        answers = [t for t in texts if t.startswith(("answer", "appended", "kept", "saw"))]
        told = [p["text"] for p in parts if f'"{token}"' in p["text"] and "not known" in p["text"]]
        if token in unsure and not told and not word.startswith("/"):
            found.append(f"nobody was told that the end of {token} is not known")
        if failing_turns and each.key in failed:
            continue
        if token in unsure and word.startswith("/"):
            answers += [p["text"] for p in parts if p["address"] == address and "not known" in p["text"]]
        if len(answers) != (0 if each.key in waiting else 1):
            found.append(f"{each.text!r} was answered by {answers}")
        befores = [text for text in texts if text == f"before {token}"]
        if len(befores) != (1 if word == "mixed" else 0):
            found.append(f"{each.text!r} got {befores} before its answer")
    return found


def _unsure(scene: Scene) -> set[str]:
    rows = scene.rows("SELECT payload FROM ledger WHERE status = 'unknown'")
    return {_token(row) for row in rows}


def _token(row: JsonObject) -> str:
    return str(json.loads(row["payload"])["token"])


def _world(scene: Scene, *, noted: bool) -> list[str]:
    found = []
    touched = Counter(event["token"] for event in scene.outside.read(WORLD))
    found += [f"the world was touched {n} times for {token}" for token, n in touched.items() if n > 1]
    ledger = scene.rows("SELECT * FROM ledger")
    found += [
        f"ledger row {row['id']} ({row['action']}) is still open" for row in ledger if row["status"] == "started"
    ]
    unsure = _unsure(scene)
    if noted and unsure != scene.begun:
        found.append(f"the end of {unsure} is said not to be known, begun without an end were {scene.begun}")
    seen = " ".join(" ".join(call["outcomes"]) for call in scene.outside.read(CALLS))
    for row in ledger:
        token = json.loads(row["payload"]).get("token", "")
        if row["effect"] == "external" and row["status"] == "done" and not touched[token]:
            found.append(f"{row['action']} {token} counts as done, but the world was not touched")
        may_know = row["turn_id"] in _asked(scene) and '"status":"unknown"' not in seen
        if row["effect"] == "external" and row["status"] == "unknown" and may_know:
            found.append(f"the model was not told that the end of {row['action']} is not known")
    kept = Counter(row["token"] for row in scene.rows("SELECT token FROM faults_kept"))
    wanted = Counter(_token(row) for row in ledger if row["action"] == "keep")
    if kept != wanted:
        found.append(f"rows kept: {kept}, by the ledger: {wanted}")
    return found


def _asked(scene: Scene) -> set[int]:
    """The turns in which a model was asked and that came to their end; one that was given up tells the user alone."""
    found = scene.rows(
        "SELECT DISTINCT replies.turn_id FROM replies JOIN turns ON turns.id = replies.turn_id"
        " WHERE turns.state = 'complete'"
    )
    return {row["turn_id"] for row in found}
