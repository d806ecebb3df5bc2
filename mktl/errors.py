"""One tree of errors: what each means on the wire, and whether trying again can help.

Every error that this project raises on purpose is an :class:`MktlError`. Each is also the
built-in exception that fits (``ValueError``, ``KeyError``, ``TimeoutError`` ...), so that code
which does not know this module still catches the right thing, and it is the built-in's name that
travels in the ``type`` field of an error reply, where peers written by others look for it.
"""

from __future__ import annotations

import builtins
import functools
from typing import Any, ClassVar

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
    "DeviceError",
    "DeviceLost",
    "DeviceRefused",
    "DeviceTimeout",
    "HandshakeFailed",
    "InvalidReading",
    "LinkDown",
    "Locked",
    "MktlError",
    "MoveFailed",
    "NoAnswer",
    "NotAllowed",
    "NotConnected",
    "NotSaved",
    "NotSupported",
    "ProtocolMismatch",
    "RemoteError",
    "Stopped",
    "UnknownKey",
    "UnknownStore",
    "UntrustedDaemon",
    "WrongDevice",
    "WrongType",
    "error_from_wire",
    "error_to_wire",
]


class MktlError(RuntimeError):
    """The root: catch this to catch everything that this project raises on purpose."""

    wire_type: ClassVar[str] = "RuntimeError"
    """Name of the built-in exception that a peer should raise for it."""

    retryable: ClassVar[bool] = False
    """Whether the same request may succeed later without anybody changing it."""

    def __str__(self) -> str:
        # KeyError, a base of some of these, would print its message in quotes.
        return " ".join(str(part) for part in self.args)


class BadValue(MktlError, ValueError):
    """A value that an item, or a setting, cannot have."""

    wire_type = "ValueError"


class BadName(BadValue):
    """A store, key or alias with characters that names cannot have."""


class BadUnits(BadValue):
    """Units that are unknown, or that do not convert into each other."""


class BadMessage(BadValue):
    """Bytes from the network that are not a message of this protocol."""


class BadItemDescription(BadValue):
    """A description of an item that contradicts itself or cannot be understood."""


class WrongType(MktlError, TypeError):
    """A value of the wrong kind, or an operation that this item does not offer."""

    wire_type = "TypeError"


class NotSupported(WrongType):
    """The item cannot do that: it is not settable, or not gettable."""


class UnknownKey(MktlError, KeyError):
    """A key, or the text of an enumerator, that does not exist."""

    wire_type = "KeyError"


class UnknownStore(UnknownKey):
    """A store that neither the cache nor any registry that answered knows."""


class NoAnswer(MktlError, TimeoutError):
    """Nobody answered in time."""

    wire_type = "TimeoutError"
    retryable = True


class NotConnected(NoAnswer):
    """There was no connection in time: nothing was sent, so nothing was done."""


class ConnectionLost(MktlError, ConnectionError):
    """The connection broke while an answer was due: what was asked may or may not have happened."""

    wire_type = "ConnectionError"
    retryable = True


class NotAllowed(MktlError, PermissionError):
    """The rules of the daemon do not let this caller do that; nothing was done."""

    wire_type = "PermissionError"


class UntrustedDaemon(MktlError, PermissionError):
    """A daemon shows another key than is known of it: nothing was sent."""

    wire_type = "PermissionError"


class HandshakeFailed(NotConnected):
    """Somebody is there, but of another mind about encryption, or who may connect."""


class Locked(MktlError, PermissionError):
    """Somebody has locked the item for a while; nothing was done."""

    wire_type = "PermissionError"
    retryable = True


class Busy(MktlError):
    """Too many requests are waiting; nothing was done with this one."""

    retryable = True


class NotSaved(MktlError, OSError):
    """A persistent value could not be written to disk."""

    wire_type = "OSError"
    retryable = True


class ConfigurationError(MktlError, ValueError):
    """A file or a command line that asks for something which cannot be."""

    wire_type = "ValueError"


class AlreadyRunning(MktlError):
    """Another process holds the place of this daemon or registry."""


class CatalogConflict(MktlError):
    """Another live daemon holds a key or an alias that this one asks for."""


class DeviceError(MktlError):
    """Something is wrong with a controller, or with the way to it."""


class DeviceTimeout(DeviceError, TimeoutError):
    """A controller did not answer, or not completely, before the deadline."""

    wire_type = "TimeoutError"
    retryable = True


class DeviceLost(DeviceError, ConnectionError):
    """The port to a controller broke or could not be opened."""

    wire_type = "ConnectionError"
    retryable = True


class LinkDown(DeviceLost):
    """The controller is known to be out of reach: nothing was sent."""


class DeviceRefused(DeviceError, ValueError):
    """A controller understood a command and refused it."""

    wire_type = "ValueError"


class InvalidReading(DeviceError):
    """The controller answered, and said itself that its reading is not valid."""

    retryable = True


class MoveFailed(DeviceError):
    """Something that moves did not end where it was sent to; the text says where it stands."""


class Stopped(MoveFailed):
    """A move was ended, or did not begin, as a stop was asked for after it."""


class ProtocolMismatch(DeviceError):
    """A controller's answer is not an answer to what was asked."""

    retryable = True


class WrongDevice(DeviceError):
    """What answers on the port is not the device that was configured."""


class RemoteError(MktlError):
    """An error that a daemon reported under a name that has no better class here."""


_DELIBERATE = (ValueError, TypeError, KeyError, RuntimeError, OSError)
"""Built-in errors that authors raise to refuse something or to report trouble."""

_BY_WIRE_TYPE: dict[str, type[MktlError]] = {
    "ValueError": BadValue,
    "TypeError": WrongType,
    "KeyError": UnknownKey,
}


def error_to_wire(error: BaseException) -> dict[str, Any]:
    """Describe *error* in the fields of an error reply, without a traceback.

    The class of one of our own errors travels beside the built-in's name, in the field ``class``,
    which peers that do not know it ignore.
    """
    if isinstance(error, MktlError):
        fields = {"type": error.wire_type, "text": str(error)}
        if isinstance(error, RemoteError) or type(error) is _BY_WIRE_TYPE.get(error.wire_type):
            return fields
        return {**fields, "class": type(error).__name__}
    if isinstance(error, KeyError) and len(error.args) == 1:
        return {"type": type(error).__name__, "text": str(error.args[0])}
    name, text = type(error).__name__, str(error)
    if not isinstance(error, _DELIBERATE):
        # A mistake in somebody's code: "division by zero" alone would leave a person guessing.
        text = f"{name} in the code of the daemon: {text}"
    return {"type": name, "text": text or name}


def error_from_wire(fields: object) -> MktlError:
    """Make the error that *fields* (the ``error`` of a reply) describe.

    The result is an :class:`MktlError` and also an instance of the built-in that the reply names,
    if there is such a built-in exception.
    """
    if not isinstance(fields, dict):
        return RemoteError(f"the daemon reported an error that is not one: {fields!r}")
    text = str(fields.get("text") or "the daemon gave no reason")
    own = globals().get(str(fields.get("class", "")))
    if isinstance(own, type) and issubclass(own, MktlError):
        return own(text)
    name = str(fields.get("type", ""))
    if name in _BY_WIRE_TYPE:
        return _BY_WIRE_TYPE[name](text)
    try:
        return _remote_class(name)(text)
    except TypeError:  # a built-in that needs more than a text
        return RemoteError(text)


@functools.lru_cache(maxsize=256)
def _remote_class(name: str) -> type[RemoteError]:
    builtin = getattr(builtins, name, None)
    if not (isinstance(builtin, type) and issubclass(builtin, Exception)):
        return RemoteError
    if issubclass(builtin, (StopIteration, StopAsyncIteration)):
        return RemoteError  # would end a loop of the client, which would look as if all was done
    if issubclass(RemoteError, builtin):
        return RemoteError
    try:
        return type(name, (RemoteError, builtin), {"wire_type": name})
    except TypeError:  # two layouts that cannot be one object
        return RemoteError
