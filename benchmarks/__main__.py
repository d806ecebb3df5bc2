"""Runs benchmarks, prints a table, and writes ``benchmarks/results.json``.

``python -m benchmarks`` runs all of them, ``python -m benchmarks NAME...`` those that are named.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks

_RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Run those that are asked for; return 1 if anything is beyond its limit, otherwise 0."""
    known = sorted(
        info.name
        for info in pkgutil.iter_modules(benchmarks.__path__)
        if not info.name.startswith("_")
    )
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what is promised.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(known)} (default: all)"
    )
    names = parser.parse_args().names or known
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no {unknown[0]}: there are {', '.join(known)}")
    results: dict[str, dict[str, float]] = {}
    for name in names:
        results.update(importlib.import_module(f"benchmarks.{name}").run())
    _RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    _print_table(results)
    return int(any(result["ratio"] < 1 for result in results.values()))


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
