"""A stand-in for the two Open-Meteo services, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PLACES = {
    "berlin": {"name": "Berlin", "country": "Germany", "latitude": 52.52437, "longitude": 13.41053},
    "rome": {"name": "Rome", "country": "Italy", "latitude": 41.89193, "longitude": 12.51133},
}


def forecast() -> dict[str, Any]:
    """Return a forecast as api.open-meteo.com/v1/forecast answers it, cut to the asked fields."""
    return {
        "latitude": 41.875,
        "longitude": 12.5,
        "timezone": "Europe/Rome",
        "current": {
            "time": "2026-11-20T18:30",
            "interval": 900,
            "temperature_2m": 14.2,
            "apparent_temperature": 12.4,
            "wind_speed_10m": 11.6,
            "weather_code": 61,
        },
        "daily": {
            "time": ["2026-11-20"],
            "weather_code": [63],
            "temperature_2m_max": [16.4],
            "temperature_2m_min": [8.6],
            "precipitation_probability_max": [70],
        },
    }


@dataclass(slots=True)
class FakeOpenMeteo:
    """Set `status`, `body` or `delay_s` to make it misbehave. `searches` and `forecasts` are the queries it saw."""

    url: str = ""
    status: int = 200
    body: bytes | None = None
    content_type: str = "application/json"
    delay_s: float = 0.0
    weather: dict[str, Any] = field(default_factory=forecast)
    places: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(PLACES))
    searches: list[dict[str, str]] = field(default_factory=list)
    forecasts: list[dict[str, str]] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        """The keys of the plugin's configuration that point here."""
        return {"base_url": f"{self.url}/v1/forecast", "geocoding_url": f"{self.url}/v1/search", "timeout_s": 5}

    async def _search(self, request: web.Request) -> web.StreamResponse:
        self.searches.append(dict(request.query))
        found = self.places.get(request.query["name"].casefold())
        # The real service leaves "results" out when it finds nothing.
        return await self._answer({"results": [found]} if found else {"generationtime_ms": 0.3})

    async def _forecast(self, request: web.Request) -> web.StreamResponse:
        self.forecasts.append(dict(request.query))
        return await self._answer(self.weather)

    async def _answer(self, value: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(self.delay_s)
        if self.body is not None:
            return web.Response(status=self.status, body=self.body, content_type=self.content_type)
        return web.json_response(value, status=self.status)


@asynccontextmanager
async def open_meteo() -> AsyncIterator[FakeOpenMeteo]:
    """Serve a FakeOpenMeteo on a free port of 127.0.0.1."""
    fake = FakeOpenMeteo()
    app = web.Application()
    app.router.add_get("/v1/search", fake._search)
    app.router.add_get("/v1/forecast", fake._forecast)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
