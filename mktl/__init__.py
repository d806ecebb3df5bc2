"""Items over ZeroMQ, without a broker: get, set and watch them, and write daemons that hold them.

Who only reads or sets items needs :func:`get` and :class:`Item`::

    import mktl

    temperature = mktl.get("cryo.temp")
    print(temperature.value, temperature.units)
    mktl.get("cryo.setpoint").value = 80

Who writes a daemon subclasses :class:`Daemon` and :class:`Item`. A map of the package:

- ``item``, ``store``, ``daemon``: what is public, beside ``errors``
- ``description``, ``formats``, ``units``: what a value may be, and how people read it
- ``protocol``: the wire contract, pure; ``transport``: the only place with sockets
- ``_authority``, ``_service``: an item's side in its daemon; ``lanes``, ``scheduler``: its threads
- ``_remote``, ``_peer``, ``directory``: an item's side in a client
- ``catalog``, ``announcing``, ``persistence``, ``config``: blocks, registries, files
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    AlreadyRunning,
    BadItemDescription,
    BadMessage,
    BadName,
    BadUnits,
    BadValue,
    Busy,
    CatalogConflict,
    ConfigurationError,
    ConnectionLost,
    DeviceError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    HandshakeFailed,
    InvalidReading,
    LinkDown,
    Locked,
    MktlError,
    MoveFailed,
    NoAnswer,
    NotAllowed,
    NotConnected,
    NotSaved,
    NotSupported,
    ProtocolMismatch,
    RemoteError,
    Stopped,
    UnknownKey,
    UnknownStore,
    UntrustedDaemon,
    WrongDevice,
    WrongType,
)

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from .daemon import Daemon
    from .item import Item
    from .payload import Payload
    from .store import Store

__all__ = [
    "AlreadyRunning",
    "BadItemDescription",
    "BadMessage",
    "BadName",
    "BadUnits",
    "BadValue",
    "Busy",
    "CatalogConflict",
    "ConfigurationError",
    "ConnectionLost",
    "Daemon",
    "DeviceError",
    "DeviceLost",
    "DeviceRefused",
    "DeviceTimeout",
    "HandshakeFailed",
    "InvalidReading",
    "Item",
    "LinkDown",
    "Locked",
    "MktlError",
    "MoveFailed",
    "NoAnswer",
    "NotAllowed",
    "NotConnected",
    "NotSaved",
    "NotSupported",
    "Payload",
    "ProtocolMismatch",
    "RemoteError",
    "Stopped",
    "Store",
    "UnknownKey",
    "UnknownStore",
    "UntrustedDaemon",
    "WrongDevice",
    "WrongType",
    "close",
    "discover",
    "errors",
    "get",
    "home",
]

# Each is imported when it is first used: a command that gets one value needs no daemon.
_LAZY = {
    "Daemon": "daemon",
    "Item": "item",
    "Payload": "payload",
    "Store": "store",
    "discover": "directory",
    "close": "_process",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    if name == "errors":
        return import_module(".errors", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get(target: str, key: str | None = None, *, at: str | None = None) -> Any:
    """Return an item, or a store.

    Args:
        target: A full key such as ``cryo.temp``, or the name of a store.
        key: The key, where *target* is the name of a store.
        at: ``host:port`` of a daemon or a registry to ask about the store, where the store was
            not used in this process before; by default the cache, and then whatever registries
            can be found.

    Returns:
        The :class:`Item`, or the :class:`Store`; the same object each time.

    Raises:
        BadName: *target* is neither.
        UnknownKey: the store has no such item. Also a ``KeyError``.
        UnknownStore: nobody who answered knows the store. Also a ``KeyError``.
        NoAnswer: nobody answered who might know the store. Also a ``TimeoutError``.
    """
    from . import _process
    from .protocol.names import fold
    from .store import Store
    from .transport.hosts import parse_address

    if key is None:
        target, _dot, key = target.partition(".")
    name = fold(target, "store")
    process = _process.current()
    with process.lock:
        store = process.stores.get(name)
        if store is None:
            address = None if at is None else parse_address(at)
            store = process.stores[name] = Store(name, at=address)
    return store[key] if key else store


def home(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the directory of all files; with *path*, use that one from now on.

    Args:
        path: Instead of ``$MKTL_HOME``, or of ``~/.mKTL``.
    """
    from . import config

    return config.home() if path is None else config.set_home(path)
