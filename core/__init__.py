"""Rekku's core: the path of a message, and what it stands on. It names no plugin, platform or model vendor."""
