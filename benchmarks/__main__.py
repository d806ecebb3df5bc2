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
from benchmarks._support import Failed

_RESULTS = Path(__file__).with_name("results.json")

Run = Callable[..., dict[str, dict[str, float]]]


def main() -> int:
    """Run those that are asked for; return 1 if anything is beyond its limit, otherwise 0."""
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
    results: dict[str, dict[str, float]] = {}
    for name in names:
        if name not in known:
            _parser(runs).error(f"there is no {name}: there are {', '.join(known)}")
    try:
        for name in names:
            results.update(runs[name](**_of(runs[name], given)))
    except Failed as error:
        print(f"{name}: FAILED: {error}", file=sys.stderr)
        return 1
    _RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    _print_table(results)
    return int(any(result["ratio"] < 1 for result in results.values()))


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


def _print_table(results: dict[str, dict[str, float]]) -> None:
    width = max(map(len, results))
    print(f"{'':{width}}  {'ours':>10}  {'limit':>10}  {'limit/ours':>10}  {'goal':>6}")
    for name, result in results.items():
        print(
            f"{name:{width}}  {result['ours']:10.4g}  {result['limit']:10.4g}"
            f"  {result['ratio']:10.2f}  {result['goal']:6.2f}"
            f"  {'within' if result['ratio'] >= 1 else 'BEYOND'} the limit"
        )


if __name__ == "__main__":
    sys.exit(main())
