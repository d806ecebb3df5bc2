"""Clients that encrypt, without any code of ours, and daemons that want it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import zmq

import mktl
from mktl import keyring
from mktl.authorised import AuthorisedKey, authorised_keys
from mktl.security import key_text, parse_key
from tests._support.daemons import serving
from tests._support.wire import RawClient

__all__ = ["CurveClient", "allow", "curve_client", "new_pair", "protected", "revoke", "server_key"]

Pair = tuple[bytes, bytes]

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {"type": "numeric", "units": "kelvin", "initial": 77.0},
    "setpoint": {"type": "numeric", "initial": 80.0},
    "secret": {"type": "string", "initial": "xyzzy"},
}


def new_pair() -> Pair:
    """Return a public and a secret key, in Z85 as others write them."""
    return zmq.curve_keypair()


def allow(name: str, pair: Pair, role: str) -> None:
    """Have the daemons of this home recognise *pair*."""
    authorised_keys().allow(AuthorisedKey(name, role, parse_key(pair[0].decode())))


def revoke(name: str) -> None:
    """Have the daemons of this home recognise *name* no longer."""
    authorised_keys().revoke(name)


def server_key() -> str:
    """Return the public key of this home's daemons, as people write it."""
    return key_text(keyring.server_pair().public)


class CurveClient(RawClient):
    """A DEALER and a SUB socket that encrypt."""

    def __init__(self, request_port: int, publish_port: int, pair: Pair) -> None:
        self.context = zmq.Context()
        server = keyring.server_pair().public
        for option, value in (
            (zmq.CURVE_SERVERKEY, server),
            (zmq.CURVE_PUBLICKEY, pair[0]),
            (zmq.CURVE_SECRETKEY, pair[1]),
            (zmq.LINGER, 0),
        ):
            self.context.setsockopt(option, value)
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.connect(f"tcp://127.0.0.1:{request_port}")
        self.subscriber = self.context.socket(zmq.SUB)
        self.subscriber.connect(f"tcp://127.0.0.1:{publish_port}")
        self._count = 0


@contextlib.contextmanager
def curve_client(daemon: mktl.Daemon, pair: Pair) -> Iterator[CurveClient]:
    """Return a client of *daemon* that has *pair*."""
    client = CurveClient(*daemon.ports, pair)
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def protected(
    access: Mapping[str, Any],
    items: dict[str, dict[str, Any]] | None = None,
    *,
    alias: str = "hw",
    daemon_class: type[mktl.Daemon] = mktl.Daemon,
) -> Iterator[mktl.Daemon]:
    """Run a daemon with these rules."""

    class Protected(daemon_class):  # type: ignore[misc,valid-type]
        def describe_access(self) -> Mapping[str, Any]:
            return access

    with serving(items or ITEMS, alias=alias, daemon_class=Protected) as daemon:
        yield daemon
