"""What is asked of a language model, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.contracts.actions import ActionSpec
from core.contracts.json import Json


class Source(StrEnum):
    """Where a message of the prompt comes from.

    PRINCIPAL: the words of the one who asks in this turn. HISTORY: what a person said before. ASSISTANT: what the
    model itself answered. OUTCOMES: what became of its actions. CONTEXT: facts that plugins inject. FOREIGN: text
    that the principal did not write. CORRECTION: the errors of a reply, back to the model.
    """

    PRINCIPAL = "principal"
    HISTORY = "history"
    ASSISTANT = "assistant"
    OUTCOMES = "outcomes"
    CONTEXT = "context"
    FOREIGN = "foreign"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    """One message of the prompt. `role` is "system", "user" or "assistant", as in Chat Completions."""

    role: str
    content: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """One call of a model.

    instructions: the rules, the same in every call. catalogue: the actions with all their fields described, for a
    model that sees nothing else. catalogue_brief: the actions without their fields, beside an enforced schema,
    which describes them. messages: summary, history, context, input, then the steps of this turn.
    response_schema: strict JSON Schema of the reply, or None where the catalogue cannot be said in one.
    actions: what may be asked for, for engines that read declarations themselves.
    timeout_s: how long the caller will wait, in seconds.
    """

    instructions: str
    catalogue: str
    catalogue_brief: str
    messages: tuple[PromptMessage, ...]
    actions: tuple[ActionSpec, ...] = ()
    response_schema: Mapping[str, Json] | None = None
    model: str = ""
    temperature: float | None = None
    max_output_tokens: int | None = None
    timeout_s: float = 120.0

    def chat(self, *, schema_enforced: bool) -> list[dict[str, str]]:
        """Return the messages of a Chat Completions call: one stable system message, then the rest.

        Neighbours of one role are put together, since the chat templates of many models want the roles to alternate.
        """
        catalogue = self.catalogue_brief if schema_enforced else self.catalogue
        chat = [{"role": "system", "content": f"{self.instructions}\n\n{catalogue}".strip()}]
        for message in self.messages:
            if message.role == chat[-1]["role"]:
                chat[-1]["content"] += f"\n\n{message.content}"
            else:
                chat.append({"role": message.role, "content": message.content})
        return chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the server counted them; None where it did not say."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReply:
    """What a model answered. `text` is raw. `finish_reason` as the server says it: "length" means cut off.

    prompt_bytes: the bytes of the prompt as it was sent, schema included; 0 where nothing was sent.
    """

    text: str
    reasoning: str = ""
    usage: Usage = Usage()
    finish_reason: str = "stop"
    model: str = ""
    prompt_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCapabilities:
    """What an engine can do: enforce a JSON Schema, see images, and how much it can read, in tokens.

    language_model: False for one that cannot write freely (summaries are not asked of it).
    """

    json_schema: bool = False
    images: bool = False
    context_tokens: int = 16_000
    language_model: bool = True
