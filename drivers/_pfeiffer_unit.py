"""What Pfeiffer drives and gauges have in common: one unit of a line that speaks telegrams."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from drivers import _pfeiffer_types as types
from drivers._pfeiffer_errors import Fault, to_fault
from drivers._pfeiffer_parameters import ERROR_CODE, NAME, Parameter
from drivers._suggest import suggestion
from drivers.base import ControllerBase
from drivers.framing.telegrams import NOISE, Telegram, TelegramReplies, to_telegram
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import Identity, LineSettings
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    InvalidReading,
    ProtocolMismatch,
)

__all__ = ["PfeifferUnit", "Restored"]

_REFUSALS = {
    "NO_DEF": "it has no such parameter",
    "_RANGE": "the value, or its length, is out of range",
    "_LOGIC": "that is not allowed, or not now",
}
_IN_STEP = "the unit is put back in step before anything else is sent to it"


@dataclass(frozen=True, slots=True, repr=False)
class Restored:
    """A parameter that is written on each connect."""

    path: str
    """Path of its channel."""
    parameter: Parameter
    """The parameter."""
    value: Any
    """What is written."""

    def __repr__(self) -> str:
        """Give it as error texts show it."""
        return f"{self.path} = {self.value!r}"


class PfeifferUnit(ControllerBase):
    """One unit; see :class:`drivers.pfeiffer_turbo.PfeifferTurbo`."""

    multi_drop = True
    port_defaults = PortDefaults(serial=SerialSettings(baud=9600))
    line_defaults = LineSettings(
        reply_end=b"\r",
        longest_reply=128,
        framing=TelegramReplies,
        ignore=NOISE,
        # The sheet: 100 to 250 ms for each telegram, and none before the reply to the last one.
        timeout_s=0.25,
    )

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    """Its parameters by path of the channel."""
    error_words: ClassVar[Mapping[str, str]] = {}
    """What its error codes mean."""
    names: ClassVar[str] = ""
    """A regular expression: the data of parameter 349 of such a unit, with length."""

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the settings, and see to it that the unit is one that there can be.

        Raises:
            ConfigurationError: a setting is not valid, or the address.
        """
        if not 1 <= self._address <= 255:
            raise ConfigurationError(f"unit={self.unit}: an address is a number from 1 to 255")
        asked = Telegram(self._address, NAME)
        name = re.compile(f"{self._address:03d}10{NAME}(?!..(NO_DEF|_RANGE|_LOGIC)){self.names}")
        return replace(super().line_settings(settings), identity=Identity(asked.line, name))

    # --- what all units have ----------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """Return the value of a parameter, by the path of its channel.

        Raises:
            BadValue: there is none, or it cannot be asked for; nothing was sent.
            DeviceRefused: the unit says that it does not have it, in words.
            InvalidReading: it has no value.
            ProtocolMismatch: the reply is not one to what was asked.
            DeviceError: as for :meth:`drivers.line.Line.exchange`.
        """
        return self.read(self._parameter(path))

    def set(self, path: str, value: object) -> None:
        """Set a parameter, by the path of its channel.

        Raises:
            BadValue: there is none, it cannot be set, or not to that; nothing was sent.
            DeviceRefused: the unit refused it, in words.
            ProtocolMismatch: it did not confirm what was written.
            DeviceError: as for :meth:`drivers.line.Line.exchange`.
        """
        self.write(self._parameter(path), value)

    def fault(self) -> Fault:
        """Return the error code, with its meaning. Source: sheet, parameter 303."""
        with self.turn():
            data = self._asked(ERROR_CODE)
            try:
                return to_fault(data, self.error_words)
            except ValueError as error:
                raise self._mismatch(ERROR_CODE, data, error) from error

    def firmware(self) -> str:
        """Return the version of the firmware. Source: sheet, parameter 312."""
        text: str = self.get("firmware")
        return text

    def read(self, parameter: Parameter) -> Any:
        """Return the value of *parameter*; as :meth:`get`."""
        if not parameter.readable:
            raise BadValue(f"{self.label}: parameter {parameter.number:03d} can only be set")
        with self.turn():
            data = self._asked(parameter.number)
            try:
                return parameter.kind.value(data)
            except types.NoNumber as error:
                raise InvalidReading(
                    f"{self.label}: parameter {parameter.number:03d} has no value: {error}"
                ) from error
            except ValueError as error:
                raise self._mismatch(parameter.number, data, error) from error

    def write(self, parameter: Parameter, value: object) -> None:
        """Set *parameter*, and see to it that the unit confirms just that; as :meth:`set`."""
        where = f"{self.label}: parameter {parameter.number:03d}"
        if not parameter.writable:
            raise BadValue(f"{where} cannot be set")
        try:
            data = parameter.data(value)
        except BadValue as error:
            raise BadValue(f"{where}: {error}") from None
        sent = Telegram(self._address, parameter.number, data, asks=False)
        with self.turn():
            reply = self._exchanged(sent)
            self._check_refused(f"to set parameter {parameter.number:03d} to {data!r}", reply)
            if reply != sent:
                raise ProtocolMismatch(
                    f"{where}: {data!r} was sent, and {reply.data!r} confirmed; it may or may not "
                    f"have been carried out; {_IN_STEP}"
                )

    def raw(self, text: str) -> str:
        """Send *text*, a telegram without check sum and CR, and return the reply, without as well.

        A number of three digits alone asks for that parameter.

        Raises:
            BadValue: it is no telegram, or one to another unit.
            DeviceError: as for any turn.
        """
        if re.fullmatch(r"[0-9]{3}", text):
            return self._exchanged(Telegram(self._address, int(text))).text
        try:
            sent = to_telegram(text)
        except ValueError as error:
            raise BadValue(f"{self.label}: {error}; or the number of a parameter") from None
        if sent.address != self._address:
            raise BadValue(
                f"{self.label}: {text!r} is for unit {sent.address}, whose replies are not ours"
            )
        return self._exchanged(sent).text

    def check_restore(self, restore: object) -> tuple[Restored, ...]:
        """Return the parameters to be written on each connect.

        Each is a table like ``{channel = "speed.setpoint", value = 80}``.

        Raises:
            ConfigurationError: one cannot be.
        """
        if not isinstance(restore, Sequence) or isinstance(restore, str):
            raise ConfigurationError(f"restore must be a list of tables, not {restore!r}")
        return tuple(map(self._restored, restore))

    def restore_setting(self, setting: Restored) -> None:
        """Write one of the ``restore`` parameters; refused, it raises DeviceRefused."""
        self.write(setting.parameter, setting.value)

    # --- for what stands on it --------------------------------------------------------------------

    def read_each(self, parameters: Sequence[Parameter]) -> list[Any]:
        """Read several in one turn.

        Returns:
            For each the value, or the error that says why the unit has none.

        Raises:
            DeviceError: the unit does not answer, or not to what was asked.
        """
        found: list[Any] = []
        with self.turn():
            for parameter in parameters:
                try:
                    found.append(self.read(parameter))
                except (DeviceRefused, InvalidReading) as error:
                    found.append(error)
        return found

    # --- inside -----------------------------------------------------------------------------------

    @property
    def _address(self) -> int:
        assert self.unit is not None  # it is multi_drop
        return self.unit

    def _parameter(self, path: str) -> Parameter:
        if path not in self.parameters:
            raise BadValue(
                f"{self.label} has no parameter {path!r}: {suggestion(path, self.parameters)}"
            )
        return self.parameters[path]

    def _asked(self, number: int) -> str:
        reply = self._exchanged(Telegram(self._address, number))
        self._check_refused(f"to read parameter {number:03d}", reply)
        return reply.data

    def _exchanged(self, sent: Telegram) -> Telegram:
        # The framing gives telegrams of this unit and parameter only.
        return to_telegram(self._line.exchange(sent.line, query=sent.asks).decode("ascii"))

    def _check_refused(self, what: str, reply: Telegram) -> None:
        if reply.data in _REFUSALS:
            raise DeviceRefused(
                f"{self.label}: it refused {what}: {reply.data}, {_REFUSALS[reply.data]}"
            )

    def _mismatch(self, number: int, data: str, error: ValueError) -> DeviceError:
        return ProtocolMismatch(
            f"{self.label}: parameter {number:03d} was asked for, and {data!r} came back: {error}; "
            f"{_IN_STEP}"
        )

    def _restored(self, table: object) -> Restored:
        if not (isinstance(table, Mapping) and {*table} == {"channel", "value"}):
            raise ConfigurationError(
                f'restore: each is a table like {{channel = "...", value = 1}}, not {table!r}'
            )
        path = table["channel"]
        parameter = self.parameters.get(path) if isinstance(path, str) else None
        if parameter is None or not parameter.writable:
            can = [path for path, one in self.parameters.items() if one.writable]
            raise ConfigurationError(
                f"restore: {path!r} cannot be set: {suggestion(str(path), can)}"
            )
        try:
            parameter.data(table["value"])
        except BadValue as error:
            raise ConfigurationError(f"restore: {path}: {error}") from None
        return Restored(path, parameter, table["value"])
