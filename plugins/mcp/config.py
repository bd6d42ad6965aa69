"""`[plugins.mcp]`: the servers, and what may be done with their tools."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, field_validator, model_validator

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


class ToolConfig(BaseModel):
    """`[plugins.mcp.servers.NAME.tools.TOOL]`: what is different for one tool. What is not set is the server's."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    permission: Literal["anyone", "user", "trainer"] | None = None
    effect: Literal["read", "external"] | None = None
    enabled: StrictBool = True
    description: str = Field(default="", max_length=1000)
    """In place of the server's own words."""


class ServerConfig(BaseModel):
    """`[plugins.mcp.servers.NAME]`: a program that is started, or a URL.

    env: what the program's environment holds besides PATH, HOME, USER, LOGNAME, SHELL and TERM; nothing else of
    ours reaches it. permission and effect are what the tools have unless they are named below: what a server says
    of them itself counts for nothing. timeout_s: seconds that a call may take.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    command: str = ""
    args: list[str] = Field(default_factory=list, repr=False)
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    cwd: str = ""
    url: str = Field(default="", repr=False)
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    permission: Literal["anyone", "user", "trainer"] = "trainer"
    effect: Literal["read", "external"] = "external"
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    enabled: StrictBool = True
    tools: dict[str, ToolConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> ServerConfig:
        if bool(self.command) == bool(self.url):
            raise ValueError("name either a command, or a url")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("the url must begin with http:// or https://")
        if self.url and (self.args or self.env or self.cwd):
            raise ValueError("args, env and cwd belong to a command, not to a url")
        if self.command and self.headers:
            raise ValueError("headers belong to a url, not to a command")
        return self


class McpConfig(BaseModel):
    """`[plugins.mcp]`."""

    servers: dict[str, ServerConfig] = Field(default_factory=dict)

    @field_validator("servers")
    @classmethod
    def _names(cls, servers: dict[str, ServerConfig]) -> dict[str, ServerConfig]:
        for name in servers:
            if not _NAME.fullmatch(name) or name == "mcp":
                raise ValueError(f"{name!r} is no name of a server: use a-z, 0-9 and _, 31 at most, and not just mcp")
        return servers
