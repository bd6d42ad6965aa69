"""Where components are found, and under which names their modules are imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from core.ai_plugin_base import AIPluginBase
from core.registry.discovery import discover
from tests.support.plugin_files import CONTRACT_PLUGIN, found_in, loaded, plugin_source, states, write_files


def test_folders_are_walked_and_underscores_skipped(tmp_path: Path) -> None:
    folder = write_files(
        tmp_path,
        {
            "zebra.py": "",
            "alpha.py": "",
            "_draft.py": "",
            "_old/gone.py": "",
            ".hidden/gone.py": "",
            "notes.txt": "",
            "media/__init__.py": '"""A plain folder of plugins."""',
            "media/deep/sound.py": "",
            "bundle/__init__.py": "from .inner import PLUGIN_CLASS",
            "bundle/inner.py": "",
        },
    )
    assert [found.name for found in found_in(folder)] == ["alpha", "bundle", "sound", "zebra"]


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    write_files(tmp_path, {"dice.py": "", "more/time.py": ""})
    (tmp_path / "more" / "back").symlink_to(tmp_path)
    assert [found.name for found in found_in(tmp_path)] == ["dice", "time"]


def test_finding_imports_nothing(tmp_path: Path) -> None:
    write_files(tmp_path, {"bad.py": "raise SystemExit"})
    assert [found.name for found in found_in(tmp_path)] == ["bad"]


def test_the_built_in_packages_are_found_under_their_names() -> None:
    found = {one.name: one for one in discover("plugin")}
    assert found["dice"].load() is sys.modules["plugins.dice"]
    assert {one.name for one in discover("interface")} >= {"console"}
    assert {one.name for one in discover("engine")} >= {"offline", "openai"}


def test_home_and_path_are_for_plugins_only(tmp_path: Path) -> None:
    home = write_files(tmp_path / "home", {"plugins/mine.py": ""})
    one = write_files(tmp_path / "one", {"first.py": ""})
    two = write_files(tmp_path / "two", {"second.py": ""})
    plugin_path = os.pathsep.join([str(two), "", str(one), str(two)])
    names = [found.name for found in discover("plugin", home=home, plugin_path=plugin_path, builtin=tmp_path / "x")]
    assert [name for name in names if name in ("mine", "first", "second")] == ["mine", "second", "first"]
    assert "mine" not in {found.name for found in discover("engine", home=home, plugin_path=plugin_path)}


def test_a_directory_that_is_not_there_is_a_broken_component(tmp_path: Path) -> None:
    (found,) = (one for one in discover("plugin", plugin_path=str(tmp_path / "gone")) if one.name == "gone")
    with pytest.raises(OSError, match="cannot be searched for plugins: No such file"):
        found.load()


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/same.py": "WHO = 'a'", "b/same.py": "WHO = 'b'"})
    modules = [found.load() for found in found_in(tmp_path)]
    assert [getattr(module, "WHO", None) for module in modules] == ["a", "b"]
    names = [module.__name__ for module in modules if isinstance(module, ModuleType)]
    assert len(set(names)) == 2
    assert all(name.startswith("rekku_plugins.") and name.endswith(".same") for name in names)


async def test_a_folder_with_relative_imports_is_one_plugin(tmp_path: Path) -> None:
    files = {
        "bundle/__init__.py": "from .plugin import Plugin\nPLUGIN_CLASS = Plugin\n",
        "bundle/plugin.py": plugin_source("hum", head="from .tones import TONE\nfrom . import tones"),
        "bundle/tones.py": "TONE = 440\n",
        "single.py": plugin_source("sing", head="from ._shared import TONE"),
        "_shared.py": "TONE = 880\n",
    }
    registry = await loaded(tmp_path, files)
    assert states(registry) == {"bundle": "active", "single": "active"}
    assert set(registry.generation) == {"hum", "sing"}


def test_a_failed_import_leaves_no_module(tmp_path: Path) -> None:
    write_files(
        tmp_path, {"bundle/__init__.py": "from .inner import x\nPLUGIN_CLASS = 1/0", "bundle/inner.py": "x = 1"}
    )
    before = set(sys.modules)
    (found,) = found_in(tmp_path)
    with pytest.raises(ZeroDivisionError):
        found.load()
    assert not [name for name in set(sys.modules) - before if "bundle" in name]


def test_an_installed_entry_point_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(
        tmp_path,
        {
            "thirdparty_dice.py": CONTRACT_PLUGIN,
            "thirdparty-2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thirdparty\nVersion: 2.0\n",
            "thirdparty-2.0.dist-info/entry_points.txt": (
                "[rekku.plugins]\nby_class = thirdparty_dice:Dice\nby_module = thirdparty_dice\n"
            ),
        },
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = {one.name: one for one in discover("plugin", builtin=tmp_path / "none") if "thirdparty" in one.source}
    assert list(found) == ["by_class", "by_module"]
    assert found["by_class"].source == "entry point thirdparty_dice:Dice of thirdparty 2.0"
    module = found["by_module"].load()
    assert module is sys.modules["thirdparty_dice"]
    assert found["by_class"].load() is getattr(module, "PLUGIN_CLASS", None)
    del sys.modules["thirdparty_dice"]


def test_given_objects_are_named_by_their_class_or_name() -> None:
    class DiceRoller(AIPluginBase):
        pass

    class Named(AIPluginBase):
        name = "chosen"

    given = DiceRoller()
    found = discover("plugin", objects=[given, Named, Named()])[-3:]
    assert [one.name for one in found] == ["dice_roller", "chosen", "chosen"]
    assert found[0].load() is given
