"""Weather from Open-Meteo: an action, and one line of context for the home place."""

from plugins.weather.plugin import Weather

PLUGIN_CLASS = Weather
