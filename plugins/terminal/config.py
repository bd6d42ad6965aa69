"""The keys of `[plugins.terminal]`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

LONGEST_TIMEOUT_S = 3600
"""What `max_timeout_s` may be at most: the deadline that the actions declare lies a minute above it."""

MIB = 1024 * 1024


class TerminalConfig(BaseModel):
    """Units are in the names; docs/terminal.md says what each key is for."""

    sandbox: Literal["auto", "bubblewrap", "landlock", "none"] = "auto"
    network: bool = False
    hide: tuple[str, ...] = ("~/.ssh", "~/.gnupg", "~/.aws", "~/.kube", "~/.docker", "~/.netrc", "~/.config")
    output_is_trusted: bool = False
    default_timeout_s: float = Field(default=60, gt=0, le=LONGEST_TIMEOUT_S)
    max_timeout_s: float = Field(default=600, gt=0, le=LONGEST_TIMEOUT_S)
    output_bytes: int = Field(default=16_384, ge=256, le=4 * MIB)
    memory_mb: int = Field(default=4096, ge=64)
    processes: int = Field(default=256, ge=8)
    file_mb: int = Field(default=1024, ge=1)
    open_files: int = Field(default=1024, ge=64)
    tmp_mb: int = Field(default=256, ge=1)
    max_sessions: int = Field(default=8, ge=1, le=64)
    idle_s: float = Field(default=1800, gt=0)
    rows: int = Field(default=30, ge=5, le=200)
    columns: int = Field(default=120, ge=20, le=500)
