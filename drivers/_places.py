"""What is open in this process, by place, so that two users of one place share it."""

from __future__ import annotations

import gc
import ipaddress
import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.ports import Port
from mktl.errors import ConfigurationError

__all__ = ["Places", "place_of", "present_place"]

_LOOPBACK = "127.0.0.1"
_TCP = ("tcp", "socket", "rfc2217")
"""Schemes of what is at a host and a port there."""

Held = TypeVar("Held")


class Places(Generic[Held]):
    """Those who hold a place. Safe to use from several threads.

    What was dropped without having been closed, and was never started, holds nothing any more.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        # Not a plain one: somebody's finaliser may close a controller while we hold it.
        self.lock = threading.RLock()
        """Taken by who changes what the holder of a place knows of its users."""
        self._held: weakref.WeakValueDictionary[str, Held] = weakref.WeakValueDictionary()

    def share(
        self,
        place: str,
        make: Callable[[], Held],
        why_not: Callable[[Held], str],
        join: Callable[[Held], None],
    ) -> Held:
        """Return the holder of *place*, having called *join* with it.

        Args:
            place: As :func:`place_of` gives it.
            make: Makes the holder, if there is none.
            why_not: Says why it cannot be shared; empty: it can.
            join: Notes one more user.

        Raises:
            ConfigurationError: it cannot be shared.
        """
        held, text = self._shared(place, make, why_not, join)
        if held is None:
            # Drivers and their lines know each other: what was dropped waits to be collected.
            gc.collect()
            held, text = self._shared(place, make, why_not, join)
        if held is None:
            raise ConfigurationError(text)
        return held

    def give_up(self, place: str, held: Held) -> None:
        """Note, under the lock, that *held* does not hold *place* any more."""
        if self._held.get(place) is held:
            del self._held[place]

    def taken(self) -> list[str]:
        """Return the places that are held."""
        with self.lock:
            return list(self._held)

    def _shared(
        self,
        place: str,
        make: Callable[[], Held],
        why_not: Callable[[Held], str],
        join: Callable[[Held], None],
    ) -> tuple[Held | None, str]:
        """Return the holder of *place*; or ``None``, and why it cannot be shared."""
        with self.lock:
            held = self._holder(place)
            if held is None:
                held = self._held[place] = make()
            elif text := why_not(held):
                return None, text
            join(held)
            return held, ""

    def _holder(self, place: str) -> Held | None:
        found = self._held.get(place)
        if found is not None:
            return found
        here = present_place(place)
        held = list(self._held.items())
        return next((one for at, one in held if present_place(at) == here), None)


def place_of(port: Port, unit: int | None = None) -> str:
    """Return where *port* leads, without line settings; one host is always written alike."""
    place = port.url.partition("?")[0]
    scheme, _, rest = place.partition("://")
    if scheme in _TCP:
        place = f"{scheme}://{_address(rest)}"
    return place if unit is None else f"{place}?unit={unit}"


def present_place(place: str) -> str:
    """Return *place* as it is now, links followed: what leads to one port has one such place.

    It is not kept: with the next adapter that is plugged in, a link may lead elsewhere.
    """
    where, question, unit = place.partition("?")
    scheme, _, rest = where.partition("://")
    if scheme == "serial":
        where = f"serial://{os.path.realpath(rest)}"
    elif scheme in _TCP:
        where = f"tcp://{rest}"
    return f"{where}{question}{unit}"


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if host.rstrip(".") == "localhost":
        return f"{_LOOPBACK}:{port}"
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return f"{host.rstrip('.')}:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
