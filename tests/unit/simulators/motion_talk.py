"""Talking to the models of motion controllers, without a link."""

from __future__ import annotations

from simulators._icepap_words import Bit
from simulators.device import Device, Later

MOVING = 1 << Bit.MOVING
SETTLING = 1 << Bit.SETTLING
READY = 1 << Bit.READY
POWER = 1 << Bit.POWER


def ask(device: Device, text: str) -> str:
    """Send a message and return the reply without its line end."""
    reply = device.answer(text.encode("latin-1"))
    assert not isinstance(reply, Later)
    return reply.decode("latin-1").removesuffix("\r\n")


def write(device: Device, **values: float) -> None:
    """Set quantities, as the control port does."""
    for name, number in values.items():
        setter = device.quantities()[name].write
        assert setter is not None
        setter(number)
    device.step(0.0)


def read(device: Device, name: str) -> float:
    """Read a quantity, as the control port does."""
    return device.quantities()[name].read()


# -- IcePAP --------------------------------------------------------------------------------------


def value(unit: Device, text: str) -> str:
    """Ask, and return what follows the query word."""
    return ask(unit, text).partition("?")[2].partition(" ")[2]


def acknowledged(unit: Device, *commands: str) -> None:
    """Give commands that have to be acknowledged."""
    for command in commands:
        assert ask(unit, f"#{command}").endswith(" OK"), command


def status(unit: Device, axis: int = 1) -> int:
    """Return the status word of an axis."""
    return int(value(unit, f"{axis}:?STATUS"), 16)


def stop_code(unit: Device, axis: int = 1) -> int:
    """Return the stop code of an axis, which its status word has as well."""
    code = int(value(unit, f"{axis}:?STOPCODE"), 16)
    assert code == status(unit, axis) >> 14 & 0xF
    return code


def disable_code(unit: Device, axis: int = 1) -> int:
    """Return the disable code of an axis."""
    return status(unit, axis) >> 4 & 7


# -- Zaber ---------------------------------------------------------------------------------------


def data(device: Device, text: str) -> str:
    """Ask, and return the data of a reply that is OK."""
    reply = ask(device, text)
    assert " OK " in reply, reply
    return reply.split(" ", 5)[5]


def obeyed(device: Device, *commands: str) -> None:
    """Give commands that must not be rejected."""
    for command in commands:
        assert " OK " in ask(device, command), command


def flag(device: Device) -> str:
    """Return the flag of device 1 that comes first."""
    return ask(device, "/1").split()[4]


def heard(device: Device) -> list[str]:
    """Return what the device has said by itself."""
    return [message.decode().removesuffix("\r\n") for message in device.take_unasked()]
