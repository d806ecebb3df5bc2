"""One line through all of the faults, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mktl
from mktl.errors import MktlError

from ._conformance_bench import Bench, BenchFailed, until
from ._conformance_faults import MATRIX, Fault
from ._conformance_line import LineOnTrial
from ._conformance_observed import Observed
from ._conformance_row import Row
from ._conformance_set import Choice, Probe, other_value
from ._conformance_truth import Truth, Watch, is_shown

__all__ = ["Trial", "each", "faults_of", "skipped"]

READY_WITHIN_S = 60.0
_SETTLED_S = 2.0
_LOOK_S = 0.1
_MOST_CHOICES = 6
_SET_WITHIN_S = 10.0
_AFTER_POWER_S = 60.0


def faults_of(line: LineOnTrial) -> tuple[Fault, ...]:
    """Return all faults of *line*: those of the matrix, and each of its units dead in turn."""
    dead: list[Fault] = []
    if len(line.names) > 1:
        dead = [_dead(name, unit) for name, unit in line.units.items()]
    *before, last = MATRIX
    return (*before, *dead, last)


def _dead(name: str, unit: int | None) -> Fault:
    request = {"cmd": "fault", "name": "dead-unit", "unit": unit}
    return Fault(
        f"dead unit {unit}",
        f"of those on the line {name} is silent",
        lambda _line: (request,),
        sure=True,
        unit=lambda _line: (name,),
    )


@dataclass(slots=True)
class Trial:
    """One line."""

    bench: Bench
    line: LineOnTrial
    watch: Watch
    truth: Truth
    choice: Choice | None = None
    skipped: tuple[str, ...] = ()
    """Items that had no value without any fault."""

    @classmethod
    def begun(cls, bench: Bench, line: LineOnTrial, watch: Watch) -> Trial:
        """Wait until all is well, and find out what is true.

        Raises:
            BenchFailed: the links do not come up, or nothing has a value.
        """

        def is_up() -> bool:
            bench.check()
            return watch.are_up()

        if not until(is_up, READY_WITHIN_S):
            raise BenchFailed(f"{line.name}: the link is not up after {READY_WITHIN_S:g} s")
        until(lambda: all(map(is_shown, watch.read(line.keys).values())), line.timing.good_within_s)
        state, moving = _settled(watch, line)
        skipped = tuple(key for key in line.keys if key not in state)
        if not state:
            raise BenchFailed(f"{line.name}: none of its items has a value without any fault")
        trial = cls(bench, line, watch, Truth([state], moving), skipped=skipped)
        trial._choose()
        return trial

    # --- what is set ------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Find an item that can be set and set back, with nothing else left changed."""
        state = self.truth.states[0]
        candidates = [
            (key, other)
            for key in self.line.settable
            if key in state and key not in self.truth.moving
            if (other := other_value(self.bench.store[key].description, state[key])) is not None
        ]
        candidates.sort(key=lambda each: isinstance(each[1], bool))
        for key, asked in candidates[:_MOST_CHOICES]:
            changed = self._try_out(key, state[key], asked)
            if changed is not None:
                self.choice = Choice(key, state[key], asked, changed[key])
                self.truth.states.append(changed)
                return

    def _try_out(self, key: str, usual: Any, asked: Any) -> dict[str, Any] | None:
        """Return the values of all items after the SET; ``None``: it is not the right one."""
        if not self._set(key, asked):
            return None
        changed = self._refreshed()
        if not self._set(key, usual):
            raise BenchFailed(f"{key} could not be set back to {usual!r}")
        is_whole = changed.keys() == self.truth.states[0].keys()
        is_back = not self._changed()
        return changed if is_whole and is_back and changed[key] != usual else None

    def _changed(self) -> dict[str, Any]:
        """Return what is not as it was in the beginning, after it was asked for once more."""
        now, state = self._refreshed(), self.truth.states[0]
        fixed = state.keys() - self.truth.moving
        return {key: now.get(key) for key in sorted(fixed) if now.get(key) != state[key]}

    def _set(self, key: str, value: Any) -> bool:
        try:
            self.bench.store[key].set(value, timeout=_SET_WITHIN_S)
        except MktlError:
            return False
        return True

    def _refreshed(self) -> dict[str, Any]:
        """Return the values of all items that have one, after each was confirmed once more."""
        since = time.time()
        read: dict[str, mktl.Payload] = {}

        def confirmed() -> bool:
            read.update(self.watch.read(self.truth.keys))
            return all(
                is_shown(one) and (one.checked or one.time or 0.0) > since for one in read.values()
            )

        until(confirmed, self.line.timing.good_within_s)
        return {key: one.value for key, one in read.items() if is_shown(one)}

    # --- a fault ----------------------------------------------------------------------------------

    def run(self, fault: Fault) -> Row:
        """Let *fault* happen, which applies, and see what becomes of it."""
        row = Row(self.line.name, self.line.transport, fault.name, fault.what)
        self.watch.take()
        before = self.bench.threads(), self.bench.files(), len(self.bench.log_lines())
        observed = Observed(self.line, fault, self.truth, self._others())
        probe = self._probe()
        begun, begun_at = time.monotonic(), time.time()
        if probe is not None:
            probe.start()
        self._inject(fault)
        observed.begin(begun, begun_at)
        self._look(observed, observed.has_seen_enough, self.line.timing.invalid_within_s)
        self._end(fault)
        observed.end(time.monotonic(), time.time())
        is_well = self._look(observed, observed.is_well, self.line.timing.good_within_s)
        self._settle(observed)
        notes = observed.complaints()
        if not is_well:
            notes += (f"not all is good again after {self.line.timing.good_within_s:.0f} s: "
                      f"{observed.why_not_well()}",)  # fmt: skip
        outcome = "-"
        if probe is not None:
            outcome, wrong = probe.verdict(self._refresh_choice, forgets=fault.forgets)
            notes += (wrong,) if wrong else ()
            notes += self._set_back(fault)
        return self._row(row, observed, before, notes, outcome)

    def _others(self) -> tuple[str, ...]:
        """Return the items of other lines that are well."""
        ours = set(self.line.keys)
        others = [key for key in self.watch.keys if key not in ours]
        return tuple(key for key, one in self.watch.read(others).items() if is_shown(one))

    def _probe(self) -> Probe | None:
        if self.choice is None:
            return None
        item = self.bench.store[self.choice.key]
        return Probe(self.choice, item, self.line.timing.invalid_within_s + _SET_WITHIN_S)

    def _inject(self, fault: Fault) -> None:
        for number, request in enumerate(fault.requests(self.line)):
            if number:
                time.sleep(fault.gap_s)
            self.line.simulator.ask(dict(request))

    def _end(self, fault: Fault) -> None:
        simulator = self.line.simulator
        if fault.lasts:
            simulator.clear_faults()
        if fault.forgets:
            until(lambda: bool(simulator.ask({"cmd": "status"})["powered"]), READY_WITHIN_S)
            if not simulator.ask({"cmd": "status"})["factor"]:
                simulator.skip(_AFTER_POWER_S)  # it has to start, and time stands still

    def _look(self, observed: Observed, done: Callable[[], bool], within_s: float) -> bool:
        """Watch until *done*; tell whether it came in time."""

        def look() -> bool:
            self.bench.check()
            self.watch.read()
            observed.take(self.watch.take(), time.monotonic())
            return done()

        return until(look, within_s, _LOOK_S)

    def _settle(self, observed: Observed) -> None:
        """Take what is still under way."""
        end = time.monotonic() + 2 * _LOOK_S
        self._look(observed, lambda: time.monotonic() > end, READY_WITHIN_S)

    def _refresh_choice(self) -> Any:
        assert self.choice is not None
        try:
            return self.bench.store[self.choice.key].get(refresh=True, timeout=_SET_WITHIN_S)
        except MktlError as error:
            return error

    def _set_back(self, fault: Fault) -> tuple[str, ...]:
        """Make everything as it was; a device that has forgotten is a new one."""
        assert self.choice is not None
        choice = self.choice
        if fault.forgets:
            return ()
        if not until(lambda: self._set(choice.key, choice.usual), _SET_WITHIN_S):
            return (f"{choice.key} could not be set back to {choice.usual!r}",)
        other = self._changed()
        return (f"not as before: {other}",) if other else ()

    def _row(
        self,
        row: Row,
        observed: Observed,
        before: tuple[int | None, int | None, int],
        notes: Sequence[str],
        outcome: str,
    ) -> Row:
        threads, files, lines = before
        logged = len(self.bench.log_lines()) - lines
        most = observed.most_log_lines()
        if logged > most:
            notes = (*notes, f"{logged} log lines, and {most} at most make sense")
        after, grown = self._left(threads, files)
        return replace(
            row,
            result="fail" if notes or grown or observed.wrong else "pass",
            invalid_s=observed.invalid_s,
            good_s=observed.good_s,
            crossed=observed.crossed,
            wrong=observed.wrong,
            log_lines=logged,
            most_log_lines=most,
            threads=(threads, after[0]),
            files=(files, after[1]),
            set=outcome,
            invalid_within_s=self.line.timing.invalid_within_s,
            good_within_s=self.line.timing.good_within_s,
            notes=(*notes, *grown),
        )

    def _left(
        self, threads: int | None, files: int | None
    ) -> tuple[tuple[int | None, int | None], tuple[str, ...]]:
        """Return threads and files after the fault, and what there is too much of."""
        spare = {"threads": 8, "files": 8}

        def grown() -> tuple[str, ...]:
            now = {"threads": self.bench.threads(), "files": self.bench.files()}
            was = {"threads": threads, "files": files}
            return tuple(
                f"{what}: {was[what]} before, {now[what]} after"
                for what in spare
                if (now[what] or 0) > (was[what] or 0) + spare[what]
            )

        # Those that were needed for what waited are kept for ten seconds.
        until(lambda: not grown(), 20.0)
        return (self.bench.threads(), self.bench.files()), grown()


def _settled(watch: Watch, line: LineOnTrial) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the values that items have without any fault, and which of them do not stay."""
    end = time.monotonic() + max(_SETTLED_S, 2.5 * line.timing.period_s)
    first: dict[str, mktl.Payload] = {}
    moving: set[str] = set()
    bad: set[str] = set()
    while time.monotonic() < end:
        for key, payload in watch.read(line.keys).items():
            if not is_shown(payload):
                bad.add(key)
            elif first.setdefault(key, payload).value != payload.value:
                moving.add(key)
        time.sleep(_LOOK_S)
    state = {key: payload.value for key, payload in first.items() if key not in bad}
    return state, frozenset(moving & state.keys())


def skipped(line: LineOnTrial, fault: Fault, why_not: str) -> Row:
    """Return the row of a fault that does not apply."""
    return Row(line.name, line.transport, fault.name, fault.what, result="n/a", notes=(why_not,))


def each(faults: Sequence[Fault], only: Sequence[str]) -> Iterator[Fault]:
    """Give those of *faults* that are named in *only*; without any names: all of them."""
    wanted: Mapping[str, None] = dict.fromkeys(name.replace("-", " ") for name in only)
    for fault in faults:
        name = fault.name.replace("-", " ")
        if not wanted or name in wanted or ("dead unit" in wanted and name.startswith("dead unit")):
            yield fault
