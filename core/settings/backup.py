"""`[backup]`: the backups that are made while Rekku runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt


def _path(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("must be the path of a directory")
    return value


class BackupSettings(BaseModel):
    """`[backup]`: a day's work at most is lost with a disk, and a week can be looked back on."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    every_hours: StrictInt = Field(default=24, ge=0, le=8760, description="Hours from one to the next; 0: none.")
    keep: StrictInt = Field(default=7, ge=1, le=1000, description="How many are kept; older ones are removed.")
    directory: Annotated[Path, BeforeValidator(_path)] = Field(
        default=Path("backups"), description="Where they are; a relative path is below the home."
    )
