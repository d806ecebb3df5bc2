"""Pfeiffer turbo drives (TM 700, TC 400) and gauges (CPT, RPT, PPT, HPT, MPT) on RS-485.

All units on a line have addresses, and speak only when asked: with telegrams that have a check sum.
A unit that is not meant, or that hears a damaged telegram, is silent. It says what it cannot do in
the place of a value (``NO_DEF``, ``_RANGE``, ``_LOGIC``), and confirms what is written by saying it
again.

Source: the sheet of the protocol, made from the PyPI packages ``pfeiffer-turbo`` and
``pfeiffer-vacuum-protocol``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from drivers import _pfeiffer_errors as errors
from drivers import _pfeiffer_parameters as parameters
from drivers._block_plan import plan
from drivers._pfeiffer_errors import Fault
from drivers._pfeiffer_parameters import GAUGE
from drivers._pfeiffer_unit import PfeifferUnit
from drivers.channel import BlockRead, Channel
from mktl.errors import DeviceError, InvalidReading

__all__ = ["Fault", "PfeifferGauge", "PfeifferTurbo"]

GAUGE_TYPES = {"A1": "CPT", "A2": "RPT", "A3": "PPT", "A4": "HPT", "A5": "MPT"}


class PfeifferTurbo(PfeifferUnit):
    """The drive of one turbo pump.

    The URL names its address on the line, ``serial:///dev/ttyUSB0?unit=3``; 1 if it names none.

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the unit
    raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the unit does not have that, or does not allow it; in words;
    - ProtocolMismatch: the reply is not one to what was asked, or a write was not confirmed.
    """

    driver_name: ClassVar[str] = "pfeiffer_turbo"
    url_examples: ClassVar[tuple[str, ...]] = (
        "serial:///dev/ttyUSB0?unit=1",
        "tcp://192.168.1.10:4001?unit=1",
    )
    parameters = parameters.DRIVE
    error_words = errors.DRIVE
    names = r"(06(?! *A[0-9]$).{6}|16.{16})"

    def pumping(self) -> bool:
        """Return whether the pumping station is on. Source: sheet, parameter 010."""
        return bool(self.get("pumping"))

    def set_pumping(self, on: bool) -> None:
        """Turn the pumping station on or off. Source: sheet, parameter 010."""
        self.set("pumping", on)

    def motor(self) -> bool:
        """Return whether the motor is on. Source: sheet, parameter 023."""
        return bool(self.get("motor"))

    def set_motor(self, on: bool) -> None:
        """Turn the motor on or off. Source: sheet, parameter 023."""
        self.set("motor", on)

    def standby(self) -> bool:
        """Return whether it is in standby, at a lower speed. Source: sheet, parameter 002."""
        return bool(self.get("standby"))

    def set_standby(self, on: bool) -> None:
        """Go to standby, or leave it. Source: sheet, parameter 002."""
        self.set("standby", on)

    def acknowledge(self) -> None:
        """Acknowledge an error, so that the pump can be started again. Source: parameter 009."""
        self.set("acknowledge", True)

    def speed_setpoint_percent(self) -> float:
        """Return the set speed in percent of the nominal one. Source: sheet, parameter 707."""
        return float(self.get("speed.setpoint"))

    def set_speed_setpoint_percent(self, percent: float) -> None:
        """Set the speed of the speed-set mode, 20 to 100 percent. Source: parameter 707."""
        self.set("speed.setpoint", percent)

    def power_limit_percent(self) -> int:
        """Return the highest power in percent. Source: sheet, parameter 708."""
        return int(self.get("power.limit"))

    def set_power_limit_percent(self, percent: int) -> None:
        """Set the highest power, 10 to 100 percent. Source: sheet, parameter 708."""
        self.set("power.limit", percent)

    def speed_hz(self) -> int:
        """Return the rotation speed in hertz. Source: sheet, parameter 309."""
        return int(self.get("speed"))

    def current_a(self) -> float:
        """Return the current of the drive in amperes. Source: sheet, parameter 310."""
        return float(self.get("current"))

    def flags(self) -> int:
        """Return what it says by yes and no, a bit each, all from one turn.

        The bits are those of :data:`drivers._pfeiffer_parameters.FLAGS`, in their order.
        """
        return parameters.mask_of(self.read_each(list(parameters.FLAGS.values())))

    def set_address(self, address: int) -> None:
        """Give it another address, 1 to 255. This controller speaks to the old one still.

        Source: sheet, parameter 797.
        """
        self.write(parameters.ADDRESS, address)

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/pfeiffer_turbo.md`` for the list."""
        from drivers._pfeiffer_channels import channels_of_drive

        return channels_of_drive(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read all flags in one turn, and level and text of the error with one telegram."""
        from drivers._pfeiffer_channels import blocks_of_drive

        return plan(channels, blocks_of_drive(self))


class PfeifferGauge(PfeifferUnit):
    """One gauge; the URL names its address on the line, 122 if it names none.

    Its methods raise what those of :class:`PfeifferTurbo` do, and

    - InvalidReading: the gauge says that it is defective, so that its pressure means nothing.
    """

    driver_name: ClassVar[str] = "pfeiffer_gauge"
    usual_unit = 122
    url_examples: ClassVar[tuple[str, ...]] = (
        "serial:///dev/ttyUSB0?unit=122",
        "tcp://192.168.1.10:4001?unit=122",
    )
    parameters = parameters.GAUGE
    error_words = errors.GAUGE
    names = r"06 *A[0-9]"

    def pressure_hpa(self) -> float:
        """Return the pressure in hectopascal, which is millibar, from a gauge that is well.

        The error code is asked after it, in the same turn. Source: sheet, parameters 740, 303.

        Raises:
            InvalidReading: the gauge reports an error, or has no value.
        """
        pressure = self.pressure_and_fault()[0]
        if isinstance(pressure, DeviceError):
            raise pressure
        return pressure

    def pressure_and_fault(self) -> tuple[float | DeviceError, Fault]:
        """Return the pressure, or why there is none, and the error code, from one turn."""
        with self.turn():
            (pressure,) = self.read_each([GAUGE["pressure"]])
            fault = self.fault()
        if fault.level == errors.ERROR:
            pressure = InvalidReading(f"{self.label}: it has no pressure, but {fault}")
        return pressure, fault

    def gauge_type(self) -> str:
        """Return what kind of gauge it is, such as ``MPT``. Source: sheet, parameter 349."""
        code = str(self.get("type"))
        return GAUGE_TYPES.get(code, code)

    def correction(self) -> float:
        """Return the factor for the kind of gas. Source: sheet, parameter 742."""
        return float(self.get("correction"))

    def set_correction(self, factor: float) -> None:
        """Set the factor for the kind of gas. Source: sheet, parameter 742."""
        self.set("correction", factor)

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/pfeiffer_turbo.md`` for the list."""
        from drivers._pfeiffer_channels import channels_of_gauge

        return channels_of_gauge(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read pressure and error in one turn."""
        from drivers._pfeiffer_channels import blocks_of_gauge

        return plan(channels, blocks_of_gauge(self))
