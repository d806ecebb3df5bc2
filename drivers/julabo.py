"""Julabo circulators and chillers (CF31, FP50, CORIO, MAGIO, DYNEO), on RS-232 or a serial server.

A command that sets something (``out_...``) is never answered, also when the unit refuses it; the
refusal is told once, by the next ``status``, which is therefore asked in the same turn. Then the
setting is read back: a unit with an alarm may take a command and yet not follow it. A query that
the unit does not know is met with silence, and ``status`` tells of that as well.

The unit obeys in remote mode only, which is chosen at its panel.

Source: the sheet of the instrument, made from the CF31 manual (p. 72: 250 ms after a setting
command, 10 ms after a query), the PyPI packages ``julabo`` and ``labmcp-julabo``, and lewis
(``devices/julabo``) for the FP50.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from drivers import _julabo as ju
from drivers._block_plan import plan
from drivers._julabo import Status
from drivers._julabo_talk import JulaboTalk
from drivers.channel import BlockRead, Channel

__all__ = ["Julabo", "Status"]


class Julabo(JulaboTalk):
    """One circulator.

    Settings: ``model``, one of :data:`drivers._julabo.MODELS`, ``cf31`` if none is given; ``case``
    of the commands that are sent, ``lower`` or ``upper``; ``confirm``, how it is known that a
    command was taken: by ``status`` and reading back, or by ``read_back`` alone.

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the unit
    raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the unit refused a command, or does not know a query; in words, with its code;
    - InvalidReading: the unit has no value;
    - ProtocolMismatch: the reply is not one to what was asked.
    """

    driver_name: ClassVar[str] = "julabo"
    driver_settings: ClassVar[tuple[str, ...]] = ("model", "case", "confirm")
    setting_examples: ClassVar[Mapping[str, str]] = {
        "model": '"cf31"   # or "corio", "magio", "dyneo", "fp50-mh", "fp50-he"',
    }
    url_examples: ClassVar[tuple[str, ...]] = (
        "serial:///dev/ttyUSB0",
        "tcp://192.168.1.10:4001",
        "rfc2217://192.168.1.10:4001",
    )

    # --- readings ---------------------------------------------------------------------------------

    def bath_temperature_c(self) -> float:
        """Return the temperature of the bath in degrees Celsius. Source: sheet, ``in_pv_00``."""
        return self._number("in_pv_00")

    def heating_percent(self) -> float:
        """Return the heating power in percent, negative when it cools.

        Source: sheet, ``in_pv_01``; FP50: ``in_pv_02``.
        """
        return self._number(self._registers.power)

    def external_temperature_c(self) -> float:
        """Return the temperature of the external Pt100 in degrees Celsius.

        Source: sheet, ``in_pv_02``; FP50: ``in_pv_01``.
        """
        return self._number(self._registers.external)

    def safety_temperature_c(self) -> float:
        """Return the temperature of the safety sensor. Source: sheet, ``in_pv_03``."""
        return self._number("in_pv_03")

    def excess_temperature_c(self) -> float:
        """Return where the excess temperature protection is set. Source: sheet, ``in_pv_04``."""
        return self._number("in_pv_04")

    def high_limit_c(self) -> float:
        """Return the high warning limit. Source: sheet, ``in_sp_03``; FP50-MH: ``in_sp_01``."""
        return self._number(self._registers.high)

    def low_limit_c(self) -> float:
        """Return the low warning limit. Source: sheet, ``in_sp_04``; FP50-MH: ``in_sp_02``."""
        return self._number(self._registers.low)

    # --- settings ---------------------------------------------------------------------------------

    def setpoint_c(self) -> float:
        """Return set-point 1 in degrees Celsius. Source: sheet, ``in_sp_00``."""
        return self._number("in_sp_00")

    def set_setpoint_c(self, setpoint_c: float) -> None:
        """Set set-point 1; the unit itself knows its limits. Source: sheet, ``out_sp_00``."""
        self._set(ju.SETPOINT, setpoint_c)

    def active_setpoint(self) -> int:
        """Return which set-point is in force, 0 for the first. Source: sheet, ``in_mode_01``."""
        return self._whole("in_mode_01", range(3))

    def set_active_setpoint(self, index: int) -> None:
        """Choose the set-point that is in force, 0 to 2. Source: sheet, ``out_mode_01``."""
        self._set(ju.ACTIVE, index)

    def running(self) -> bool:
        """Return whether it circulates and controls. Source: sheet, ``in_mode_05``."""
        return bool(self._whole("in_mode_05", range(2)))

    def set_running(self, on: bool) -> None:
        """Start or stop the unit; refused after an alarm. Source: sheet, ``out_mode_05``."""
        self.command(f"out_mode_05 {ju.on_or_off(on)}")

    def external_control(self) -> bool:
        """Return whether the external sensor controls. Source: sheet, ``in_mode_04``."""
        return bool(self._whole("in_mode_04", range(2)))

    def set_external_control(self, on: bool) -> None:
        """Control with the external sensor, or with that in the bath. Source: ``out_mode_04``."""
        self.command(f"out_mode_04 {ju.on_or_off(on)}")

    def pump_stage(self) -> int:
        """Return the stage of the pump. Source: sheet, ``in_sp_07``."""
        return self._whole("in_sp_07", range(5))

    def set_pump_stage(self, stage: int) -> None:
        """Set the stage of the pump, 1 to 4. Source: sheet, ``out_sp_07``."""
        self._set(ju.PUMP, stage)

    def xp(self) -> float:
        """Return Xp, the proportional band. Source: sheet, ``in_par_06``."""
        return self._number("in_par_06")

    def set_xp(self, xp: float) -> None:
        """Set Xp, 0.1 to 99.9. Source: sheet, ``out_par_06``."""
        self._set(ju.XP, xp)

    def tn(self) -> float:
        """Return Tn, the reset time. Source: sheet, ``in_par_07``."""
        return self._number("in_par_07")

    def set_tn(self, tn: int) -> None:
        """Set Tn, 3 to 9999. Source: sheet, ``out_par_07``."""
        self._set(ju.TN, tn)

    def tv(self) -> float:
        """Return Tv, the derivative time. Source: sheet, ``in_par_08``."""
        return self._number("in_par_08")

    def set_tv(self, tv: int) -> None:
        """Set Tv, 0 to 999. Source: sheet, ``out_par_08``."""
        self._set(ju.TV, tv)

    # --- the whole unit ---------------------------------------------------------------------------

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/julabo.md`` for the list."""
        from drivers._julabo_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read state, alarm and text of the status with one message."""
        from drivers._julabo_channels import blocks_of

        return plan(channels, blocks_of(self))

    # --- inside -----------------------------------------------------------------------------------

    def _set(self, setting: ju.Setting, value: object) -> None:
        self.command(f"out_{setting.register} {setting.text(value)}")

    def _whole(self, query: str, allowed: range) -> int:
        with self._answered(query) as text:
            return ju.to_int(text, allowed)
