"""Interlocks: items that watch other items, and act when something is not as it has to be.

Two of them, and a switch that one of them holds back:

- ``safety.shutter`` closes the shutter when it rains;
- ``safety.high_voltage`` keeps the high voltage off while the pressure is bad;
- ``safety.hv_on`` switches the high voltage, and refuses to while that must not be.

Run it with ``markd safety interlocks -m examples/observatory/interlocks.py``. To write another one,
derive from :class:`Interlock`: name its rules and its outputs, and say what makes the place safe.
What makes it an interlock, and not a script with an ``if`` in it:

- **What is not known is bad**: no daemon, no link, a sensor that says "no value", a value that the
  hardware has not confirmed lately. It begins as tripped, until it has seen that all is well.
- **It asks.** Broadcasts make it quick; but each second it asks the daemons themselves, as a value
  that was sent once may look well for ever.
- **It goes on acting** as long as it is tripped, and looks whether it has helped: somebody may
  switch on again what it has switched off, and what could not be reached may return.
- **It only ever makes safe.** It opens no shutter and switches nothing on: that is for people.
- **It says why**, what it does about it, and what it could not do. Nor can it be switched off
  without a word: a bypass is a reason, which is kept on disk and shown in the place of the state.

It is software, and no better than the computers and the network in between. What protects people is
wired.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import mktl

_log = logging.getLogger("interlocks")

ASK_S = 1.0
"""How often the daemons are asked."""
STALE_S = 10.0
"""A value that its hardware has not confirmed for so long is not known."""
ANSWER_S = 5.0
"""Longest wait for a daemon that has acknowledged a request."""

STATES = {"0": "Armed", "1": "Tripped", "2": "Bypassed"}
ARMED, TRIPPED, BYPASSED = range(3)


@dataclass(frozen=True)
class Rule:
    """What an item has to be."""

    full_key: str
    is_good: Callable[[Any], bool]
    otherwise: str
    """What is wrong if it is not, for people; ``{value}`` is the value."""


class Watched:
    """An item of another daemon, which need not be there, or be there all the time."""

    def __init__(
        self, full_key: str, on_news: Callable[[mktl.Item, mktl.Payload], None], daemon: Interlocks
    ) -> None:
        self.full_key = full_key
        self._on_news = on_news
        self._daemon = daemon

    def item(self) -> mktl.Item:
        """Return the item, which from then on tells its news by itself.

        Raises:
            mktl.MktlError: nobody knows it.
        """
        if (
            self._daemon.is_over
        ):  # else what is under way would go on asking, after everybody has left
            raise mktl.ConnectionLost("the interlocks have ended")
        found: mktl.Item = mktl.get(self.full_key)
        # Each time: it does nothing once it is done, and its daemon may not have been there before.
        found.register(self._on_news, payloads=True)
        return found

    def value(self) -> Any:
        """Ask the daemon, and return the value if it can be relied on.

        Raises:
            mktl.MktlError: it cannot; the text says why.
        """
        item = self.item()
        found = item.store.read([item.key], timeout=ANSWER_S)[item.key]
        if isinstance(found, mktl.MktlError):
            raise found
        if found.quality == "invalid" or found.value is None:
            raise mktl.InvalidReading(found.reason or "it has no value")
        confirmed = found.checked or found.time or 0.0
        # A clock that was set, here or there, is no proof either.
        if abs(time.time() - confirmed) > STALE_S:
            at = time.strftime("%X", time.localtime(confirmed))
            raise mktl.InvalidReading(f"it was confirmed at {at} for the last time")
        return found.value

    def switch(self, wanted: Any) -> bool:
        """Set it, unless it is known to be *wanted* already.

        Returns:
            Whether it was something else. What is not known is set, and that is False.

        Raises:
            mktl.MktlError: it cannot be set.
        """
        try:
            was_other = bool(self.value() != wanted)
        except mktl.MktlError as error:
            _log.debug("%s is set without being known: %s", self.full_key, error)
            self.item().set(wanted, timeout=ANSWER_S)
            return False
        if was_other:
            self.item().set(wanted, timeout=ANSWER_S)
        return was_other


class Interlock(mktl.Item):
    """Armed while all its rules are kept; else tripped, and then it makes safe what it guards.

    A subclass has ``rules``, ``outputs`` and ``make_safe``. Beside the item itself there are
    ``KEY_reason`` (why it is not armed), ``KEY_action`` (what it does) and ``KEY_bypass``.
    """

    rules: ClassVar[Sequence[Rule]]
    outputs: ClassVar[Sequence[str]]
    """Full keys of what :meth:`make_safe` switches, and looks at."""
    patience_s: ClassVar[float] = 2.0
    """How long something that was good may be unknown: a daemon that is started again, say."""
    clears_after_s: ClassVar[float] = 3.0
    """How long all has to be good before it is armed again."""

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self._watched = {
            rule: Watched(rule.full_key, self._on_news, store.daemon) for rule in self.rules
        }
        self.switches = {
            full_key: Watched(full_key, self._on_news, store.daemon) for full_key in self.outputs
        }
        self._good_at: dict[Rule, float] = {}
        self._clear_at: float | None = None  # when it is armed again, if all stays good until then
        self._tripped = ""  # why it is; bypassed or not
        self._acted = self._failed = False
        # News come from several threads, and each has to be judged and acted upon as a whole.
        self._turn = threading.RLock()
        self.poll(ASK_S)

    def make_safe(self) -> str:
        """Make it safe, if it is not yet, and return how it stands, for people.

        Called again and again while the interlock is tripped.

        Raises:
            mktl.MktlError: that could not be done. It is tried again.
        """
        raise NotImplementedError

    def stand_down(self) -> str:
        """Leave behind what is safe without us, as we are no longer tripped; say what was done."""
        return ""

    # --- what is wrong ----------------------------------------------------------------------------

    def req_refresh(self) -> mktl.Payload:
        """Judge, and return the state with its reason."""
        troubles = [text for rule in self.rules if (text := self._trouble(rule))]
        self._judge("; ".join(troubles))
        bypass = self.store[f"{self.key}_bypass"].value
        if bypass:
            reason = f"bypassed: {bypass} (but for that: {self._tripped or 'armed'})"
            return mktl.Payload(BYPASSED, quality="warning", reason=reason)
        if self._tripped:
            return mktl.Payload(TRIPPED, quality="alarm", reason=self._tripped)
        return mktl.Payload(ARMED)

    def _trouble(self, rule: Rule) -> str:
        """Return what is wrong with what *rule* watches; nothing if all is well."""
        now = time.monotonic()
        try:
            value = self._watched[rule].value()
            if rule.is_good(value):
                self._good_at[rule] = now
                return ""
            trouble = f"{rule.full_key}: {rule.otherwise.format(value=value)}"
        except Exception as error:  # whatever it is: nobody knows that all is well
            was_good_s = now - self._good_at.get(rule, -math.inf)
            if was_good_s <= self.patience_s and not self._tripped:
                return ""
            trouble = f"{rule.full_key} is not known: {error}"
        self._good_at.pop(rule, None)
        return trouble

    def _judge(self, trouble: str) -> None:
        """Trip because of *trouble*; without any, be armed again after a while."""
        now = time.monotonic()
        if trouble:
            self._tripped, self._clear_at = trouble, None
        elif self._tripped and self._clear_at is None:
            self._clear_at = now + self.clears_after_s
            self._tripped = (
                f"good since {time.strftime('%X')}, armed {self.clears_after_s:g} s after that; "
                f"it was: {self._tripped}"
            )
        elif self._clear_at is not None and now >= self._clear_at:
            self._tripped, self._clear_at = "", None

    # --- what is done about it --------------------------------------------------------------------

    def _on_news(self, _item: mktl.Item, _payload: mktl.Payload) -> None:
        """Do at once what the next poll would do: something that is watched has changed."""
        self.req_poll()

    def req_poll(self, repeat: bool = False) -> None:
        """Judge, tell, and act."""
        with self._turn:
            before = self.value
            super().req_poll(repeat)
            if self.value != before:
                _log.warning("%s is %s (%s)", self.full_key, self.formatted, self.reason or "good")
            self._tell("reason", self.reason or "")
            try:
                if self.value == TRIPPED:
                    self._acted = True
                    self._tell("action", self.make_safe())
                elif self._acted:
                    self._tell("action", self.stand_down())
                    self._acted = False
            except mktl.MktlError as error:
                self._note_failure(error)
            else:
                self._failed = False

    def _note_failure(self, error: mktl.MktlError) -> None:
        text = f"failed, and is tried again: {error}"
        self.store[f"{self.key}_action"].publish(text, quality="alarm", reason=text)
        if not self._failed:
            self._failed = True
            _log.error("%s: the action %s", self.full_key, text)

    def _tell(self, which: str, text: str) -> None:
        self.store[f"{self.key}_{which}"].publish(text)


class RainShutter(Interlock):
    """Closes the shutter when it rains, or when nobody knows whether it does."""

    rules = (
        Rule("weather.rain_rate", lambda rate: rate == 0, "it rains, {value:.1f} mm/h"),
        Rule("dome.rain", lambda wet: not wet, "the sensor is wet"),
    )
    outputs = ("dome.shutter_closed", "dome.open_shutter", "dome.close_shutter")
    patience_s = 8.0
    clears_after_s = 10.0  # a real one waits for half an hour

    def make_safe(self) -> str:
        """Run the motor towards closed, until it is."""
        self.switches["dome.open_shutter"].switch(False)
        try:
            closed = self.switches["dome.shutter_closed"].value()
        except mktl.MktlError:
            closed = False
        self.switches["dome.close_shutter"].switch(not closed)
        return "the shutter is closed" if closed else "the shutter closes"

    def stand_down(self) -> str:
        """Leave no motor running: it may stand, with something in its way."""
        stopped = self.switches["dome.close_shutter"].switch(False)
        return "the motor was stopped on its way to closed" if stopped else ""


class VacuumHighVoltage(Interlock):
    """Keeps the high voltage off while the pressure is bad: it would flash over."""

    rules = (
        Rule(
            "vacuum.chamber",
            lambda mbar: 0 < mbar < 1e-5,  # a gauge that says 0 or less is out of order
            "{value:.1e} mbar, and the high voltage wants less than 1e-5, and more than 0",
        ),
    )
    outputs = ("power.hv_on",)

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self._did = "power.hv_on is off"

    def make_safe(self) -> str:
        """Switch it off, each time that it is found on."""
        if self.switches["power.hv_on"].switch(False):
            self._did = f"power.hv_on was switched off at {time.strftime('%X')}"
            _log.warning("%s: power.hv_on is switched off", self.full_key)
        return self._did


class Bypass(mktl.Item):
    """Why an interlock is bypassed: set it to a reason to do so, and to nothing to end it."""

    def __init__(self, store: mktl.Store, key: str, interlock: Interlock) -> None:
        super().__init__(store, key)
        self._interlock = interlock

    def validate(self, value: str) -> str:
        value = value.strip()
        if value and len(value) < 8:
            raise ValueError(f"a bypass needs a reason that others understand, not {value!r}")
        return value

    def req_set(self, request: Any) -> None:
        super().req_set(request)
        _log.warning("%s = %r, by %s", self.full_key, request.value, request.origin)
        self._interlock.req_poll()


class Guarded(mktl.Item):
    """A switch of another daemon, which can be switched on only while an interlock is not tripped.

    The daemon that has the switch knows nothing of that: whoever sets it there will see it switched
    off again. Here it is refused, and one is told why.
    """

    def __init__(self, store: mktl.Store, key: str, full_key: str, interlock: Interlock) -> None:
        super().__init__(store, key)
        self._switch = Watched(full_key, self._on_news, store.daemon)
        self._interlock = interlock
        self.poll(ASK_S)

    def _on_news(self, _item: mktl.Item, _payload: mktl.Payload) -> None:
        with contextlib.suppress(mktl.MktlError):  # that it is not known is told as its quality
            self.req_poll()

    def req_refresh(self) -> Any:
        return self._switch.value()

    def validate(self, value: bool) -> bool:
        if value:
            self._interlock.req_poll()  # what is true now, not what was a second ago
            if self._interlock.value == TRIPPED:
                raise ValueError(f"stays off: {self._interlock.key}: {self._interlock.reason}")
        return value

    def req_set(self, request: Any) -> None:
        self._switch.switch(request.value)
        self.req_poll()


class Interlocks(mktl.Daemon):
    """Both of them, with what belongs to each."""

    is_over = False
    """Whether it is being stopped."""

    def describe_items(self) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, dict[str, Any]] = {
            "hv_on": {
                "type": "boolean",
                "enumerators": {"0": "Off", "1": "On"},
                "description": "Supply of the high voltage; refuses to be On while that is unsafe",
            }
        }
        for key, what in (("shutter", "rain"), ("high_voltage", "bad vacuum")):
            found[key] = {
                "type": "enumerated",
                "enumerators": STATES,
                "description": f"Interlock: {key.replace('_', ' ')} and {what}",
            }
            for name in ("reason", "action"):
                found[f"{key}_{name}"] = {"type": "string", "initial": "", "settable": False}
            found[f"{key}_bypass"] = {
                "type": "string", "initial": "", "persist": True,
                "description": "Why this interlock is bypassed; empty: it is not",
            }  # fmt: skip
        return found

    def setup(self) -> None:
        shutter, high_voltage = (
            self.add_item(kind, key)
            for kind, key in ((RainShutter, "shutter"), (VacuumHighVoltage, "high_voltage"))
        )
        for interlock in (shutter, high_voltage):
            self.add_item(Bypass, f"{interlock.key}_bypass", interlock)
        self.add_item(Guarded, "hv_on", "power.hv_on", high_voltage)

    def cleanup(self) -> None:
        self.is_over = True
