"""Everything that a user can set, and where it is read from: the environment, `.env` and `rekku.toml`."""

from core.settings.backup import BackupSettings
from core.settings.budgets import BudgetSettings
from core.settings.components import ComponentTable
from core.settings.events import EventSettings
from core.settings.load import ensure_home, load_settings
from core.settings.model import KEYS, Access, Settings
from core.settings.prompt import PromptSettings
from core.settings.retention import RetentionSettings
from core.settings.values import on_loopback, principal_text
from core.settings.watchdog import WatchdogSettings

__all__ = [
    "KEYS",
    "Access",
    "BackupSettings",
    "BudgetSettings",
    "ComponentTable",
    "EventSettings",
    "PromptSettings",
    "RetentionSettings",
    "Settings",
    "WatchdogSettings",
    "ensure_home",
    "load_settings",
    "on_loopback",
    "principal_text",
]
