"""CommonMark as a terminal shows it. Imports rich: only for the interactive mode, and late."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.segment import Segment, Segments
from rich.syntax import Syntax
from rich.table import Table
from rich.theme import Theme

from interfaces.console.terminal_text import visible_controls

MAX_STYLED_CHARACTERS = 64 * 1024
_COLUMNS = (20, 100)
_THEME = Theme({"markdown.code": "cyan", "markdown.h1": "bold", "markdown.hr": "dim"})


def render_markdown(text: str, columns: int) -> str:
    """Return `text` laid out for a terminal of so many columns: lines with colour sequences, and no other controls.

    A text over 64 Ki characters comes back as it is, without its controls: laying it out takes too long.
    """
    if len(text) > MAX_STYLED_CHARACTERS:
        return visible_controls(text).rstrip("\n") + "\n"
    narrowest, widest = _COLUMNS
    width = max(narrowest, min(columns - 1, widest))
    # A file in memory: rich then decides about colours from the environment (TERM, COLORTERM, NO_COLOR).
    console = Console(file=io.StringIO(), force_terminal=True, width=width, theme=_THEME, legacy_windows=False)
    try:
        lines = list(Segment.split_lines(console.render(_Reply(visible_controls(text)))))
    except Exception:  # noqa: BLE001 - a reply that the renderer cannot cope with is shown plainly, not lost
        return visible_controls(text).rstrip("\n") + "\n"
    segments = [segment for line in lines for segment in (*_tidy(line), Segment.line())]
    with console.capture() as captured:
        console.print(Segments(segments), end="", soft_wrap=True)
    return captured.get()


def _tidy(line: Iterable[Segment]) -> list[Segment]:
    """Return a line without controls (a character reference or an escaped address may make new ones) and padding."""
    tidy = [Segment(visible_controls(segment.text), segment.style) for segment in line if not segment.control]
    while tidy and not tidy[-1].text.strip() and not (tidy[-1].style and tidy[-1].style.bgcolor):
        tidy.pop()
    if tidy:
        tidy[-1] = Segment(tidy[-1].text.rstrip(), tidy[-1].style)
    return tidy


class _LeftHeading(Heading):
    """A heading at the left margin, as everything else of a conversation."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        yield text


class _Code(CodeBlock):
    """Code set off by two columns; one blank line before and after it, as around any other block."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=(0, 2))


class _Table(TableElement):
    """A table without an edge, which would be a second blank line."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                part.show_edge = False
            yield part


class _Reply(Markdown):
    """Markdown that loses nothing of a message: line breaks, HTML tags and the addresses of links and images stay.

    A link's address is printed, not hidden behind its words, so that it cannot lead anywhere but where it says.
    """

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _LeftHeading,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")
        self.parsed = parser.parse(text)
        for token in self.parsed:
            if token.children:
                token.children = _plain_spoken(token.children)


def _plain_spoken(tokens: list[Token]) -> list[Token]:
    """Keep line breaks, and say an address that is its own link text once, as it was written."""
    kept: list[Token] = []
    address = ""
    for token in tokens:
        if token.type == "link_open" and token.info == "auto":
            address = str(token.attrs.get("href", ""))
            continue
        if token.type == "link_close" and token.info == "auto":
            address = ""
            continue
        if token.type == "text" and address:
            token.content = address.removeprefix("mailto:")
        if token.type == "image":
            words = f"{token.content} ({token.attrs.get('src', '')})"
            token = Token("text", "", 0, content=words.strip())
        if token.type == "softbreak":
            token.type = "hardbreak"
        kept.append(token)
    return kept
