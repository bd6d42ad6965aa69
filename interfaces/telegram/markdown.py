"""CommonMark to text with entities: Telegram's own markup would have to be escaped, entities cannot be broken.

Block structure that Telegram has no entity for (lists, tables, headings) is shown in characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from interfaces.telegram.formatted import Formatted, Span, outside, without_lone_surrogates

MOST_MARKED_UP = 64 * 1024
"""Characters; a longer text is sent as it stands, since taking hostile markup apart takes too long."""

_STYLES = {"strong": "bold", "em": "italic", "s": "strikethrough"}
_LINKED = ("http://", "https://", "tg://")
_ENTITY = re.compile(r"&#?\w+;")
_RULE = "———"
_INDENT = "  "


def render_markdown(text: str) -> Formatted:
    """Return what Telegram is to show for a CommonMark text. Raises nothing, and loses no word."""
    text = without_lone_surrogates(text)
    if len(text) > MOST_MARKED_UP:
        return Formatted(text=text)
    parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")
    parser.disable("reference")  # definitions would be hidden
    writing = _Writing()
    _Blocks(writing).write(parser.parse(text))
    written = writing.finished()
    return written if written.text.strip() and _holds_all(written, text) else Formatted(text=text)


def _holds_all(written: Formatted, source: str) -> bool:
    """Whether no letter was lost: CommonMark hides definitions, titles, and cells that have no column.

    Digits are not looked at, since lists are numbered anew, nor are the names of HTML entities.
    """
    wanted = Counter(filter(str.isalpha, _ENTITY.sub("", source)))
    beside = "".join(span.url + span.language for span in written.spans)
    return any(wanted <= Counter(filter(str.isalpha, written.text + held)) for held in (beside, unquote(beside)))


@dataclass(slots=True)
class _Writing:
    """The text so far, and the entities that are open in it."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    spans: list[Span] = field(default_factory=list)

    def put(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)

    def close(self, kind: str, start: int, *, url: str = "", language: str = "") -> None:
        if self.length > start:
            self.spans.append(Span(kind=kind, start=start, end=self.length, url=url, language=language))

    def finished(self) -> Formatted:
        """Code can neither hold nor be part of other entities, but for a quote around it."""
        code = sorted((span for span in self.spans if span.kind in ("code", "pre")), key=lambda span: span.start)
        spans = list(code)
        for span in self.spans:
            if span.kind == "blockquote":
                spans.append(span)
            elif span.kind not in ("code", "pre"):
                spans += outside(span, code)
        ordered = sorted(spans, key=lambda span: (span.start, -span.end))
        return Formatted(text="".join(self.pieces), spans=tuple(ordered))


@dataclass(slots=True)
class _List:
    number: int | None
    tight: bool = True


class _Blocks:
    """Writes block tokens. Blocks are set apart by a blank line, those of a tight list by a line break."""

    def __init__(self, writing: _Writing) -> None:
        self._out = writing
        self._lists: list[_List] = []
        self._opened: list[int] = []
        self._quotes = 0
        self._between = ""
        self._marker = ""

    def write(self, tokens: Sequence[Token]) -> None:
        table: list[list[str]] = []
        for token in tokens:
            match token.type:
                case "inline":
                    if table:
                        table[-1].append(_plain(token.children or []))
                    else:
                        self._begin()
                        _Inlines(self._out, self._indent()).write(token.children or [])
                case "heading_open":
                    self._begin()
                    self._opened.append(self._out.length)
                case "heading_close":
                    self._out.close("bold", self._opened.pop())
                    self._between = "\n\n"
                case "paragraph_close":
                    self._between = "\n" if token.hidden else "\n\n"
                case "fence" | "code_block":
                    self._code(token.content, token.info.split(maxsplit=1)[0] if token.info.strip() else "")
                case "hr":
                    self._begin()
                    self._out.put(_RULE)
                    self._between = "\n\n"
                case "blockquote_open":
                    self._quotes += 1
                    if self._quotes == 1:
                        self._begin()
                        self._opened.append(self._out.length)
                case "blockquote_close":
                    self._quotes -= 1
                    if self._quotes == 0:
                        self._out.close("blockquote", self._opened.pop())
                    self._between = "\n\n"
                case "bullet_list_open" | "ordered_list_open":
                    start = int(token.attrs.get("start", 1)) if token.type.startswith("ordered") else None
                    self._lists.append(_List(number=start))
                case "bullet_list_close" | "ordered_list_close":
                    self._lists.pop()
                    self._between = "\n" if self._lists else "\n\n"
                case "list_item_open":
                    self._item()
                case "list_item_close":
                    self._empty_item()
                case "tr_open":
                    table.append([])
                case "table_close":
                    self._code(_table(table), "")
                    table = []

    def _begin(self) -> None:
        """Set the next block apart from the one before; write the mark of a list's item that it begins."""
        if self._between:
            self._out.put(self._between)
            self._between = ""
        if self._marker:
            self._out.put(self._marker)
            self._marker = ""
        elif self._out.length and self._lists and self._out.pieces[-1].endswith("\n"):
            self._out.put(self._indent())

    def _item(self) -> None:
        items = self._lists[-1]
        mark = "•"
        if items.number is not None:
            mark = f"{items.number}."
            items.number += 1
        indent = _INDENT * (len(self._lists) - 1)
        if self._marker:  # a list that begins an item: both marks stand in one line
            self._marker += f"{mark} "
            return
        self._marker = f"{indent}{mark} "

    def _empty_item(self) -> None:
        if self._marker:
            self._begin()
            self._between = "\n"

    def _indent(self) -> str:
        return _INDENT * len(self._lists)

    def _code(self, content: str, language: str) -> None:
        self._begin()
        start = self._out.length
        self._out.put(content.rstrip("\n"))
        self._out.close("pre", start, language=language[:64])
        self._between = "\n\n"


class _Inlines:
    """Writes inline tokens; `indent` stands at the beginning of their further lines."""

    def __init__(self, writing: _Writing, indent: str) -> None:
        self._out = writing
        self._indent = indent
        self._opened: list[tuple[int, str]] = []

    def write(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            kind, _, end = token.type.rpartition("_")
            if token.type in ("softbreak", "hardbreak"):
                self._out.put("\n" + self._indent)
            elif token.type == "code_inline":
                start = self._out.length
                self._out.put(token.content)
                self._out.close("code", start)
            elif token.type == "image":
                self._address(_plain(token.children or []), str(token.attrs.get("src", "")))
            elif end == "open" and (kind in _STYLES or kind == "link"):
                self._opened.append((self._out.length, str(token.attrs.get("href", ""))))
            elif end == "close" and kind in _STYLES:
                self._out.close(_STYLES[kind], self._opened.pop()[0])
            elif end == "close" and kind == "link":
                self._link(*self._opened.pop())
            else:
                self._out.put(token.content)

    def _link(self, start: int, address: str) -> None:
        """An address that Telegram would not open is written out, as is one without words."""
        if self._out.length == start:
            self._out.put(address)
        elif address.lower().startswith(_LINKED):
            self._out.close("text_link", start, url=address)
        elif address:
            self._out.put(f" ({address})")

    def _address(self, words: str, address: str) -> None:
        start = self._out.length
        self._out.put(words)
        self._link(start, address)


def _plain(tokens: Sequence[Token]) -> str:
    """Return the words of inline tokens."""
    return "".join(
        "\n"
        if token.type in ("softbreak", "hardbreak")
        else _plain(token.children)
        if token.children
        else token.content
        for token in tokens
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in characters of one width, a rule below its head."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(columns)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    return "\n".join([*lines[:1], "-+-".join("-" * width for width in widths), *lines[1:]])
