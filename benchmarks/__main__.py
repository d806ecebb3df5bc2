"""Runs benchmarks, prints a table, and writes ``benchmarks/results.json``.

``python -m benchmarks`` runs all of them, ``python -m benchmarks NAME...`` those that are named.
Some can be told how much to do: ``python -m benchmarks durability --sets 1000000 --kills 50``.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks._support import Failed, Result

_RESULTS = Path(__file__).with_name("results.json")

Run = Callable[..., dict[str, Result]]


def main() -> int:
    """Run those that are asked for; return 1 if a goal is missed, otherwise 0."""
    known = sorted(
        info.name
        for info in pkgutil.iter_modules(benchmarks.__path__)
        if not info.name.startswith("_")
    )
    runs: dict[str, Run] = {
        name: importlib.import_module(f"benchmarks.{name}").run for name in known
    }
    arguments = _parser(runs).parse_args()
    names = arguments.names or known
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    results: dict[str, Result] = {}
    for name in names:
        if name not in known:
            _parser(runs).error(f"there is no {name}: there are {', '.join(known)}")
    failed = False
    for name in names:
        try:
            found = runs[name](**_of(runs[name], given))
        except Failed as error:
            print(f"{name}: FAILED: {error}", file=sys.stderr)
            failed = True
            continue
        _print_table(found)
        results.update(found)
    _keep(results, everything=not arguments.names)
    missed = [name for name, result in results.items() if not result.met]
    print(f"{len(results) - len(missed)} of {len(results)} goals are met")
    return int(failed or bool(missed))


def _keep(results: dict[str, Result], *, everything: bool) -> None:
    """Write the results; those of what was not asked for this time stay as they were."""
    kept: dict[str, dict[str, float]] = {}
    if not everything and _RESULTS.exists():
        kept = json.loads(_RESULTS.read_text())
    kept |= {name: result.to_json() for name, result in results.items()}
    _RESULTS.write_text(json.dumps(kept, indent=2) + "\n")


def _parser(runs: dict[str, Run]) -> argparse.ArgumentParser:
    """Have an option for each number that can be handed to one of *runs*."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what is promised.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(runs)} (default: all)"
    )
    options: dict[str, tuple[type, list[str]]] = {}
    for name, run in runs.items():
        for parameter in _numbers(run):
            kind = type(parameter.default)
            text = f"{name} (default: {parameter.default:g})"
            options.setdefault(parameter.name, (kind, []))[1].append(text)
    for option, (kind, users) in options.items():
        flag = f"--{option.replace('_', '-')}"
        parser.add_argument(flag, type=kind, metavar="N", help=f"for {', '.join(users)}")
    return parser


def _numbers(run: Run) -> list[inspect.Parameter]:
    parameters = inspect.signature(run).parameters.values()
    return [one for one in parameters if type(one.default) in (int, float)]


def _of(run: Run, given: dict[str, Any]) -> dict[str, Any]:
    return {one.name: given[one.name] for one in _numbers(run) if one.name in given}


def _print_table(results: dict[str, Result]) -> None:
    width = max(map(len, results))
    print(f"{'':{width}}  {'ours':>10}  {'limit':>10}  {'ratio':>6}  {'(spread)':>13}  {'goal':>5}")
    for name, result in results.items():
        spread = "({:.2f} - {:.2f})".format(*result.spread) if result.spread else ""
        print(
            f"{name:{width}}  {result.ours:10.4g}  {result.limit:10.4g}  {result.ratio:6.2f}"
            f"  {spread:>13}  {result.goal:5.2f}  {'met' if result.met else 'MISSED'}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
