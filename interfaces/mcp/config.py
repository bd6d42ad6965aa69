"""`[interfaces.mcp]`: as whom a client calls, and where it may reach us over HTTP."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, SecretStr, StrictBool, field_validator

_LISTEN = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})")
_USER_ID = re.compile(r"[A-Za-z0-9_.@-]{1,60}")
SHORTEST_TOKEN = 16


class McpConfig(BaseModel):
    """`[interfaces.mcp]`.

    principal: the user id of every client, as "desk"; its role is what TRAINER_IDS and pairing say of mcp:desk.
    trusted: calls are not tainted, for clients that read nothing from outside. listen: host:port to be reached over
    HTTP by whoever knows the token; "": not over HTTP.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    principal: str = "desk"
    trusted: StrictBool = False
    listen: str = ""
    token: SecretStr | None = None

    @field_validator("principal")
    @classmethod
    def _user_id(cls, principal: str) -> str:
        user_id = principal.removeprefix("mcp:")
        if not _USER_ID.fullmatch(user_id):
            raise ValueError("is a user id of this interface, such as desk (its principal is mcp:desk then)")
        return user_id

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, listen: str) -> str:
        found = _LISTEN.fullmatch(listen)
        if listen and (found is None or int(found[1]) > 65535):
            raise ValueError("must be host:port, such as 127.0.0.1:8790")
        return listen

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"needs {SHORTEST_TOKEN} characters at least")
        return token

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
