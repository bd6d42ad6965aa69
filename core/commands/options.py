"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

MOST_ROWS = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Watch = Annotated[bool, typer.Option("--watch", help="Reload plugins whose files change.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=MOST_ROWS, help="How many rows at most.")]
