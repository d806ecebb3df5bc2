"""What a reply says: a payload, or an error to raise."""

from __future__ import annotations

from .errors import error_from_wire
from .payload import Payload
from .protocol.message import Response
from .transport.client import Reply

__all__ = ["read_reply", "read_response"]


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
