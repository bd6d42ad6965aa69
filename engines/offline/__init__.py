"""The offline engine: a small grammar that answers in a model's place, with no key and no network."""

from engines.offline.engine import Offline

PLUGIN_CLASS = Offline
