"""The benchmarks still run; what they find is judged by ``make bench``, on a quiet machine."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import benchmarks
from tests._support import run_cli

NAMES = [
    info.name for info in pkgutil.iter_modules(benchmarks.__path__) if not info.name.startswith("_")
]


@pytest.mark.parametrize("name", NAMES)
def test_benchmark_finds_figures_for_what_it_measures(name: str) -> None:
    results = importlib.import_module(f"benchmarks.{name}").run(short=True)
    assert results
    for result in results.values():
        assert result.to_json().keys() == {"ours", "limit", "ratio", "goal"}
        assert min(result.to_json().values()) > 0
        quotient = result.ours / result.limit
        assert result.ratio in (pytest.approx(quotient), pytest.approx(1 / quotient))


def test_a_benchmark_that_does_not_exist_is_refused_with_the_names_of_those_that_do() -> None:
    done = run_cli("-m", "benchmarks", "startup", "nonsense")
    assert done.returncode == 2
    for name in ("nonsense", *NAMES):
        assert name in done.stderr
