"""Settings: their sources and order, strictness, all mistakes at once, and no secret in any of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from core.contracts.errors import ConfigurationError
from core.settings import KEYS, Access, Settings, ensure_home, load_settings
from core.settings.timezone import system_timezone

KEY = "sk-abcdef123456"


def load(home: Path, toml: str = "", dotenv: str = "", **env: str) -> Settings:
    (home / "rekku.toml").write_text(toml, encoding="utf-8")
    (home / ".env").write_text(dotenv, encoding="utf-8")
    return load_settings({"REKKU_HOME": str(home), **env})


def refusal(home: Path, toml: str = "", dotenv: str = "", **env: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(home, toml, dotenv, **env)
    assert caught.value.__context__ is None, "a chained error would show the values"
    return caught.value.explain()


def test_the_defaults(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path), "TZ": "Asia/Tokyo"})
    assert settings.home == tmp_path / ".rekku"
    assert settings.database_path == tmp_path / ".rekku" / "rekku.db"
    assert (settings.engine, settings.access, settings.timezone) == (("auto",), Access.PAIRING, "Asia/Tokyo")
    assert (settings.corrector_retries, settings.max_steps, settings.engine_deadline_s) == (2, 8, 120.0)
    assert (settings.log_level, settings.log_format, settings.weather_fetch_minutes) == ("INFO", "console", 60)
    assert settings.trainer_ids == frozenset()
    assert settings.prompt.model_dump() == {
        "history_tokens": 4000,
        "summary_tokens": 600,
        "context_tokens": 800,
        "per_plugin_context_chars": 600,
        "catalogue_bytes": 6000,
        "whole_actions": (),
    }
    assert not (tmp_path / ".rekku").exists(), "reading settings creates nothing"


def test_a_budget_that_is_set_in_part_keeps_its_other_defaults(tmp_path: Path) -> None:
    user = '[budgets.user]\nturns_per_hour = 5\nengine_tokens_per_day = "unlimited"\n'
    settings = load(tmp_path, user + "[budgets.trainer]\npending_inputs = 9")
    assert settings.budgets.user.model_dump() == {
        "turns_per_hour": 5,
        "engine_tokens_per_day": None,
        "pending_inputs": 20,
    }
    assert settings.budgets.guest.turns_per_hour == 10
    assert settings.budgets.trainer.model_dump(exclude_none=True) == {"pending_inputs": 9}
    rows = {key: (value, source) for key, value, source in settings.describe()}
    file = str(tmp_path / "rekku.toml")
    assert rows["budgets.user.turns_per_hour"] == ("5", file)
    assert rows["budgets.user.engine_tokens_per_day"] == ("unlimited", file)
    assert rows["budgets.user.pending_inputs"] == ("20", "default")


def test_what_is_kept_for_ever_is_written_in_two_ways(tmp_path: Path) -> None:
    settings = load(tmp_path, '[retention]\nhistory_days = 0\nledger_turns = "unlimited"\noutbox_days = 7\n')
    assert settings.retention.model_dump() == {
        "history_days": None,
        "history_rows": 1_000_000,
        "ledger_days": 180,
        "ledger_turns": None,
        "outbox_days": 7,
        "outbox_rows": 1_000_000,
    }
    rows = {key: (value, source) for key, value, source in settings.describe()}
    file = str(tmp_path / "rekku.toml")
    assert rows["retention.history_days"] == ("unlimited", file)
    assert rows["retention.ledger_days"] == ("180", "default")


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_environment_beats_dotenv_beats_the_file(tmp_path: Path) -> None:
    toml = "REKKU_MAX_STEPS = 1\nCORRECTOR_RETRIES = 1\nWEATHER_FETCH_TIME = 1\n"
    settings = load(tmp_path, toml, "REKKU_MAX_STEPS=2\nCORRECTOR_RETRIES=2\n", REKKU_MAX_STEPS="3")
    assert (settings.max_steps, settings.corrector_retries, settings.weather_fetch_minutes) == (3, 2, 1)
    source = {key: where for key, _, where in settings.describe()}
    assert source["REKKU_MAX_STEPS"] == "environment"
    assert source["CORRECTOR_RETRIES"] == str(tmp_path / ".env")
    assert source["WEATHER_FETCH_TIME"] == str(tmp_path / "rekku.toml")
    assert source["REKKU_ACCESS"] == "default"


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    settings = load(tmp_path, 'REKKU_ENGINE = "offline"', "OPENAI_MODEL=\n", REKKU_ENGINE="", OPENAI_API_KEY="  ")
    assert settings.engine == ("offline",)
    assert settings.openai_api_key is None
    assert settings.openai_model is None


def test_the_process_environment_is_read_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))
    (tmp_path / ".env").write_text("OPENAI_MODEL=small\n")
    before = dict(os.environ)
    assert load_settings().openai_model == "small"
    assert dict(os.environ) == before


def test_a_given_home_beats_the_variable(tmp_path: Path) -> None:
    settings = load_settings({"REKKU_HOME": "/elsewhere"}, home=tmp_path)
    assert settings.home == tmp_path


def test_texts_become_what_the_setting_is(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        REKKU_ENGINE="OpenAI, offline",
        REKKU_ACCESS="Open",
        REKKU_ENGINE_DEADLINE_S="2.5",
        REKKU_LOG_LEVEL="debug",
        REKKU_PLUGIN_PATH=f"{tmp_path}/a{os.pathsep}{tmp_path}/b",
        TRAINER_IDS="telegram:1, discord:2,",
        TELEGRAM_TRAINER_ID="3",
    )
    assert settings.engine == ("openai", "offline")
    assert settings.access is Access.OPEN
    assert settings.engine_deadline_s == 2.5
    assert settings.log_level == "DEBUG"
    assert settings.plugin_path == (tmp_path / "a", tmp_path / "b")
    assert settings.trainer_ids == {"telegram:1", "discord:2", "telegram:3"}


def test_lists_may_be_lists_in_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, 'REKKU_ENGINE = ["openai", "offline"]\nTRAINER_IDS = ["telegram:1"]')
    assert settings.engine == ("openai", "offline")
    assert settings.trainer_ids == {"telegram:1"}


def test_a_program_can_make_settings_of_its_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, engine=("offline",), telegram_trainer_id=7)
    assert settings.trainer_ids == {"telegram:7"}
    with pytest.raises(ValidationError):
        settings.engine = ("openai",)
    with pytest.raises(ValidationError):
        Settings(home=tmp_path, max_stepps=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("env", "parts"),
    [
        ({"REKKU_ENGIEN": "offline"}, ["REKKU_ENGIEN (environment)", "Did you mean REKKU_ENGINE?"]),
        ({"REKKU_MAX_STEPS": "many"}, ["REKKU_MAX_STEPS (environment)", "integer", "'many'"]),
        ({"REKKU_MAX_STEPS": "0"}, ["REKKU_MAX_STEPS", "greater than or equal to 1"]),
        ({"REKKU_ENGINE_DEADLINE_S": "-1"}, ["REKKU_ENGINE_DEADLINE_S", "greater than 0"]),
        ({"REKKU_ENGINE_DEADLINE_S": "nan"}, ["REKKU_ENGINE_DEADLINE_S", "finite"]),
        ({"CORRECTOR_RETRIES": "-1"}, ["CORRECTOR_RETRIES"]),
        ({"WEATHER_FETCH_TIME": "0"}, ["WEATHER_FETCH_TIME"]),
        ({"REKKU_ACCESS": "opne"}, ["REKKU_ACCESS", "'trainers', 'pairing' or 'open'", "'opne'"]),
        ({"REKKU_TIMEZONE": "Europe/Roma"}, ["REKKU_TIMEZONE", "Did you mean Europe/Rome?"]),
        ({"REKKU_TIMEZONE": "/etc/passwd"}, ["REKKU_TIMEZONE", "no IANA time zone"]),
        ({"REKKU_LOG_FORMAT": "xml"}, ["REKKU_LOG_FORMAT", "'console' or 'json'"]),
        ({"REKKU_ENGINE": "auto,offline"}, ["REKKU_ENGINE", "auto stands alone"]),
        ({"REKKU_ENGINE": "offline,offline"}, ["REKKU_ENGINE", "twice"]),
        ({"REKKU_ENGINE": ","}, ["REKKU_ENGINE"]),
        ({"TRAINER_IDS": "12345"}, ["TRAINER_IDS", "write interface:user_id"]),
        ({"TRAINER_IDS": "telegram:@bob"}, ["TRAINER_IDS", "telegram:NUMBER"]),
        ({"TELEGRAM_TRAINER_ID": "bob"}, ["TELEGRAM_TRAINER_ID"]),
        ({"OPENAI_BASE_URL": "localhost:11434"}, ["OPENAI_BASE_URL", "http://"]),
        ({"OPENAI_BASE_URL": "http://u:geheim1@localhost"}, ["OPENAI_BASE_URL", "take them out"]),
        ({"OPENAI_API_KEY": "short"}, ["OPENAI_API_KEY", "5 characters are too few"]),
        (
            {"DATABASE_URL": "postgresql://u:geheim1@db"},
            ["DATABASE_URL", "must be sqlite:///path, mariadb://user:password@host/name"],
        ),
        ({"DATABASE_URL": "oracle://u:geheim1@db/x"}, ["DATABASE_URL", "must be sqlite:///path"]),
        ({"DATABASE_URL": "mariadb://u:geheim1@db:port/x"}, ["DATABASE_URL", "escape what is special"]),
        ({"DATABASE_URL": "mariadb://u:gut@geheim1@db/x"}, ["DATABASE_URL", "escape each @", "%40"]),
        ({"DATABASE_URL": "postgresql://u:12/geheim1@db/x"}, ["DATABASE_URL", "escape what is special"]),
        ({"DATABASE_URL": "sqlite://"}, ["DATABASE_URL", "must be sqlite:///path, with"]),
        ({"DATABASE_URL": "mariadb://"}, ["DATABASE_URL", "must be sqlite:///path, mariadb://user:password@host"]),
        ({"DATABASE_URL": "sqlite:///:memory:"}, ["DATABASE_URL", "the path of a file"]),
        ({"DB_HOST": "db", "DATABASE_URL": "sqlite:///x.db"}, ["DB_HOST", "DATABASE_URL is set too"]),
        ({"DB_PORT": "3306"}, ["DB_PORT", "has no effect without DB_HOST"]),
        ({"DB_HOST": "db", "DB_PORT": "0"}, ["DB_PORT", "greater than or equal to 1"]),
        ({"DB_PASS": "geheim1"}, ["DB_PASS", "has no effect without DB_HOST"]),
    ],
)
def test_a_wrong_variable_is_refused(tmp_path: Path, env: dict[str, str], parts: list[str]) -> None:
    text = refusal(tmp_path, **env)
    assert [part for part in parts if part not in text] == [], text
    assert "geheim" not in text


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ('REKKU_MAX_STEPS = "5"', ["REKKU_MAX_STEPS", "rekku.toml", "integer", "'5'"]),
        ("REKKU_MAX_STEPS = true", ["REKKU_MAX_STEPS", "integer"]),
        ("REKKU_MAX_STEPS = 5.0", ["REKKU_MAX_STEPS", "integer"]),
        ('REKKU_ENGINE_DEADLINE_S = "5"', ["REKKU_ENGINE_DEADLINE_S", "number"]),
        ("OPENAI_MODEL = 5", ["OPENAI_MODEL", "string"]),
        ("OPENAI_API_KEY = 123456789", ["OPENAI_API_KEY", "string"]),
        ('REKKU_ENGIEN = "offline"', ["REKKU_ENGIEN", "Did you mean REKKU_ENGINE?"]),
        ('engine = "offline"', ["engine", "Did you mean REKKU_ENGINE?"]),
        ("[plugin.dice]\n", ["plugin", "Did you mean plugins?"]),
        ('REKKU_HOME = "x"', ["REKKU_HOME", "Set it in the environment"]),
        ("[prompt]\nhistory_tokes = 3", ["prompt.history_tokes", "Did you mean history_tokens?"]),
        ('[prompt]\nhistory_tokens = "3"', ["prompt.history_tokens", "integer"]),
        ("[prompt]\nsummary_tokens = -3", ["prompt.summary_tokens"]),
        ("prompt = 3", ["prompt", "must be a table"]),
        ("[budgets.user]\nturns_per_our = 3", ["budgets.user.turns_per_our", "Did you mean turns_per_hour?"]),
        ("[budgets.users]\nturns_per_hour = 3", ["budgets.users", "Did you mean user?"]),
        ("[budgets]\nturns_per_hour = 3", ["budgets.turns_per_hour", "there is no such key"]),
        ("[budgets.user]\nturns_per_hour = 0", ["budgets.user.turns_per_hour", "greater than or equal to 1"]),
        ('[budgets.guest]\npending_inputs = "many"', ["budgets.guest.pending_inputs", "integer", "unlimited"]),
        ("[budgets.guest]\npending_inputs = true", ["budgets.guest.pending_inputs", "integer"]),
        ("[budgets]\nguest = 3", ["budgets.guest", "must be a table: [budgets.guest]"]),
        ("budgets = 3", ["budgets", "must be a table"]),
        ("[retention]\nhistory_day = 3", ["retention.history_day", "Did you mean history_days?"]),
        ("[retention]\nledger_days = -1", ["retention.ledger_days", "greater than or equal to 1", "unlimited"]),
        ("[retention]\noutbox_rows = false", ["retention.outbox_rows", "integer"]),
        ("retention = 3", ["retention", "must be a table"]),
        ("[backup]\nevery_hour = 3", ["backup.every_hour", "Did you mean every_hours?"]),
        ("[backup]\nevery_hours = -1", ["backup.every_hours", "greater than or equal to 0"]),
        ("[backup]\nkeep = 0", ["backup.keep", "greater than or equal to 1"]),
        ('[backup]\ndirectory = " "', ["backup.directory", "must be the path of a directory"]),
        ("backup = 3", ["backup", "must be a table"]),
        ("[plugins]\ndice = 3", ["plugins.dice", "must be a table"]),
        ('[plugins.dice]\nREKKU_ENGINE = "x"', ["[plugins.dice]", "REKKU_ENGINE stands below", "Move it above"]),
        ("[policy]\nrule = 3", ["policy.rule", "[[policy.rules]]"]),
        ("[policy]\nrules = 3", ["policy.rules", "must be a list"]),
        ('OPENAI_MODEL = "${NOWHERE}"', ["OPENAI_MODEL", "NOWHERE is not set", ".env"]),
        ('OPENAI_MODEL = "${NOWHERE"', ["OPENAI_MODEL", "malformed", "$$"]),
        ('OPENAI_MODEL = "${}"', ["OPENAI_MODEL", "malformed"]),
    ],
)
def test_a_wrong_line_of_the_file_is_refused(tmp_path: Path, toml: str, parts: list[str]) -> None:
    text = refusal(tmp_path, toml)
    assert [part for part in parts if part not in text] == [], text
    assert "123456789" not in text


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("a = 1\nREKKU_ENGINE = offline", ["line 2, column 16", "stands in quotes"]),
        ('A = 1\nA = "x"', ["line 2", "keep one"]),
        ('A = "C:\\q"', ["line 1", "backslash"]),
        ("[prompt", ["rekku.toml", "TOML"]),
        ('A = """open', ["line 1, its end"]),
    ],
)
def test_malformed_toml_says_where_and_how(tmp_path: Path, toml: str, parts: list[str]) -> None:
    text = refusal(tmp_path, toml)
    assert [part for part in [str(tmp_path / "rekku.toml"), *parts] if part not in text] == [], text


def test_files_from_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "rekku.toml").write_bytes(b"\xef\xbb\xbfREKKU_MAX_STEPS = 3\r\nCORRECTOR_RETRIES = 0\r\n")
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfOPENAI_MODEL=m\r\nexport REKKU_ENGINE='offline'\r\n")
    settings = load_settings({}, home=tmp_path)
    assert (settings.max_steps, settings.openai_model, settings.engine) == (3, "m", ("offline",))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rekku.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_settings({}, home=tmp_path)


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings({}, home=tmp_path)


def test_a_line_of_dotenv_that_is_none_is_refused(tmp_path: Path) -> None:
    text = refusal(tmp_path, dotenv=f"# fine\n\nOPENAI_API_KEY='{KEY}\nREKKU_ENGINE\n")
    assert "line 3" in text
    assert "line 4" in text
    assert KEY not in text


def test_unknown_names_of_ours_in_dotenv_are_refused_and_others_are_not(tmp_path: Path) -> None:
    assert "REKKU_MAX_STEP (" in refusal(tmp_path, dotenv="REKKU_MAX_STEP=3\nHOME_TOKEN=abcdefgh\n")
    load(tmp_path, dotenv="HOME_TOKEN=abcdefgh\n", REKKU_SERVICE_HOST="10.0.0.1", REKKU_PORT_80_TCP="tcp://x")


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    text = refusal(
        tmp_path,
        "CORRECTOR_RETRIES = true\nNOPE = 1\n[prompt]\nx = 1\n",
        "REKKU_X=1\nbroken\n",
        REKKU_MAX_STEPS="a",
        OPENAI_API_KEY="1",
    )
    assert text.startswith("7 mistakes in the configuration:")
    for part in ("CORRECTOR_RETRIES", "NOPE", "prompt.x", "REKKU_X", "line 2", "REKKU_MAX_STEPS", "OPENAI_API_KEY"):
        assert part in text


def test_no_mistake_shows_a_secret(tmp_path: Path) -> None:
    text = refusal(
        tmp_path,
        'OPENAI_MODEL = "x"\nREKKU_ENGINE = "${MY_TOKEN}!"\n',
        f"MY_TOKEN={KEY}-token\n",
        OPENAI_API_KEY=KEY,
        TRAINER_IDS=KEY,
        REKKU_LOG_FORMAT=KEY,
        OPENAI_BASE_URL=f"ftp://user:{KEY}@host",
        DATABASE_URL=f"postgres://u:{KEY}@h",
        TELEGRAM_BOT_TOKEN=f"{KEY} x",
    )
    assert KEY not in text
    assert "[OPENAI_API_KEY]" in text
    assert "[MY_TOKEN]" in text


def test_variables_are_expanded_everywhere(tmp_path: Path) -> None:
    toml = """
        OPENAI_MODEL = "${FAMILY}-${SIZE:-small}"
        [plugins.web]
        url = "https://${HOST:-localhost}/"
        price = "$$5 or $5, $${FAMILY}"
        nested = { list = ["${FAMILY}", 3] }
        [[policy.rules]]
        verdict = "deny"
        where = "telegram:${CHAT}"
    """
    settings = load(tmp_path, toml, "CHAT=-100\nFAMILY=weak\n", FAMILY="gpt", SIZE="")
    assert settings.openai_model == "gpt-small"
    values = settings.component("plugins", "web").values
    assert values["url"] == "https://localhost/"
    assert values["price"] == "$5 or $5, ${FAMILY}"
    assert values["nested"] == {"list": ["gpt", 3]}
    assert settings.policy_rules == ({"verdict": "deny", "where": "telegram:-100"},)


def test_what_is_put_in_is_not_read_again(tmp_path: Path) -> None:
    settings = load(tmp_path, 'OPENAI_MODEL = "${A}"', A="${B}$$", B="b")
    assert settings.openai_model == "${B}$$"


def test_a_component_keeps_its_mistake_to_itself(tmp_path: Path) -> None:
    toml = """
        [plugins.broken]
        enabled = false
        token = "${NOWHERE}"
        [plugins.strict]
        enabled = "yes"
        priority = "1"
        [engines.short]
        api_key = "abc"
        [plugins.fine]
        enabled = false
        priority = 3
        sides = 6
    """
    settings = load(tmp_path, toml)
    broken = settings.component("plugins", "broken")
    assert "NOWHERE is not set" in broken.error
    assert "[plugins.broken]" in broken.error
    assert not broken.enabled
    strict = settings.component("plugins", "strict")
    assert "enabled must be true or false" in strict.error
    assert "priority must be a whole number" in strict.error
    assert "engines.short.api_key" in settings.component("engines", "short").error
    fine = settings.component("plugins", "fine")
    assert (fine.values, fine.error, fine.enabled, fine.priority) == ({"sides": 6}, "", False, 3)
    absent = settings.component("interfaces", "none")
    assert (absent.values, absent.error, absent.enabled, absent.priority) == ({}, "", True, None)


def test_settings_of_a_component_override_its_table(tmp_path: Path) -> None:
    toml = '[engines.openai]\nmodel = "file"\ntemperature = 0.5\n[plugins.weather]\nfetch_minutes = 5\n'
    settings = load(tmp_path, toml, OPENAI_MODEL="env", OPENAI_API_KEY=KEY)
    values = settings.component("engines", "openai").values
    assert values == {"model": "env", "temperature": 0.5, "api_key": SecretStr(KEY)}
    assert settings.component("plugins", "weather").values == {"fetch_minutes": 5}
    settings = load(tmp_path, toml, WEATHER_FETCH_TIME="30")
    assert settings.component("plugins", "weather").values == {"fetch_minutes": 30}


def test_every_secret_is_known_and_none_is_shown(tmp_path: Path) -> None:
    toml = """
        [plugins.mail]
        user = "bob"
        password = "hunter2hunter2"
        header = "Bearer ${MAIL_TOKEN}"
        url = "https://me:urlpass99@example.org/x"
        account = { api_key = "nested-key-1", tokens = ["listed-token-1"] }
        max_tokens = 5
    """
    settings = load(
        tmp_path,
        toml,
        "MAIL_TOKEN=mail-token-1\n",
        OPENAI_API_KEY=KEY,
        TELEGRAM_BOT_TOKEN="1:telegramtoken",
        TELEGRAM_WEBHOOK_SECRET="hooksecret",
    )
    secrets = settings.secrets()
    assert set(secrets.values()) == {
        KEY,
        "1:telegramtoken",
        "hooksecret",
        "hunter2hunter2",
        "mail-token-1",
        "urlpass99",
        "nested-key-1",
        "listed-token-1",
    }
    assert secrets["OPENAI_API_KEY"] == KEY
    assert secrets["plugins.mail.password"] == "hunter2hunter2"
    shown = f"{settings!r} {settings} {settings.describe()} {settings.component('plugins', 'mail')!r}"
    assert [value for value in secrets.values() if value in shown] == []
    rows: dict[str, Any] = {key: value for key, value, _ in settings.describe()}
    assert rows["OPENAI_API_KEY"] == "set"
    assert rows["OPENAI_MODEL"] == "not set"
    assert set(KEYS.values()) <= rows.keys()


def test_telegram_settings_stand_for_keys_of_its_interface(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[interfaces.telegram]\napi_base = "http://localhost:1"\nanswer = "always"',
        TELEGRAM_BOT_TOKEN="1:telegramtoken",
        TELEGRAM_API_BASE="http://localhost:8081",
    )
    values = settings.component("interfaces", "telegram").values
    assert values["token"].get_secret_value() == "1:telegramtoken"
    assert values["api_base"] == "http://localhost:8081"
    assert values["answer"] == "always"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("sqlite:///data/x.db", "data/x.db"), ("sqlite:////var/x.db", "/var/x.db")],
)
def test_the_database_file(tmp_path: Path, url: str, expected: str) -> None:
    assert load(tmp_path, DATABASE_URL=url).database_path == tmp_path / expected


@pytest.mark.parametrize("name", ["UTC0", "", ":", "Factory", "../../etc/passwd", "Europe"])
def test_a_zone_of_the_system_that_is_none_is_passed_over(name: str) -> None:
    Settings(timezone=system_timezone({"TZ": name}))


def test_a_zone_of_the_system_is_taken() -> None:
    assert system_timezone({"TZ": ":America/New_York"}) == "America/New_York"
    assert system_timezone({"TZ": "/usr/share/zoneinfo/Europe/Rome"}) == "Europe/Rome"


def test_the_home_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "a" / "b")
    ensure_home(settings)
    ensure_home(settings)
    assert settings.home.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="not a directory"):
        ensure_home(Settings(home=tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="cannot be created") as caught:
        ensure_home(Settings(home=tmp_path / "file" / "below"))
    assert "REKKU_HOME" in caught.value.cure


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root may write anywhere, so the system's answer is set here
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        ensure_home(Settings(home=tmp_path))


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({}, None),
        ({"DATABASE_URL": "sqlite:///x.db"}, None),
        ({"DATABASE_URL": "postgres://u:p%40ss@h/d"}, "postgres://u:p%40ss@h/d"),
        ({"DB_HOST": "db"}, "mariadb://rekku@db:3306/rekku"),
        (
            {"DB_HOST": "::1", "DB_PORT": "3307", "DB_USER": "a:b", "DB_PASS": "p@ss/word", "DB_NAME": "my db"},
            "mariadb://a%3Ab:p%40ss%2Fword@[::1]:3307/my%20db",
        ),
    ],
)
def test_the_server_of_the_database(tmp_path: Path, env: dict[str, str], url: str | None) -> None:
    server = load(tmp_path, **env).database_server
    assert (server.get_secret_value() if server else None) == url


def test_the_password_of_a_database_is_masked_in_both_its_forms(tmp_path: Path) -> None:
    secrets = load(tmp_path, DATABASE_URL="mariadb://u:p%40ssword@h/d").secrets()
    assert {"p@ssword", "p%40ssword"} <= set(secrets.values())
    assert "geheim12" in load(tmp_path, DB_HOST="h", DB_PASS="geheim12").secrets().values()


def test_backups_are_a_table_of_their_own(tmp_path: Path) -> None:
    settings = load(tmp_path, '[backup]\nevery_hours = 6\ndirectory = "/mnt/other"\n')
    assert (settings.backup.every_hours, settings.backup.keep) == (6, 7)
    assert settings.backup_directory == Path("/mnt/other")
    rows = {key: (value, source) for key, value, source in settings.describe()}
    assert rows["backup.every_hours"] == ("6", str(tmp_path / "rekku.toml"))
    assert rows["backup.keep"] == ("7", "default")
    assert load(tmp_path, "").backup_directory == tmp_path / "backups"
