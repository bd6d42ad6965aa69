"""What is to be seen after everything has come to rest: at the platform, the model, the world and the database."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.contracts.json import JsonObject
from tests.faults.child import Job
from tests.faults.children import Children
from tests.faults.outside import CALLS, PLATFORM, REPLIES, SENDS, WORLD, Records, Said

ANSWERED_BY_MODEL = frozenset(REPLIES)


@dataclass(frozen=True, slots=True)
class Scene:
    """A home and what stands around it, over all its runs, with what is noted at the end of each.

    asked_in_vain: what the model was asked though its reply was recorded. begun: external actions, by token, that
    were begun and had no end. in_flight: parts that the platform had taken and the database did not know of.
    """

    directory: Path
    asked_in_vain: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    in_flight: Counter[int] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def outside(self) -> Records:
        return Records(self.directory)

    async def run(self, children: Children, said: Sequence[Said], **how: object) -> int:
        """Run a child here; see `Job` for `how`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        words = [{"key": s.key, "chat": s.chat, "text": s.text, "user": s.user} for s in said]
        kill_after_s = how.pop("kill_after_s", None)
        assert kill_after_s is None or isinstance(kill_after_s, float)
        job = Job(job=children.number(), home=str(self.home), world=str(self.directory), said=words, **how)  # type: ignore[arg-type]
        recorded, calls_before = self._recorded(), len(self.outside.read(CALLS))
        code = await children.run(job, kill_after_s=kill_after_s)
        for call in self.outside.read(CALLS)[calls_before:]:
            if (call["token"], call["step"]) in recorded:
                self.asked_in_vain.append(f"the model was asked again for step {call['step']} of {call['token']}")
        if code:
            self._note_what_was_open()
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

    def _has_tables(self) -> bool:
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
        connection = sqlite3.connect(f"file:{self.home / 'rekku.db'}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(statement)]
        finally:
            connection.close()

    def log(self) -> str:
        """Return the end of what the children logged."""
        path = self.directory / "log"
        return path.read_text()[-3000:] if path.exists() else ""


def complaints(scene: Scene, said: Sequence[Said], *, failing_turns: bool = False) -> list[str]:
    """Return what is wrong after a scene has come to rest; nothing when every promise was kept.

    failing_turns: a turn may have ended as failed, its user told.
    """
    return [
        *_inputs(scene, said, failing_turns=failing_turns),
        *_sends(scene),
        *_answers(scene, said, failing_turns=failing_turns),
        *_world(scene),
        *scene.asked_in_vain,
    ]


def _inputs(scene: Scene, said: Sequence[Said], *, failing_turns: bool) -> list[str]:
    found = []
    keys = Counter(row["dedupe_key"] for row in scene.rows("SELECT dedupe_key FROM inbox"))
    found += [f"input {s.key} stands {keys[s.key]} times in the inbox" for s in said if keys[s.key] != 1]
    found += [f"input {row['id']} is {row['state']}" for row in scene.rows("SELECT * FROM inbox WHERE state<>'done'")]
    turns = scene.rows("SELECT turns.*, kind FROM turns JOIN inbox ON inbox.id = turns.input_id")
    unsure = {row["turn_id"] for row in scene.rows("SELECT turn_id FROM ledger WHERE status = 'unknown'")}
    for turn in turns:
        may_fail = failing_turns or (turn["kind"] == "command" and turn["id"] in unsure)
        if turn["state"] != "complete" and not (may_fail and turn["state"] == "error"):
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


def _sends(scene: Scene) -> list[str]:
    found = []
    outbox = scene.rows("SELECT * FROM outbox")
    found += [f"part {row['id']} is {row['state']}: {row['reason']}" for row in outbox if row["state"] != "sent"]
    sends = scene.outside.read(SENDS)
    times = Counter(event["id"] for event in sends)
    found += [f"part {row['id']} was never seen at the platform" for row in outbox if not times[row["id"]]]
    for id_, n in times.items():
        if n > 1 + scene.in_flight[id_]:
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
        if len(answers) != 1:
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


def _world(scene: Scene) -> list[str]:
    found = []
    touched = Counter(event["token"] for event in scene.outside.read(WORLD))
    found += [f"the world was touched {n} times for {token}" for token, n in touched.items() if n > 1]
    ledger = scene.rows("SELECT * FROM ledger")
    found += [
        f"ledger row {row['id']} ({row['action']}) is still open" for row in ledger if row["status"] == "started"
    ]
    unsure = _unsure(scene)
    if unsure != scene.begun:
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
