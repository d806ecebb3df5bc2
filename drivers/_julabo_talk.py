"""What is said to a Julabo, and how it is known that it was heard."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

from drivers import _julabo as ju
from drivers._julabo import Status
from drivers.controller import Controller
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import Identity, LineSettings
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    ProtocolMismatch,
    WrongDevice,
)

__all__ = ["JulaboTalk"]

_log = logging.getLogger(__name__)

_WATCHDOG_S = 30.0
_OUT = re.compile(r"out_((?:sp|mode|par)_\d\d) ([+-]?\d+(?:\.(\d+))?)", re.ASCII)
_TOLD_ONCE = 3


class JulaboTalk(Controller):
    """Queries, commands and the status of one unit; see :class:`drivers.julabo.Julabo`."""

    message_end = "\r"
    port_defaults = PortDefaults(
        serial=SerialSettings(baud=4800, bits=7, parity="even", stop=1, flow="rtscts")
    )
    line_defaults = LineSettings(
        reply_end=b"\n",
        longest_reply=256,
        framing=ju.LineFeedReplies,
        ignore=b"\x11\x13",
        timeout_s=2.0,
        min_gap_s=0.01,
        settle_after=((b"out_", 0.25),),
        identity=Identity(b"version\r", re.compile(r"\s*JULABO .*"), ju.check_lost_reply),
        # The serial watchdog of the unit, if it is enabled, wants a message every 30 s.
        idle_probe_s=10.0,
    )

    _registers = ju.MODELS["cf31"]
    _model = "cf31"
    _upper = False
    _by_status = True
    """Whether ``status`` is asked after each command."""
    _told_all = False
    """Whether the unit surely has no refusal left to tell of."""

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check all of them, and that the unit is asked more often than its watchdog wants.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        self._model = ju.chosen("model", settings.pop("model", "cf31"), ju.MODELS)
        self._registers = ju.MODELS[self._model]
        self._upper = ju.chosen("case", settings.pop("case", "lower"), ju.CASES) == "upper"
        confirm = ju.chosen("confirm", settings.pop("confirm", "status"), ju.CONFIRMS)
        self._by_status = confirm == "status"
        checked = super().line_settings(settings)
        if checked.idle_probe_s >= _WATCHDOG_S:
            raise ConfigurationError(
                f"idle_probe_s must be less than {_WATCHDOG_S:g}: the serial watchdog of the unit "
                f"wants a message every {_WATCHDOG_S:g} s"
            )
        return ju.upper(checked) if self._upper else checked

    def unit_status(self) -> Status:
        """Return the state of the unit, or its alarm. Source: sheet, ``status``.

        A refusal that it has still to tell of is not a state: it is logged, and it is asked again.

        Raises:
            ProtocolMismatch: it tells of one refusal after the other, or as always.
        """
        with self.turn():
            for _attempt in range(_TOLD_ONCE):
                status = self._ask_status()
                if not status.refusal:
                    self._told_all = True
                    return status
                _log.warning(
                    "%s: the unit had refused something before: %s", self.label, status.refusal
                )
            raise ProtocolMismatch(f"{self.label}: 'status' gave {status.text!r} again and again")

    def identity(self) -> str:
        """Return model and version of the firmware. Source: sheet, ``version``."""
        with self._answered("version") as text:
            if not text.strip().startswith("JULABO "):
                raise ValueError("it does not begin with JULABO")
            return text.strip()

    def on_connect(self) -> None:
        """Make sure that it is of the family that ``model`` says, and hear old refusals.

        Raises:
            WrongDevice: it is of another one, whose registers mean something else.
        """
        name = self.identity()
        if not self._registers.named.fullmatch(name):
            raise WrongDevice(
                f"the unit says that it is {name!r}, which has other registers than model = "
                f"{self._model!r}; the models are: {', '.join(ju.MODELS)}"
            )
        if self._by_status:
            self.unit_status()

    def replies_to(self, text: str) -> bool:
        """Whether *text* is a query: all but ``out_...``."""
        return bool(text) and not text.lower().startswith("out_")

    def is_query(self, text: str) -> bool:
        """Whether *text* surely changes nothing: all that is answered only asks."""
        return self.replies_to(text)

    def raw(self, text: str) -> str:
        """Send *text*, in lower case, and return the reply; empty for a command.

        Raises:
            DeviceRefused: the unit refused it, or does not know it.
        """
        message = text.strip().lower()
        if not message:
            raise BadValue(f"{self.label}: there is nothing to send")
        if not self.replies_to(message):
            self.command(message)
            return ""
        with self._answered(message) as reply:
            return reply

    def command(self, text: str) -> None:
        """Send *text*, an ``out_...`` command, and see to it that it was taken.

        Raises:
            BadValue: it can neither be confirmed by ``status`` nor be read back; nothing was sent.
            DeviceRefused: ``status`` tells that it was refused, or the value reads back otherwise.
            DeviceError: as always.
        """
        if not self._by_status:
            self._command_without_status(text)
            return
        with self.turn():
            if not self._told_all:
                self.unit_status()
            self._told_all = False
            self.tell(text)
            status = self._ask_status()
            if status.refusal:
                now = self.unit_status()
                raise DeviceRefused(f"{self.label}: {ju.why_refused(text, status, now)}")
            self._told_all = True
            self._read_back(text, f"its status is {status.text!r}")

    def _command_without_status(self, text: str) -> None:
        if not _OUT.fullmatch(text):
            raise BadValue(
                f"{self.label}: {text!r} is not like 'out_sp_00 25.00'; nothing was sent"
            )
        with self.turn():
            self.tell(text)
            self._read_back(text, "why is not known, as its status is not asked")

    def check_restore(self, restore: object) -> tuple[Any, ...]:
        """Return the commands to be sent again on each connect, each like ``out_sp_00 25.00``."""
        commands = tuple(str(text).lower() for text in super().check_restore(restore))
        for text in commands:
            if not _OUT.fullmatch(text):
                raise ConfigurationError(f'restore: {text!r} is not like "out_sp_00 25.00"')
        return commands

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands; refused, it raises DeviceRefused."""
        self.command(setting)

    # --- inside -----------------------------------------------------------------------------------

    def _message(self, text: str) -> bytes:
        return super()._message(text.upper() if self._upper else text)

    def _number(self, query: str) -> float:
        with self._answered(query) as text:
            return ju.to_float(text)

    @contextlib.contextmanager
    def _answered(self, query: str) -> Iterator[str]:
        """Ask *query*, and give its reply.

        A ValueError in the context is a reply that cannot be: a ProtocolMismatch.
        """
        with self.turn():
            try:
                reply = self.ask(query)
            except DeviceTimeout as error:
                raise self._unanswered(query, error) from error
            except DeviceError:
                self._told_all = False
                raise
            try:
                with self._understanding(query, reply):
                    yield reply
            except ProtocolMismatch:
                self._told_all = False
                raise

    def _unanswered(self, query: str, error: DeviceTimeout) -> DeviceError:
        """Return the error to raise for a query without an answer, after a look at the status."""
        told_all, self._told_all = self._told_all, False
        silence = "a query that the unit does not know is not answered either"
        try:
            status = self._ask_status()
        except DeviceError as another:
            return DeviceTimeout(f"{error}; {silence}, but 'status' failed too: {another}")
        if told_all and status.refusal:
            with contextlib.suppress(DeviceError):
                self.unit_status()
            return DeviceRefused(
                f"{self.label}: {query!r} was not answered, and then 'status' gave "
                f"{status.refusal}: most likely the unit does not know that query"
            )
        self._told_all = not status.refusal
        return DeviceTimeout(f"{error}; {silence}; 'status' gives {status.text!r}")

    def _ask_status(self) -> Status:
        """Ask for the status, be it a state, an alarm or a refusal, which is told only once."""
        reply = self.ask("status")
        try:
            return ju.to_status(reply)
        except ValueError as error:
            raise self._mismatch("status", reply, error) from error

    def _read_back(self, text: str, otherwise: str) -> None:
        """Make sure that what *text* sets is so now, where it can be read."""
        found = _OUT.fullmatch(text)
        if found is None:
            return
        register, wanted, decimals = found.groups()
        has = self._number(f"in_{register}")
        if abs(has - float(wanted)) > 0.51 * 10.0 ** -len(decimals or ""):
            raise DeviceRefused(
                f"{self.label}: after {text!r} the unit has in_{register} = {has:g}: it did not "
                f"take that; {otherwise}"
            )
