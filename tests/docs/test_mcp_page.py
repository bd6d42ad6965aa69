"""docs/mcp.md names every key of both tables, with its default, and its examples can be loaded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from core.settings import load_settings
from interfaces.mcp.config import McpConfig as Served
from plugins.mcp.config import McpConfig, ServerConfig, ToolConfig

PAGE = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
TABLES = [
    dict(re.findall(r"^\| `([a-z_]+)` \| (.*?) \| .+ \|$", table, re.MULTILINE))
    for table in re.findall(r"^\| key \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
]
EXAMPLES: list[str] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
OTHERWISE = {
    "cwd": "Rekku's",
    "permission": "the server's",
    "effect": "the server's",
    "description": "the server's words",
}


@pytest.mark.parametrize(("table", "model"), list(zip(TABLES, (ServerConfig, ToolConfig, Served), strict=True)))
def test_the_tables_are_those_of_the_models(table: dict[str, str], model: type[BaseModel]) -> None:
    assert table.keys() == model.model_fields.keys()
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if default in (None, "", [], {}):
            assert table[key] in ("none", OTHERWISE.get(key))
        else:
            written = f"{default:g}" if type(default) is float else str(default).lower()
            assert table[key].strip("`") == written


def test_the_examples_are_sound(tmp_path: Path) -> None:
    secrets = {"TRACKER_TOKEN": "a-token-of-the-tracker", "MCP_ACCESS_TOKEN": "x" * 20}
    together = {}
    for example in EXAMPLES:
        together.update(tomllib.loads(example))
        (tmp_path / "rekku.toml").write_text(example, encoding="utf-8")
        settings = load_settings(secrets, home=tmp_path)
        for kind, model in (("plugins", McpConfig), ("interfaces", Served)):
            table = settings.component(kind, "mcp")
            assert table.error == ""
            model.model_validate(dict(table.values))
    assert together.keys() == {"plugins", "interfaces"}
