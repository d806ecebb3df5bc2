"""Drivers by the name that an instrument file gives; imported when asked for, and not before."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from drivers._suggest import suggestion
from drivers.base import ControllerBase
from mktl.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["DRIVERS", "GROUP", "driver_class", "known_drivers"]

GROUP = "mktl.drivers"
"""Group of entry points in which other packages name their drivers."""

DRIVERS = {
    "lakeshore336": "drivers.lakeshore336:LakeShore336",
    "julabo": "drivers.julabo:Julabo",
    "rigol_dp832": "drivers.rigol_dp832:RigolDP832",
    "wago_750_352": "drivers.wago_750_352:Wago750352",
    "watlow_f4": "drivers.watlow_f4:WatlowF4",
    "davis_vantage": "drivers.davis_vantage:DavisVantage",
    "icepap": "drivers.icepap:IcePAP",
    "keysight_34465a": "drivers.keysight_34465a:Keysight34465A",
    "pfeiffer_gauge": "drivers.pfeiffer_turbo:PfeifferGauge",
    "pfeiffer_tpg36x": "drivers.pfeiffer_tpg36x:PfeifferTPG36x",
    "pfeiffer_turbo": "drivers.pfeiffer_turbo:PfeifferTurbo",
    "vaisala_wxt530": "drivers.vaisala_wxt530:VaisalaWXT530",
    "zaber": "drivers.zaber:Zaber",
    "text": "drivers.text:TextDriver",
    "modbus": "drivers.modbus:ModbusDriver",
}
"""Name -> ``module:Class`` of those that come with this package."""


def driver_class(name: str) -> type[ControllerBase]:
    """Return the class of the driver *name*.

    Args:
        name: A key of :data:`DRIVERS`, the name of an entry point in :data:`GROUP`, or
            ``"package.module:Class"``.

    Raises:
        ConfigurationError: there is none, with the nearest names; or it cannot be used.
    """
    place = DRIVERS.get(name, name)
    if ":" in place:
        return _checked(name, _imported(name, place), "")
    found = _entry_points(name)
    if not found:
        raise ConfigurationError(
            f"unknown driver {name!r}: {suggestion(name, known_drivers())} "
            f'(or name a class of your own: "package.module:Class", or a file: "./gauge.toml")'
        )
    if len({point.value for point in found}) > 1:
        owners = " and ".join(sorted(_owner(point) for point in found))
        raise ConfigurationError(
            f"driver {name!r} is there more than once: in {owners}; "
            f'name one by its class: driver = "{found[0].value}"'
        )
    return _checked(name, _imported(name, found[0].value), f" (of {_owner(found[0])})")


def known_drivers() -> dict[str, str]:
    """Return the places, ``module:Class``, of all drivers that are installed, by name."""
    others = {point.name: point.value for point in _entry_points()}
    return {**others, **DRIVERS}


def _entry_points(name: str | None = None) -> list[EntryPoint]:
    from importlib.metadata import entry_points  # slow, and a driver of ours does not need it

    found: Iterable[EntryPoint] = entry_points(group=GROUP)
    return [point for point in found if name is None or point.name == name]


def _owner(point: EntryPoint) -> str:
    return f"package {point.dist.name}" if point.dist is not None else point.value


def _imported(name: str, place: str) -> Any:
    module_name, _, class_name = place.partition(":")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # it is not our code: importing it may raise anything
        raise ConfigurationError(
            f"driver {name!r} cannot be imported from {place!r}: {type(error).__name__}: {error}"
        ) from error


def _checked(name: str, found: Any, owner: str) -> type[ControllerBase]:
    if not (isinstance(found, type) and issubclass(found, ControllerBase)):
        raise ConfigurationError(
            f"driver {name!r}{owner} is not a subclass of drivers.Controller, "
            f"but {type(found).__name__} {found!r}"
        )
    return found
