"""The settings in the query of a URL: each known, given once, and within its bounds."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from drivers._suggest import suggestion
from drivers.ports._settings import FLOWS, PARITIES, SerialSettings
from mktl.errors import ConfigurationError

__all__ = ["FLOW_KEYS", "LINE_KEYS", "RS485_KEYS", "Query"]

LINE_KEYS = ("baud", "bits", "parity", "stop")
"""What a character looks like."""
FLOW_KEYS = (*LINE_KEYS, "flow")
RS485_KEYS = ("rs485", "rts_on_send", "delay_before_s", "delay_after_s")


class Query:
    """What stands behind the ``?`` of *url*."""

    def __init__(self, url: str, text: str, allowed: Iterable[str]) -> None:
        """Understand *text*.

        Raises:
            ConfigurationError: a setting is not one of *allowed*, or is given twice.
        """
        self._url = url
        self.given: dict[str, str] = {}
        known = tuple(allowed)
        for key, value in parse_qsl(text, keep_blank_values=True):
            if key not in known:
                hint = suggestion(key, known) if known else "this URL has none"
                raise ConfigurationError(f"{url!r}: unknown setting {key!r}: {hint}")
            if key in self.given:
                raise ConfigurationError(f"{url!r}: {key!r} is given twice")
            self.given[key] = value

    def serial(self, defaults: SerialSettings) -> SerialSettings:
        """Return the settings of a serial line, from *defaults* where nothing is said.

        Raises:
            ConfigurationError: one is out of its bounds, or they contradict each other.
        """
        rs485 = self.switch("rs485", defaults.rs485)
        flow = self.choice("flow", defaults.flow, FLOWS)
        if not rs485 and (lost := [key for key in RS485_KEYS[1:] if key in self.given]):
            raise ConfigurationError(f"{self._url!r}: {lost[0]} means nothing without rs485=1")
        if rs485 and flow in ("rtscts", "dsrdtr"):
            raise ConfigurationError(
                f"{self._url!r}: flow={flow} cannot go with rs485=1, which needs RTS for itself"
            )
        return SerialSettings(
            baud=self.number("baud", defaults.baud, range(50, 4_000_001)),
            bits=self.number("bits", defaults.bits, range(5, 9)),
            parity=self.choice("parity", defaults.parity, PARITIES),
            stop=float(self.choice("stop", f"{defaults.stop:g}", ("1", "1.5", "2"))),
            flow=flow,
            rs485=rs485,
            rts_on_send=self.switch("rts_on_send", defaults.rts_on_send),
            delay_before_s=self.seconds("delay_before_s", defaults.delay_before_s),
            delay_after_s=self.seconds("delay_after_s", defaults.delay_after_s),
        )

    def number(self, key: str, default: int, allowed: range) -> int:
        """Return a whole number out of *allowed*."""
        text = self.given.get(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and int(text) in allowed):
            raise ConfigurationError(
                f"{self._url!r}: {key} must be a number from {allowed[0]} to {allowed[-1]}, "
                f"not {text!r}"
            )
        return int(text)

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of *allowed*."""
        text = self.given.get(key, default).lower()
        if text not in allowed:
            raise ConfigurationError(
                f"{self._url!r}: {key} must be one of {', '.join(allowed)}, not {self.given[key]!r}"
            )
        return text

    def switch(self, key: str, default: bool) -> bool:
        """Return whether a switch is on."""
        return self.choice(key, f"{default:d}", ("0", "1")) == "1"

    def seconds(self, key: str, default: float) -> float:
        """Return a time of up to a second."""
        text = self.given.get(key)
        try:
            found = default if text is None else float(text)
        except ValueError:
            found = -1.0
        if not 0 <= found <= 1:
            raise ConfigurationError(
                f"{self._url!r}: {key} must be a number of seconds from 0 to 1, not {text!r}"
            )
        return found
