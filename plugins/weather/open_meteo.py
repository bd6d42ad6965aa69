"""A client of the two Open-Meteo services: names to coordinates, coordinates to weather.

https://open-meteo.com/en/docs and https://open-meteo.com/en/docs/geocoding-api
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.contracts.errors import ActionFailed, RetryAction
from core.contracts.json import Json, JsonObject
from plugins.weather.wording import degrees, sky

if TYPE_CHECKING:
    import httpx2

MAX_RESPONSE_BYTES = 256 * 1024
MAX_NAME_CHARS = 60

_CURRENT = "temperature_2m,apparent_temperature,wind_speed_10m,weather_code"
_DAILY = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A spot on earth; `name` is the geocoder's, text from outside."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Now and today: °C, km/h, percent and WMO codes; None where the service did not say."""

    temperature_c: float
    feels_like_c: float | None
    wind_kmh: float | None
    code: float | None
    today_code: float | None
    today_min_c: float | None
    today_max_c: float | None
    rain_percent: float | None

    def describe(self) -> str:
        """Return one line made of numbers and of our own words only."""
        now = [degrees(self.temperature_c)]
        if self.feels_like_c is not None and round(self.feels_like_c) != round(self.temperature_c):
            now[0] += f" (feels like {degrees(self.feels_like_c)})"
        if sky(self.code):
            now.append(sky(self.code))
        if self.wind_kmh is not None:
            now.append(f"wind {round(self.wind_kmh)} km/h")
        today = [sky(self.today_code)] if sky(self.today_code) else []
        if self.today_min_c is not None and self.today_max_c is not None:
            today.append(f"{round(self.today_min_c)} to {degrees(self.today_max_c)}")
        if self.rain_percent is not None:
            today.append(f"precipitation {round(self.rain_percent)} %")
        return ", ".join(now) + (f"; today {', '.join(today)}" if today else "")


class OpenMeteo:
    """Asks over HTTP with one client that is made when first used; every error is an ActionFailed."""

    def __init__(self, *, forecast_url: str, geocoding_url: str, timeout_s: float) -> None:
        self._forecast_url = forecast_url
        self._geocoding_url = geocoding_url
        self._timeout_s = timeout_s
        self._client: httpx2.AsyncClient | None = None
        self._making = asyncio.Lock()

    async def find(self, name: str) -> Place:
        """Return the best match of a place name; raises ActionFailed where there is none."""
        query = {"name": name, "count": "1", "language": "en", "format": "json"}
        results = (await self._get(self._geocoding_url, query)).get("results", [])
        if not isinstance(results, list):
            raise _unexpected("results are no list")
        if not results:
            raise ActionFailed(f"The weather service knows no place named {name!r}. Check how it is spelled.")
        found = results[0] if isinstance(results[0], dict) else {}
        latitude, longitude = _number(found.get("latitude")), _number(found.get("longitude"))
        if latitude is None or longitude is None:
            raise _unexpected("a place without coordinates")
        labels = [found.get("name"), found.get("country")]
        label = ", ".join(" ".join(text.split())[:MAX_NAME_CHARS] for text in labels if isinstance(text, str))
        return Place(name=label or name, latitude=latitude, longitude=longitude)

    async def weather(self, place: Place) -> Report:
        """Return the current weather and today's forecast; raises ActionFailed."""
        query = {
            "latitude": f"{place.latitude:.4f}",
            "longitude": f"{place.longitude:.4f}",
            "current": _CURRENT,
            "daily": _DAILY,
            "timezone": "auto",
            "forecast_days": "1",
        }
        answer = await self._get(self._forecast_url, query)
        current, daily = _section(answer, "current"), _section(answer, "daily")
        temperature = _number(current.get("temperature_2m"))
        if temperature is None:
            raise _unexpected("no temperature")
        return Report(
            temperature_c=temperature,
            feels_like_c=_number(current.get("apparent_temperature")),
            wind_kmh=_number(current.get("wind_speed_10m")),
            code=_number(current.get("weather_code")),
            today_code=_first(daily.get("weather_code")),
            today_min_c=_first(daily.get("temperature_2m_min")),
            today_max_c=_first(daily.get("temperature_2m_max")),
            rain_percent=_first(daily.get("precipitation_probability_max")),
        )

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _get(self, url: str, query: dict[str, str]) -> JsonObject:
        """Return the JSON object at `url`: one bounded answer within the time-out, or ActionFailed."""
        client = await self._open()
        import httpx2

        body = bytearray()
        try:
            # The client's own time-outs are for each read; this one also ends an answer that drips.
            async with asyncio.timeout(self._timeout_s), client.stream("GET", url, params=query) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise _unexpected(f"more than {MAX_RESPONSE_BYTES // 1024} KiB")
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise RetryAction(f"The weather service did not answer within {self._timeout_s:g} s.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RetryAction(f"The weather service cannot be reached ({type(error).__name__}).") from error
        if response.status_code >= 500 or response.status_code == 429:
            raise RetryAction(f"The weather service is in trouble (HTTP {response.status_code}).")
        if response.status_code != 200:
            raise ActionFailed(f"The weather service refused the request (HTTP {response.status_code}).")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _unexpected("no JSON") from error
        if not isinstance(answer, dict):
            raise _unexpected("no JSON object")
        return answer

    async def _open(self) -> httpx2.AsyncClient:
        async with self._making:
            if self._client is None:
                # The import and the certificates take some 100 ms: not on the event loop.
                self._client = await asyncio.to_thread(_new_client, self._timeout_s)
            return self._client


def _new_client(timeout_s: float) -> httpx2.AsyncClient:
    import httpx2

    return httpx2.AsyncClient(timeout=timeout_s, headers={"User-Agent": "rekku"})


def _unexpected(what: str) -> ActionFailed:
    return ActionFailed(f"The weather service answered in a form that is not understood ({what}).")


def _section(answer: JsonObject, name: str) -> JsonObject:
    section = answer.get(name)
    return section if isinstance(section, dict) else {}


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) and abs(value) < 1e6 else None
    except OverflowError:
        return None


def _first(values: Json) -> float | None:
    return _number(values[0]) if isinstance(values, list) and values else None
