"""Makes the table of ``docs/reliability.md``: each example, on each transport, through each fault.

``python -m benchmarks._reliability`` runs all of it, which takes an hour on two cores;
``python -m benchmarks._reliability cryostat chamber`` only these examples, and keeps the rest of
the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simulators
from drivers import wiring
from markd._conformance_row import HEAD, Row, cells

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = Path(__file__).with_name("reliability.json")
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
_FETCHED = ("vxi11", "hislip")
"""Hosts fetch there what a device says, so that none speaks by itself."""
SUMMARY = (
    "instrument", "over", "faults", "in doubt after", "good again after", "crossed", "wrong",
    "SETs", "log lines", "threads", "files",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One line of one example over one transport."""

    file: Path
    controller: str
    drivers: str
    transport: str

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.drivers} ({self.file.stem}) over {self.transport}"


def runs(names: Sequence[str]) -> Iterator[Run]:
    """Give all runs of the examples called *names*; without any: of all examples."""
    for file in sorted((ROOT / "examples").glob("*.toml")):
        if names and file.stem not in names:
            continue
        checked = wiring.load(file)
        for line in simulators.twins_of_file(file).lines:
            controllers = tuple(line.units)
            drivers = dict.fromkeys(checked.controllers[name].generic for name in controllers)
            speaks = any(
                "heard" in (item.protocol or {})
                for item in checked.items.values()
                if item.controller in controllers
            )
            for transport in line.transports:
                if speaks and transport in _FETCHED:
                    continue
                yield Run(file, controllers[0], " + ".join(drivers), transport)


def carried_out(run: Run, seed: int) -> dict[str, Any]:
    """Carry out *run*, and return what it has found; nothing if it came to no end."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        done = subprocess.run(
            [
                sys.executable, "-m", "markd", str(run.file), "--conformance",
                "--controller", run.controller, "--transport", f"{run.controller}={run.transport}",
                "--seed", str(seed), "--json", str(out),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not out.exists():
            print(f"{run.name} has not come to an end:\n{done.stdout}{done.stderr}", flush=True)
            return {}
        found: dict[str, Any] = json.loads(out.read_text())
    print(f"{run.name}: {done.stdout.strip().splitlines()[-1]}", flush=True)
    for row in found["rows"]:
        if row["result"] == "fail":
            print(f"  {row['fault']}: {'; '.join(row['notes'])}", flush=True)
    return {
        "drivers": run.drivers,
        "example": run.file.name,
        "transport": run.transport,
        "rows": found["rows"],
    }


def main() -> int:
    """Run what is asked for, write the table, and return 1 if anything has failed."""
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="EXAMPLE")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wanted = list(runs(options.names))
    if not wanted:
        parser.error(f"there is no example called {', '.join(options.names)}")
    is_part = bool(options.names)
    kept = json.loads(RESULTS.read_text()) if is_part and RESULTS.exists() else {}
    # Without the rest of the results the page would lose what it has of them.
    keeps_page = is_part and not kept
    ended = True
    with ThreadPoolExecutor(options.jobs) as pool:
        for run, found in zip(
            wanted, pool.map(lambda one: carried_out(one, options.seed), wanted), strict=True
        ):
            if not found:
                ended = False
                continue
            kept[run.name] = found
            if keeps_page:
                continue
            results = dict(sorted(kept.items()))
            RESULTS.write_text(json.dumps(results, separators=(",", ":")) + "\n")
            write_page(results)
    if keeps_page:
        print(f"{PAGE} stays as it is: there is no {RESULTS} of a whole run")
    failed = any(row["result"] == "fail" for one in kept.values() for row in one["rows"])
    return int(failed or not ended)


def write_page(results: dict[str, Any]) -> None:
    """Put the tables of *results* into the page."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    lines = [table([SUMMARY, *(summary(one) for one in results.values())]), ""]
    for one in results.values():
        lines += [f"### {one['drivers']} over {one['transport']} (`{one['example']}`)", ""]
        full = [cells(row_of(row))[2:] for row in one["rows"] if row["result"] != "n/a"]
        lines += [table([HEAD[2:], *full]), ""]
        skipped = [f"{row['fault']}: {row['notes'][0]}" for row in one["rows"] if is_skipped(row)]
        if skipped:
            lines += [f"Does not apply: {'; '.join(skipped)}.", ""]
    PAGE.write_text(f"{head}{BEGIN}\n\n{chr(10).join(lines)}{END}{tail}")


def is_skipped(row: dict[str, Any]) -> bool:
    """Whether the fault of *row* does not apply."""
    return bool(row["result"] == "n/a")


def row_of(found: dict[str, Any]) -> Row:
    """Return a row from its JSON."""
    pairs = {name: tuple(found[name]) for name in ("threads", "files", "notes")}
    return Row(**{**found, **pairs})


def summary(one: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one run in the summary."""
    rows = [row_of(row) for row in one["rows"] if not is_skipped(row)]
    passed = sum(row.result == "pass" for row in rows)
    sets = [row.set for row in rows if row.set != "-"]
    counts = ", ".join(f"{sets.count(name)} {name}" for name in dict.fromkeys(sets)) or "-"
    return (
        one["drivers"],
        one["transport"],
        f"{passed} of {len(rows)} pass",
        f"{max((row.invalid_s for row in rows if row.invalid_s is not None), default=0):.1f} s",
        f"{max((row.good_s for row in rows if row.good_s is not None), default=0):.1f} s",
        str(sum(row.crossed for row in rows)),
        str(sum(row.wrong for row in rows)),
        counts,
        f"at most {max(row.log_lines for row in rows)}",
        f"{rows[0].threads[0]} > {rows[-1].threads[1]}",
        f"{rows[0].files[0]} > {rows[-1].files[1]}",
    )


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table for a page."""
    head, *rest = lines
    return "\n".join(
        f"| {' | '.join(cell)} |" for cell in (head, tuple("---" for _ in head), *rest)
    )


if __name__ == "__main__":
    sys.exit(main())
