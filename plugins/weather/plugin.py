"""The weather plugin: asks when it is asked, and keeps one line about the home place at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from core.ai_plugin_base import AIPluginBase, TurnContext, action, hook
from core.contracts.errors import ActionFailed
from plugins.weather.open_meteo import OpenMeteo, Place, Report

FIRST_RETRY_S = 60.0
LONGEST_RETRY_S = 3600.0
LEAST_MAX_AGE_S = 3 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A report for the home place, and when it was fetched, in UTC milliseconds."""

    report: Report
    fetched_ms: int


class Weather(AIPluginBase):
    """Tells the weather anywhere, and injects the weather at home.

    The line of context never waits for the network: it comes from the last report, and an old report starts one
    refresh in the background. Nothing is fetched while nobody writes.
    """

    class Config(BaseModel):
        """`[plugins.weather]`: place is home; fetch_minutes is the age at which its report is refreshed."""

        place: str | None = Field(default=None, min_length=1, max_length=100)
        fetch_minutes: int = Field(default=60, ge=1)
        base_url: str = "https://api.open-meteo.com/v1/forecast"
        geocoding_url: str = "https://geocoding-api.open-meteo.com/v1/search"
        timeout_s: float = Field(default=10.0, gt=0, le=60)

    config: Config

    async def start(self) -> None:
        """Begin with nothing cached and no connection."""
        self._service = OpenMeteo(
            forecast_url=self.config.base_url,
            geocoding_url=self.config.geocoding_url,
            timeout_s=self.config.timeout_s,
        )
        self._home: Place | None = None
        self._cached: Cached | None = None
        self._refreshing = False
        self._failures = 0
        self._retry_at_s = 0.0

    async def stop(self) -> None:
        """Close the connections."""
        await self._service.close()

    @action(
        effect="read",
        permission="anyone",
        reads_outside=True,
        command="weather",
        phrases=[
            "weather in {place}",
            "weather for {place}",
            "what is the weather in {place}",
            "what is the weather like in {place}",
            "how is the weather in {place}",
            "what is the weather",
            "what is the weather like",
            "how is the weather",
            "weather",
        ],
    )
    async def get_weather(
        self,
        place: Annotated[
            str | None,
            Field(min_length=1, max_length=100, description="a city"),
        ] = None,
    ) -> str:
        """Tell the current weather and today's forecast, at home or at a place."""
        if place is None:
            if self.config.place is None:
                raise ActionFailed("No home place is set: name a place, or set `place` in [plugins.weather].")
            cached = await self._fetch_home(self.config.place)
            return f"{self.config.place}: {cached.report.describe()}."
        found = await self._service.find(place)
        report = await self._service.weather(found)
        return f"{found.name}: {report.describe()}."

    @hook("gather_context")
    async def tell_weather(self, turn: TurnContext) -> str | None:
        """Return a line about the home place from what was last fetched, or None."""
        place = self.config.place
        if place is None:
            return None
        cached = self._cached
        # The wall clock, since it goes on while the machine sleeps; one that was set back makes the age unknown.
        age_s = math.inf if cached is None else (self.context.clock.now_ms() - cached.fetched_ms) / 1000
        interval_s = self.config.fetch_minutes * 60.0
        if not 0 <= age_s < interval_s:
            self._refresh_soon(place)
        if cached is None or not 0 <= age_s <= max(3 * interval_s, LEAST_MAX_AGE_S):
            return None
        fetched = datetime.fromtimestamp(cached.fetched_ms / 1000, UTC)
        local = fetched.astimezone(ZoneInfo(self.context.timezone))
        # Numbers, our own words and what the operator configured: this line is trusted text.
        return f"Weather in {place} as of {local:%H:%M}: {cached.report.describe()}"

    def _refresh_soon(self, place: str) -> None:
        if not self._refreshing and self.context.clock.monotonic() >= self._retry_at_s:
            self._refreshing = True
            self.context.spawn(self._refresh(place), "refresh the weather")

    async def _refresh(self, place: str) -> None:
        # The wait is set before the attempt, so that it holds however that ends; success takes it back.
        wait_s = min(FIRST_RETRY_S * 2 ** min(self._failures, 10), LONGEST_RETRY_S)
        self._failures += 1
        self._retry_at_s = self.context.clock.monotonic() + wait_s
        try:
            await self._fetch_home(place)
        except ActionFailed as error:
            self.context.log.warning("weather_refresh_failed", reason=str(error), retry_in_s=wait_s)
        finally:
            self._refreshing = False

    async def _fetch_home(self, place: str) -> Cached:
        """Fetch and keep the report for home; its coordinates are looked up once. Raises ActionFailed."""
        if self._home is None:
            self._home = await self._service.find(place)
        report = await self._service.weather(self._home)
        self._cached = Cached(report=report, fetched_ms=self.context.clock.now_ms())
        self._failures, self._retry_at_s = 0, 0.0
        return self._cached
