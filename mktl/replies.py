"""What a reply says: a payload, or an error to raise."""

from __future__ import annotations

from .errors import ConnectionLost, MktlError, NoAnswer, NotSupported, error_from_wire
from .payload import Payload
from .protocol.message import Response
from .transport.client import Reply

__all__ = ["read_or_error", "read_reply", "read_response"]


def read_reply(reply: Reply, timeout_s: float | None = None) -> Payload:
    """Wait for *reply* and return its payload.

    Raises:
        MktlError: the error that the daemon reports, or that there is no answer.
    """
    return read_response(reply.wait(timeout_s))


def read_response(response: Response) -> Payload:
    """Return the payload of a reply that has come.

    Raises:
        MktlError: the error that the daemon reports.
    """
    error = response.payload.get("error")
    if error is not None:
        raise error_from_wire(error)
    return Payload.from_wire(response.payload, response.bulk)


def read_or_error(reply: Reply, timeout_s: float) -> Payload | MktlError | None:
    """Return what the answer says about one item of many; ``None`` if it cannot be read.

    Raises:
        NoAnswer, ConnectionLost: nothing is answered about any of them.
    """
    try:
        return read_reply(reply, timeout_s)
    except NotSupported:
        return None  # it can be set, but not read
    except MktlError as error:
        # One that was acknowledged is being read, which takes its time: a broadcast will tell.
        unheard = reply.error is None and not reply.acknowledged
        if unheard or isinstance(reply.error, (NoAnswer, ConnectionLost)):
            raise
        return error
