"""What a reply says: a payload, or an error to raise."""

from __future__ import annotations

from .errors import error_from_wire
from .payload import Payload
from .transport.client import Reply

__all__ = ["read_reply"]


def read_reply(reply: Reply, timeout_s: float | None = None) -> Payload:
    """Wait for *reply* and return its payload.

    Raises:
        MktlError: the error that the daemon reports, or that there is no answer.
    """
    response = reply.wait(timeout_s)
    error = response.payload.get("error")
    if error is not None:
        raise error_from_wire(error)
    return Payload.from_wire(response.payload, response.bulk)
