"""Alarms from their begin to their end: kept until acknowledged where they are to be. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ._limits import SEVERITIES, Finding
from ._values import is_number
from .errors import BadValue

__all__ = ["Acknowledgement", "Episode", "advance", "worst"]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has taken note of an alarm."""

    time: float
    """UNIX seconds."""
    who: str
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as it travels."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Episode:
    """One alarm, or warning, of one item."""

    severity: int
    """The worst that it has come to, and that is not over or was not acknowledged."""
    since: float
    """UNIX seconds at which it came to that."""
    reason: str
    """What was wrong then."""
    was: str
    """The same, when it is over."""
    kept: bool = False
    """Whether it stays until it is acknowledged."""
    ended: float | None = None
    """UNIX seconds at which it was over; only of one that is kept."""
    acknowledged: Acknowledgement | None = None

    @property
    def outlives(self) -> bool:
        """Whether the next run of the daemon has to know of it."""
        return self.kept or self.acknowledged is not None

    @property
    def waits(self) -> bool:
        """Whether nobody has acknowledged it."""
        return self.acknowledged is None

    def acknowledge(self, by: Acknowledgement) -> Episode:
        """Return it as somebody has taken note of it; if it is over, :func:`advance` ends it."""
        return replace(self, acknowledged=by, ended=None)

    def over(self) -> str:
        """Return the reason for which an episode that has ended is still shown."""
        return f"{self.was} {_span(self.since, self.ended or self.since)}; not acknowledged"

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept on disk and shown."""
        fields = asdict(self)
        fields["severity"] = SEVERITIES[self.severity]
        return fields

    @classmethod
    def from_json(cls, fields: Any) -> Episode:
        """Return what :meth:`to_json` gave.

        Raises:
            BadValue: *fields* is something else.
        """
        try:
            by = fields["acknowledged"]
            made = cls(
                SEVERITIES.index(fields["severity"]),
                fields["since"],
                str(fields["reason"]),
                str(fields["was"]),
                bool(fields["kept"]),
                fields["ended"],
                by and Acknowledgement(by["time"], str(by["who"]), str(by["why"])),
            )
        except (TypeError, KeyError, ValueError) as error:
            raise BadValue(f"this is no alarm: {fields!r:.100} ({error})") from error
        times = [made.since, made.since if made.ended is None else made.ended]
        if not all(map(is_number, times)):
            raise BadValue(f"this is no alarm: {fields!r:.100}")
        return made


def worst(findings: Iterable[Finding]) -> Finding | None:
    """Return the worst of *findings*, of several the first."""
    return max(findings, key=lambda finding: finding.severity, default=None)


def advance(
    episode: Episode | None, finding: Finding | None, now: float, *, kept: bool, forgets: bool
) -> Episode | None:
    """Return what becomes of *episode*.

    Args:
        episode: So far.
        finding: What is wrong now, if anything.
        now: UNIX seconds.
        kept: Whether it is to stay until it is acknowledged.
        forgets: Whether it ends for good nevertheless.
    """
    severity = 0 if finding is None else finding.severity
    lessened = episode is not None and severity < episode.severity
    if episode is not None and lessened and episode.kept and episode.waits and not forgets:
        return episode if episode.ended is not None else replace(episode, ended=now)
    if finding is None:
        return None
    if episode is None or severity != episode.severity:
        # What is left of it was there before, and was seen by who acknowledged the worse.
        by = episode.acknowledged if episode is not None and lessened else None
        return Episode(severity, now, finding.now, finding.was, kept, acknowledged=by)
    if episode.ended is None and episode.kept >= kept:
        return episode
    return replace(episode, ended=None, kept=episode.kept or kept)


def _span(begin: float, end: float) -> str:
    days = [_text("%Y-%m-%d", moment) for moment in (begin, end)]
    times = [_text("%H:%M", moment) for moment in (begin, end)]
    if days[0] == days[1]:
        return f"from {times[0]} to {times[1]} UTC on {days[0]}"
    return f"from {days[0]} {times[0]} to {days[1]} {times[1]} UTC"


def _text(form: str, moment: float) -> str:
    try:
        return time.strftime(form, time.gmtime(moment))
    except (OverflowError, ValueError, OSError):  # from a file that somebody has changed
        return "?"
