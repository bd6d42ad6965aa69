"""Reminders: setting, listing, changing, putting off and taking back what the schedule of the core delivers."""

from plugins.event.plugin import Event

PLUGIN_CLASS = Event
