"""What is watched of one item: from what its daemon found out to what is told of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ._episodes import Acknowledgement, Episode, advance, worst
from ._limits import RAISED, RANKS, Finding, Rule, is_in_deadband
from .payload import Payload

if TYPE_CHECKING:
    from ._alarm_tracks import Follower
    from ._alarms import Alarms
    from ._authority import Authority

__all__ = ["Shelf", "Standing", "Verdict", "Watch"]

_FIELDS = ("shelved", "acknowledged", "unwatched")
"""Fields of a payload that are from here."""
_BY_SEVERITY = {severity: quality for quality, severity in RAISED.items()}


@dataclass(frozen=True, slots=True)
class Shelf:
    """For how long, and why, what is wrong with an item is nobody's business."""

    until: float
    """UNIX seconds."""
    who: str
    why: str
    time: float
    """UNIX seconds at which it began."""
    ends: float
    """When it is over at the latest, by the monotonic clock: wall clocks are set back."""

    def is_over(self) -> bool:
        """Return whether it has ended."""
        return time.time() >= self.until or time.monotonic() >= self.ends

    def to_json(self) -> dict[str, Any]:
        """Return it as it travels, and as it is kept on disk."""
        return {"until": self.until, "who": self.who, "why": self.why, "time": self.time}


class Standing(NamedTuple):
    """How an item stands that is not well."""

    episode: Episode | None
    """What is wrong with it."""
    invalid_since: float | None
    """UNIX seconds since when it is not known, where it should be."""
    reason: str
    """Why it is not known."""
    shelf: Shelf | None


class Verdict(NamedTuple):
    """What follows from a payload."""

    own: Payload
    """It, as it came."""
    told: Payload
    """As it is told."""
    outs: tuple[Any, ...]
    episode: Episode | None
    shelf: Shelf | None
    was_judged: bool


class Watch:
    """Watches one item. What it is asked for, it is asked by who holds the item's lock.

    Args:
        authority: What the daemon knows of the item.
        alarms: The alarms of the daemon.
    """

    def __init__(self, authority: Authority, alarms: Alarms) -> None:
        self.authority = authority
        self.key = authority.item.key
        self.own = authority.payload
        """What is known of the item, without what follows from it here."""
        self.follower: Follower | None = None
        self.shelf: Shelf | None = None
        self.episode: Episode | None = None
        self.unwatched = ""
        """Why it cannot be said whether the item follows its set-point."""
        self._alarms = alarms
        self._rules: list[Rule] = []
        self._outs: tuple[Any, ...] = ()
        self._limits: Rule | None = None
        self._tracks: Rule | None = None
        self._deadband = 0.0
        self._broadcast: Payload | None = None if self.own.time is None else self.own
        self._at_once = False
        self._due: float | None = None
        self._standing: Standing | None = None
        self._invalid_since: float | None = None

    # What it watches for.

    def configure(self, limits: Rule | None, tracks: Rule | None, deadband: float) -> None:
        """Watch for this from now on; what goes on already goes on without any delay."""
        self._limits, self._tracks, self._deadband = limits, tracks, deadband
        self._rules = [rule for rule in (limits, tracks) if rule is not None]
        self._outs = tuple(rule.fresh for rule in self._rules)
        self._at_once = self.episode is not None and self.episode.ended is None
        if tracks is None:
            self.unwatched = ""

    def resume(self, episode: Episode) -> None:
        """Go on with an *episode* of an earlier run."""
        self.episode = episode
        self._at_once = True

    def aim(self, rule: Rule, unwatched: str) -> None:
        """Compare the item with another set-point, or with none if it is not known."""
        if self._tracks is None:
            return
        self._rules[self._rules.index(self._tracks)] = self._tracks = rule
        self.unwatched = unwatched

    @property
    def tracks(self) -> Rule | None:
        """The rule for what the item follows."""
        return self._tracks

    @property
    def has_rules(self) -> bool:
        """Whether limits or a set-point are watched."""
        return bool(self._rules)

    # What follows from a payload.

    def judge(self, own: Payload) -> Verdict:
        """Return what follows from *own*; nothing has changed before :meth:`accept`."""
        shelf = None if self.shelf is None or self.shelf.is_over() else self.shelf
        known = _is_known(own)
        outs = self._outs
        if known and self._rules:
            now, at_once = time.monotonic(), self._at_once
            outs = tuple(
                [
                    rule.step(broken, own.value, now, at_once=at_once)
                    for rule, broken in zip(self._rules, outs, strict=True)
                ]
            )
        finding = worst(self._findings(outs)) if self._rules else None
        episode = self.episode
        if known or own.quality in RAISED:
            episode = self._advanced(own, outs, finding, shelf)
        told = own
        if episode is not None or shelf is not None or self.unwatched or own.extra:
            told = self._told(own, finding, episode, shelf)
        return Verdict(own, told, outs, episode, shelf, known)

    def _findings(self, outs: tuple[Any, ...]) -> list[Finding]:
        return [out.finding for broken in outs for out in broken if out and out.counts]

    def _advanced(
        self, own: Payload, outs: tuple[Any, ...], finding: Finding | None, shelf: Shelf | None
    ) -> Episode | None:
        severity = RAISED.get(own.quality, 0)
        if severity and (finding is None or severity > finding.severity):
            text = own.reason or own.quality
            finding = Finding(severity, text, f"was {own.quality}: {text}")
        if finding is None and self.episode is None:
            return None
        kept = finding is not None and self._is_kept(outs, finding.severity)
        forgets = (
            shelf is not None and self.episode is not None and self.episode.since >= shelf.time
        )
        return advance(self.episode, finding, time.time(), kept=kept, forgets=forgets)

    def _is_kept(self, outs: tuple[Any, ...], severity: int) -> bool:
        return any(
            rule.latch and out and out.counts and out.finding.severity == severity
            for rule, broken in zip(self._rules, outs, strict=True)
            for out in broken
        )

    def _told(
        self, own: Payload, finding: Finding | None, episode: Episode | None, shelf: Shelf | None
    ) -> Payload:
        """Return *own* with what is told besides: never better than it was."""
        extra = {name: value for name, value in own.extra.items() if name not in _FIELDS}
        if shelf is not None:
            extra["shelved"] = shelf.to_json()
        if episode is not None and episode.acknowledged is not None:
            extra["acknowledged"] = episode.acknowledged.to_json()
        if self.unwatched:
            extra["unwatched"] = self.unwatched
        told = own.having()
        told.extra = extra
        severity, reason = (0, "") if finding is None else (finding.severity, finding.now)
        if episode is not None and episode.ended is not None and episode.severity > severity:
            severity = episode.severity
            reason = f"{episode.over()}; now {reason}" if reason else episode.over()
        if shelf is None and severity and severity > RANKS.get(own.quality, 1.0):
            told.quality = _BY_SEVERITY[severity]
            told.reason = f"{reason}; {own.reason}" if own.reason else reason
        return told

    def accept(self, verdict: Verdict) -> None:
        """Let *verdict*, which :meth:`judge` has returned just now, be so."""
        before = self.episode
        self.own, self._outs = verdict.own, verdict.outs
        self.episode = verdict.episode
        if verdict.was_judged:
            self._at_once = False
        if self.shelf is not verdict.shelf:
            self.shelf = verdict.shelf
            self._alarms.note_shelf_over(self.key)
        due = self._next_due()
        if due != self._due:
            self._due = due
            self._alarms.clock.wake(self, due)
        self._note_standing(before)

    def _next_due(self) -> float | None:
        due = None if self.shelf is None else self.shelf.ends
        if not _is_known(self.own):  # nothing begins before it is known again
            return due
        for rule, outs in zip(self._rules, self._outs, strict=True):
            other = rule.due(outs)
            if other is not None and (due is None or other < due):
                due = other
        return due

    def wake(self) -> None:
        """Do what has become due though no new value has come."""
        self.authority.reconsider(self._forget_due)

    def _forget_due(self) -> None:
        self._due = None

    def _note_standing(self, before: Episode | None) -> None:
        own = self.own
        if _is_known(own) or not self._rules:
            self._invalid_since = None
        elif self._invalid_since is None:
            self._invalid_since = time.time()
        standing = None
        if self.episode is not None or self._invalid_since is not None:
            old = self._standing
            same = old is not None and old.invalid_since == self._invalid_since
            reason = old.reason if same and old is not None else own.reason or "it has no value"
            standing = Standing(self.episode, self._invalid_since, reason, self.shelf)
        if standing != self._standing:
            self._standing = standing
            self._alarms.note(self, standing, before)

    def take(self, own: Payload, verdict: Verdict | None, *, always: bool) -> tuple[Payload, bool]:
        """Let *own* be so, and return what is known then, and whether everybody is told.

        Args:
            own: What was found out.
            verdict: What :meth:`judge` has returned for it, if it was asked already.
            always: Tell it, however small the change.
        """
        verdict = verdict or self.judge(own)
        is_news = self._is_news(verdict, always=always)
        self.accept(verdict)
        return verdict.told, is_news

    def reconsider(self, old: Payload) -> Payload | None:
        """Return what is to be told instead of *old*; ``None`` if it is still so."""
        own = self.own.having(checked=old.checked, time=old.time)
        verdict = self.judge(own)
        told = verdict.told
        if (told.quality, told.reason, told.extra) == (old.quality, old.reason, old.extra):
            self.accept(verdict)
            return None
        return self.take(own, verdict, always=True)[0]

    def _is_news(self, verdict: Verdict, *, always: bool) -> bool:
        told, last = verdict.told, self._broadcast
        quiet = (
            not always
            and last is not None
            and self._deadband > 0
            and told.quality == last.quality
            and told.extra == last.extra
            and verdict.episode == self.episode
            and (told.quality == "valid" or verdict.own.reason == self.own.reason)
            and is_in_deadband(told.value, last.value, self._deadband)
        )
        if not quiet:
            self._broadcast = told
        return not quiet

    def acknowledge(self, seen: Episode, by: Acknowledgement) -> None:
        """Take note that somebody has taken note of *seen*, if nothing worse has come since."""
        now = self.episode
        if now is not None and (now.severity, now.since) == (seen.severity, seen.since):
            self.episode = now.acknowledge(by)


def _is_known(own: Payload) -> bool:
    return own.quality != "invalid" and own.value is not None
