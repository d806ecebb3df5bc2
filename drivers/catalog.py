"""Drivers by the name that an instrument file gives; imported when asked for, and not before."""

from __future__ import annotations

import importlib

from drivers._suggest import suggestion
from drivers.controller import Controller
from mktl.errors import ConfigurationError

__all__ = ["DRIVERS", "driver_class"]

DRIVERS = {
    "lakeshore336": "drivers.lakeshore336:LakeShore336",
}
"""Name -> ``module:Class``."""


def driver_class(name: str) -> type[Controller]:
    """Return the class of the driver *name*, or of ``"package.module:Class"``.

    Raises:
        ConfigurationError: there is none; the text has the nearest names.
    """
    place = DRIVERS.get(name, name)
    module_name, colon, class_name = place.partition(":")
    if not colon:
        raise ConfigurationError(
            f"unknown driver {name!r}: {suggestion(name, DRIVERS)} "
            f'(or name a class of your own: "package.module:Class")'
        )
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"driver {name!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Controller)):
        raise ConfigurationError(f"driver {name!r} is not a subclass of drivers.Controller")
    return found
