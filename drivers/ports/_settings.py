"""How characters look on a serial line, wherever the line is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLOWS", "PARITIES", "SerialSettings"]

PARITIES = ("none", "even", "odd", "mark", "space")
FLOWS = ("none", "rtscts", "xonxoff", "dsrdtr")


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How characters look on the wire."""

    baud: int = 9600
    """Bits per second."""
    bits: int = 8
    """Data bits, 5 to 8."""
    parity: str = "none"
    """One of :data:`PARITIES`."""
    stop: float = 1
    """Stop bits: 1, 1.5 or 2."""
    flow: str = "none"
    """Who may stop the sender, one of :data:`FLOWS`."""
    rs485: bool = False
    """Whether the driver of the operating system switches the transmitter on and off."""
    rts_on_send: bool = True
    """Level of RTS while sending, with ``rs485``; the other one while receiving."""
    delay_before_s: float = 0.0
    """Seconds between switching the transmitter on and the first bit, with ``rs485``."""
    delay_after_s: float = 0.0
    """Seconds between the last bit and switching the transmitter off, with ``rs485``."""

    @property
    def char_s(self) -> float:
        """Seconds that one character takes."""
        return (1 + self.bits + (self.parity != "none") + self.stop) / self.baud

    @property
    def query(self) -> str:
        """The settings as the query of a URL: those of a character all, others where not usual."""
        parts = [
            f"baud={self.baud}",
            f"bits={self.bits}",
            f"parity={self.parity}",
            f"stop={self.stop:g}",
        ]
        if self.flow != "none":
            parts.append(f"flow={self.flow}")
        if self.rs485:
            parts.append(f"rs485=1&rts_on_send={self.rts_on_send:d}")
            parts.append(f"delay_before_s={self.delay_before_s:g}")
            parts.append(f"delay_after_s={self.delay_after_s:g}")
        return "&".join(parts)
