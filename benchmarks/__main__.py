"""Runs all benchmarks, prints a table, and writes ``benchmarks/results.json``."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks

_RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Run all; return 1 if anything is beyond its limit, otherwise 0."""
    results: dict[str, dict[str, float]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(benchmarks.__path__)):
        if not module.startswith("_"):
            results.update(importlib.import_module(f"benchmarks.{module}").run())
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
