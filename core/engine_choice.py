"""Which engines can be used, and the chain of them that answers where a conversation names none."""

from __future__ import annotations

from collections.abc import Sequence

from core.contracts.errors import ConfigurationError
from core.engine_base import EngineBase
from core.near_names import suggestion
from core.registry.components import Component, ComponentState, Registry, Stage
from core.services.engines import EngineHandle, Engines
from core.services.figures import Figures
from core.services.foreign import ForeignCalls
from core.services.mask import Masker

AUTO = "auto"


def choose_engines(
    registry: Registry, names: Sequence[str], foreign: ForeignCalls, masker: Masker, figures: Figures
) -> Engines:
    """Return the loaded engines that are configured and the chain of them, for the caller to stop.

    names: of REKKU_ENGINE. Raises ConfigurationError when one of them cannot be used.
    """
    handles: dict[str, EngineHandle] = {}
    ready: list[tuple[int, str]] = []
    for component in registry.components("engine"):
        if component.state is not ComponentState.FOUND or not registry.prepare(component):
            continue
        engine: EngineBase = component.instance
        engine.name = component.name
        missing = what_is_missing(registry, component)
        if missing:
            component.reason = component.reason or f"off: {missing}"
            continue
        registry.activated(component)
        handles[component.name] = EngineHandle(component.name, engine, foreign, masker, figures)
        if engine.auto_rank is not None:
            ready.append((engine.auto_rank, component.name))
    chain: list[str] = []
    for name in names:
        if name == AUTO:
            chain += [min(ready)[1]] if ready else []
        elif name in handles:
            chain.append(name)
        else:
            raise _no_engine(registry, name)
    return Engines(list(handles.values()), list(dict.fromkeys(chain)))


def what_is_missing(registry: Registry, component: Component) -> str:
    """Return what an engine or interface needs and has not, or "" when it can be started."""
    try:
        return str(component.instance.configured(component.config) or "")
    except Exception as error:  # noqa: BLE001 - a component is foreign code; it is reported and the rest runs
        registry.fail(component, Stage.CONFIGURATION, error)
        return "it cannot say whether it is configured"


def _no_engine(registry: Registry, name: str) -> ConfigurationError:
    component = registry.get("engine", name)
    if component is not None:
        return ConfigurationError(f"REKKU_ENGINE: the engine {name} cannot be used: {component.reason}.")
    known = [c.name for c in registry.components("engine")]
    return ConfigurationError(
        f"REKKU_ENGINE: there is no engine {name}. {suggestion(name, known)}",
        cure=f"Use {AUTO} or one of {', '.join(sorted(known))}.",
    )
