"""Talking to a model without a link."""

from __future__ import annotations

from simulators.device import Device, Later

__all__ = ["ask", "write"]


def ask(device: Device, text: str) -> str:
    """Send a message, and return the reply without its line end."""
    reply = device.answer(text.encode("latin-1"))
    assert not isinstance(reply, Later)
    return reply.decode("latin-1").removesuffix("\n").removesuffix("\r")


def write(device: Device, **values: float) -> None:
    """Set quantities, as the control port does."""
    for name, value in values.items():
        setter = device.quantities()[name].write
        assert setter is not None
        setter(value)
    device.step(0.0)
