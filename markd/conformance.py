"""``markd FILE.toml --conformance``: holds an instrument file to what must never happen.

The twins of its controllers are held still, so that it is known what each item has to be; then
they are made to fail in every way of the matrix (`_conformance_faults`), one after the other, and
a client sees what the daemon makes of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers import wiring
from mktl.errors import ConfigurationError
from simulators import SimulatorError

from ._conformance_bench import Bench, BenchFailed, bench, until
from ._conformance_faults import MATRIX
from ._conformance_line import LEAST_TIMEOUT_S, SETTINGS, LineOnTrial
from ._conformance_row import Row
from ._conformance_trial import READY_WITHIN_S, Trial, each, faults_of, skipped
from ._conformance_truth import Watch

__all__ = ["Order", "Outcome", "conform"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be tested."""

    path: Path
    """The instrument file."""
    faults: tuple[str, ...] = ()
    """Names of faults; none: all of them."""
    controller: str | None = None
    """Only the line of this controller."""
    transports: Mapping[str, str] = field(default_factory=dict)
    """How controllers are reached, where not as the file says, by name."""
    seed: int = 1
    """Makes noise and mishaps repeatable."""


@dataclass(slots=True)
class Outcome:
    """What was found."""

    order: Order
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was altered for the run, and what is not covered."""

    @property
    def passed(self) -> bool:
        """Whether something was tested, and nothing was wrong."""
        results = {row.result for row in self.rows}
        return "pass" in results and "fail" not in results

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "file": str(self.order.path),
            "seed": self.order.seed,
            "passed": self.passed,
            "notes": self.notes,
            "rows": [row.to_json() for row in self.rows],
        }

    def write(self, path: Path) -> None:
        """Write all of it, as JSON, to *path*."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n")


def conform(order: Order, tell: Callable[[Row], None], note: Callable[[str], None]) -> Outcome:
    """Try all faults; *tell* gets each row, and *note* each note, as soon as it is known.

    Raises:
        ConfigurationError: the file, a controller, a fault or a transport is wrong.
        BenchFailed: it does not even work without a fault.
    """
    file = wiring.load(order.path)
    _check(order, file.controllers)
    outcome = Outcome(order)

    def noted(text: str) -> None:
        outcome.notes.append(text)
        note(text)

    only = order.controller.lower() if order.controller else None
    made = bench(order.path, file, seed=order.seed, transports=order.transports, only=only)
    try:
        with made as running:
            for row in _rows(running, order, noted):
                outcome.rows.append(row)
                tell(row)
            if not outcome.rows:  # all other faults have a row that says why not
                noted("nothing was tested: there is no line with several units on it")
    except SimulatorError as error:
        raise ConfigurationError(f"{order.path} cannot be simulated: {error}") from error
    return outcome


def _check(order: Order, controllers: Mapping[str, object]) -> None:
    for name in (*([order.controller] if order.controller else []), *order.transports):
        if name.lower() not in controllers:
            known = ", ".join(controllers) or "none"
            raise ConfigurationError(
                f"there is no controller {name!r}; the controllers are: {known}"
            )
    known_faults = [*(fault.name.replace(" ", "-") for fault in MATRIX), "dead-unit"]
    for fault in order.faults:
        if fault.replace(" ", "-") not in known_faults:
            raise ConfigurationError(
                f"there is no fault {fault!r}; the faults are: {', '.join(known_faults)}"
            )


def _rows(running: Bench, order: Order, note: Callable[[str], None]) -> Iterator[Row]:
    for name, driver in running.without.items():
        note(f"{name} is not covered: driver {driver} has no simulator")
    if not running.lines:
        raise BenchFailed("nothing to test: no controller that was asked for has a simulator")
    altered = ", ".join(f"{key} = {value:g}" for key, value in SETTINGS.items())
    note(f"in this run: {altered}, timeout_s at least {LEAST_TIMEOUT_S:g}")
    links = tuple(
        f"{name}_link" for name in running.file.controllers if name not in running.without
    )
    keys = tuple(key for line in running.lines for key in line.keys)
    watch = Watch(running.store, keys, links)
    try:
        _subscribe(running, watch)
        for line in running.lines:
            yield from _rows_of(line, running, watch, order.faults, note)
    finally:
        watch.stop()


def _subscribe(running: Bench, watch: Watch) -> None:
    """Wait until a client can subscribe to all items: some have no value before the link is up."""

    def is_subscribed() -> bool:
        running.check()
        return not watch.start()

    if not until(is_subscribed, READY_WITHIN_S):
        raise BenchFailed(f"not all items can be subscribed to: {watch.start()}")


def _rows_of(
    line: LineOnTrial,
    running: Bench,
    watch: Watch,
    names: Sequence[str],
    note: Callable[[str], None],
) -> Iterator[Row]:
    trial: Trial | None = None
    for fault in each(faults_of(line), names):
        if why_not := fault.why_not(line):
            yield skipped(line, fault, why_not)
            continue
        if trial is None:
            trial = Trial.begun(running, line, watch)
            _tell_of(trial, note)
        yield trial.run(fault)


def _tell_of(trial: Trial, note: Callable[[str], None]) -> None:
    line, timing = trial.line, trial.line.timing
    note(
        f"{line.name}: {_count(len(trial.truth.keys), 'item')} read every {timing.period_s:.1f} s "
        f"at most; in doubt within {timing.invalid_within_s:.0f} s, good again within "
        f"{timing.good_within_s:.0f} s"
    )
    if trial.choice is not None:
        choice = trial.choice
        note(f"{line.name}: {choice.key} is set from {choice.usual!r} to {choice.asked!r}")
    else:
        note(f"{line.name}: nothing can be set and set back, so no SET is tried")
    if trial.truth.moving:
        note(f"{line.name}: change by themselves: {_list(sorted(trial.truth.moving))}")
    if trial.skipped:
        note(f"{line.name}: have no value without any fault: {_list(trial.skipped)}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
