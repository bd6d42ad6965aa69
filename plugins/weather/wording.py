"""What the numbers of a forecast are called."""

from __future__ import annotations

SKIES = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "fog with rime",
    51: "light drizzle",
    53: "drizzle",
    55: "heavy drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light showers",
    81: "showers",
    82: "violent showers",
    85: "light snow showers",
    86: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with hail",
}
"""WMO weather interpretation codes (table 4677, as Open-Meteo reduces it) in words."""


def sky(code: float | None) -> str:
    """Return a WMO code in words; "" where there is none or it is not in the table."""
    return "" if code is None else SKIES.get(int(code), "")


def degrees(celsius: float) -> str:
    """Return such as "14 °C"; never "-0 °C"."""
    return f"{round(celsius)} °C"
