"""Rigol DP832 triple DC supply, over raw TCP, VISA (socket, VXI-11, USB-TMC) or RS-232.

A command that the instrument refuses is not answered, and changes nothing; the error goes to its
queue, which is read after each command, in the same turn.

Each message names its channel (``CH1``) instead of selecting one first: what is selected is the
business of whoever stands at the front panel, or of another host.

Source: the sheet of the instrument, made from the programming guide PGH03109 and from qcodes
(``Rigol/private/DP8xx.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from drivers import _rigol_dp832 as dp
from drivers._block_plan import plan
from drivers._rigol_dp832 import Measured
from drivers.channel import BlockRead, Channel
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.scpi import ScpiController, check_lost_reply, to_float
from drivers.settings import Identity, LineSettings

__all__ = ["Measured", "RigolDP832"]


class RigolDP832(ScpiController):
    """One DP832: channels 1 and 2 (32 V, 3.2 A), and 3 (5.3 V, 3.2 A).

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the
    instrument raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the instrument put an error into its queue; it names what was sent and the
      entries;
    - InvalidReading: the instrument has no value (9.9E37);
    - ProtocolMismatch: the reply is not one to what was asked.
    """

    driver_name = "rigol_dp832"
    port_defaults = PortDefaults(tcp_port=5555, serial=SerialSettings(baud=9600))
    line_defaults = LineSettings(
        reply_end=b"\n",
        longest_reply=1024,
        # The firmware is slow: the sheet asks for 20 to 50 ms between messages.
        min_gap_s=0.05,
        identity=Identity(
            ask=b"*IDN?\n",
            reply=re.compile(r"RIGOL TECHNOLOGIES,DP832A?,[^,]*,[^,]*"),
            check=check_lost_reply,
        ),
    )

    # --- measured ---------------------------------------------------------------------------------

    def measured(self, channel: int) -> Measured:
        """Return voltage, current and power of one moment. Source: sheet, ``:MEAS:ALL?``."""
        with self.answered(f":MEAS:ALL? CH{dp.channel_number(channel)}") as text:
            return dp.to_measured(text)

    def voltage_v(self, channel: int) -> float:
        """Return the voltage at the terminals in volts. Source: sheet, ``:MEAS?``."""
        return self._number(f":MEAS? CH{dp.channel_number(channel)}")

    def current_a(self, channel: int) -> float:
        """Return the current in amperes. Source: sheet, ``:MEAS:CURR?``."""
        return self._number(f":MEAS:CURR? CH{dp.channel_number(channel)}")

    def regulation_mode(self, channel: int) -> int:
        """Return 0 unregulated, 1 constant voltage, 2 constant current.

        Source: sheet, ``:OUTP:MODE?`` (UR, CV, CC).
        """
        with self.answered(f":OUTP:MODE? CH{dp.channel_number(channel)}") as text:
            return dp.to_mode(text)

    # --- set-points and output --------------------------------------------------------------------

    def setpoints(self, channel: int) -> tuple[float, float]:
        """Return what voltage and current are set to, in volts and amperes. Source: ``:APPL?``."""
        with self.answered(f":APPL? CH{dp.channel_number(channel)}") as text:
            return dp.to_setpoints(text, channel)

    def setpoint_v(self, channel: int) -> float:
        """Return what the voltage is set to, in volts. Source: sheet, ``:SOUR1:VOLT?``."""
        return self._number(f":SOUR{dp.channel_number(channel)}:VOLT?")

    def set_setpoint_v(self, channel: int, voltage_v: float) -> None:
        """Set the voltage, 0 to 32 volts (channel 3: 5.3). Source: sheet, ``:SOUR1:VOLT``."""
        n = dp.channel_number(channel)
        text = dp.number(voltage_v, dp.HIGHEST_V[n], f"the voltage of CH{n} in volts")
        self.command(f":SOUR{n}:VOLT {text}")

    def setpoint_a(self, channel: int) -> float:
        """Return the limit of the current, in amperes. Source: sheet, ``:SOUR1:CURR?``."""
        return self._number(f":SOUR{dp.channel_number(channel)}:CURR?")

    def set_setpoint_a(self, channel: int, current_a: float) -> None:
        """Set the limit of the current, 0 to 3.2 amperes. Source: sheet, ``:SOUR1:CURR``."""
        n = dp.channel_number(channel)
        text = dp.number(current_a, dp.HIGHEST_A[n], f"the current of CH{n} in amperes")
        self.command(f":SOUR{n}:CURR {text}")

    def output(self, channel: int) -> bool:
        """Return whether the output is on. A trip turns it off. Source: sheet, ``:OUTP?``."""
        with self.answered(f":OUTP? CH{dp.channel_number(channel)}") as text:
            return dp.to_on(text)

    def set_output(self, channel: int, on: bool) -> None:
        """Turn the output on or off. Source: sheet, ``:OUTP``."""
        self.command(f":OUTP CH{dp.channel_number(channel)},{dp.on_or_off(on)}")

    # --- protection -------------------------------------------------------------------------------

    def over_voltage_level_v(self, channel: int) -> float:
        """Return where the over-voltage protection trips, in volts. Source: ``:OUTP:OVP:VAL?``."""
        return self._number(f":OUTP:OVP:VAL? CH{dp.channel_number(channel)}")

    def set_over_voltage_level_v(self, channel: int, level_v: float) -> None:
        """Set where the over-voltage protection trips; the instrument itself knows the limits."""
        self._set_level(channel, "OVP", level_v, "the over-voltage level in volts")

    def over_voltage_enabled(self, channel: int) -> bool:
        """Return whether the over-voltage protection is on. Source: sheet, ``:OUTP:OVP``."""
        return self._enabled(channel, "OVP")

    def set_over_voltage_enabled(self, channel: int, on: bool) -> None:
        """Turn the over-voltage protection on or off. Source: sheet, ``:OUTP:OVP CH1,ON``."""
        self.command(f":OUTP:OVP CH{dp.channel_number(channel)},{dp.on_or_off(on)}")

    def over_voltage_tripped(self, channel: int) -> bool:
        """Return whether it has tripped, and so turned the output off. Source: ``OVP:QUES?``."""
        return self._tripped(channel, "OVP")

    def clear_over_voltage(self, channel: int) -> None:
        """Forget a trip; the output stays off.

        Source: sheet, ``:OUTP:OVP:CLEAR`` (``:SOUR:VOLT:PROT:CLE`` would turn the output on).
        """
        self.command(f":OUTP:OVP:CLEAR CH{dp.channel_number(channel)}")

    def over_current_level_a(self, channel: int) -> float:
        """Return where the over-current protection trips, in amperes."""
        return self._number(f":OUTP:OCP:VAL? CH{dp.channel_number(channel)}")

    def set_over_current_level_a(self, channel: int, level_a: float) -> None:
        """Set where the over-current protection trips; the instrument itself knows the limits."""
        self._set_level(channel, "OCP", level_a, "the over-current level in amperes")

    def over_current_enabled(self, channel: int) -> bool:
        """Return whether the over-current protection is on."""
        return self._enabled(channel, "OCP")

    def set_over_current_enabled(self, channel: int, on: bool) -> None:
        """Turn the over-current protection on or off."""
        self.command(f":OUTP:OCP CH{dp.channel_number(channel)},{dp.on_or_off(on)}")

    def over_current_tripped(self, channel: int) -> bool:
        """Return whether it has tripped, and so turned the output off."""
        return self._tripped(channel, "OCP")

    def clear_over_current(self, channel: int) -> None:
        """Forget a trip; the output stays off. Source: sheet, "same with OCP"."""
        self.command(f":OUTP:OCP:CLEAR CH{dp.channel_number(channel)}")

    # --- the whole instrument ---------------------------------------------------------------------

    def identity(self) -> str:
        """Return maker, model, serial number and firmware. Source: sheet, ``*IDN?``."""
        with self.answered("*IDN?") as text:
            if not text.startswith("RIGOL TECHNOLOGIES,DP832"):
                raise ValueError(f"{text!r} is not a DP832")
            return text

    def options(self) -> str:
        """Return the options that are installed; "0" if none. Source: sheet, ``*OPT?``."""
        return self.query("*OPT?")

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/rigol_dp832.md`` for the list."""
        from drivers._rigol_dp832_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read what belongs together, such as voltage, current and power, with one message."""
        from drivers._rigol_dp832_channels import blocks_of

        return plan(channels, blocks_of(self))

    # --- inside -----------------------------------------------------------------------------------

    def _number(self, query: str) -> float:
        with self.answered(query) as text:
            return to_float(text)

    def _set_level(self, channel: int, kind: str, level: float, what: str) -> None:
        text = dp.number(level, math.inf, what)
        self.command(f":OUTP:{kind}:VAL CH{dp.channel_number(channel)},{text}")

    def _enabled(self, channel: int, kind: str) -> bool:
        with self.answered(f":OUTP:{kind}? CH{dp.channel_number(channel)}") as text:
            return dp.to_on(text)

    def _tripped(self, channel: int, kind: str) -> bool:
        with self.answered(f":OUTP:{kind}:QUES? CH{dp.channel_number(channel)}") as text:
            return dp.to_tripped(text)
