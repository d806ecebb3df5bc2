"""Who asks a daemon for something."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EVERYBODY", "ITSELF", "NOBODY_KNOWN", "Caller"]

EVERYBODY = "set"
"""The role of all callers where nothing was said about access: they may do everything."""


class Caller(NamedTuple):
    """Who asks, as far as the connection itself tells: what the request says is another matter."""

    name: str = ""
    """Name of the authorised key with which the connection was made; empty without one."""
    role: str = EVERYBODY
    """What the caller may do: a role of the daemon."""
    address: str = ""
    """Address of the peer, as ZeroMQ tells it; empty where it does not."""

    def __str__(self) -> str:
        return " at ".join(part for part in (self.name or "somebody unknown", self.address) if part)


ITSELF = Caller(name="", role="daemon", address="")
"""The daemon's own code: it may do everything."""

NOBODY_KNOWN = Caller()
"""Of whom nothing is known."""
