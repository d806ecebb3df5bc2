"""``python -m tests.fuzz``: throw bytes at everything that reads bytes, until something breaks.

With atheris installed (``pip install 'mktl-hardware[fuzz]'``, where there is a wheel) that guides
the search; without it, a slower driver of our own does. What breaks something is made small and
kept in tests/fuzz/corpus, where each run of the tests tries it again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from ._engine import at_most, fuzz, lines_of, smaller
from .targets import LONGEST, TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 20
MEMORY_MB = 2048
SHOWN_LINES = 40


def main() -> int:
    """Run what the command line asks for; return the exit code: 1 if anything has broken."""
    options = _parse()
    if options.list:
        print("\n".join(TARGETS))
        return 0
    targets = [TARGETS[name] for name in options.targets or TARGETS]
    if options.input:
        for target in targets:
            target.check(options.input.read_bytes())
        return 0
    guided = importlib.util.find_spec("atheris") is not None and not options.own
    seed = random.randrange(1, 2**31) if options.seed is None else options.seed
    print(f"{'atheris' if guided else 'our own driver'}, {options.seconds:g} s each, --seed {seed}")
    broken = [
        target.name
        for target in targets
        if not (_with_atheris if guided else _by_ourselves)(target, options, seed)
    ]
    print(f"BROKEN: {', '.join(broken)}" if broken else "nothing has broken")
    return 1 if broken else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, if none is named")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target (default 10)")
    parser.add_argument("--seed", type=int, help="has the same inputs tried again")
    parser.add_argument("--own", action="store_true", help="do without atheris")
    parser.add_argument("--keep", action="store_true",
                        help="add what has reached new lines to the corpus")  # fmt: skip
    parser.add_argument("--input", type=Path, metavar="FILE", help="try this input, and end")
    parser.add_argument("--list", action="store_true", help="print the names of all targets")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return options


def _by_ourselves(target: Target, options: argparse.Namespace, seed: int) -> bool:
    """Return whether nothing has broken."""
    tried, pool, bad = fuzz(
        target.check, target.inputs(), seed=seed, seconds=options.seconds, longest=LONGEST,
        hang_s=HANG_S,
    )  # fmt: skip
    print(f"{target.name:22} {tried} inputs, {len(pool)} of them reach something new", flush=True)
    if options.keep:
        _keep(target, pool)
    if bad is None:
        return True
    data, error = bad
    traceback.print_exception(error)
    _keep_crash(target, data)
    return False


def _with_atheris(target: Target, options: argparse.Namespace, seed: int) -> bool:
    """Return whether nothing has broken."""
    with tempfile.TemporaryDirectory(prefix="mktl-fuzz-") as name:
        found, crashes = Path(name, "found"), Path(name, "crashes")
        for directory in (found, crashes):
            directory.mkdir()
        for data in target.inputs():
            (found / _name_of(data)).write_bytes(data)
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.fuzz._atheris", target.name,
                f"-max_total_time={max(1, round(options.seconds))}", f"-seed={seed}",
                f"-max_len={LONGEST}", f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MB}",
                f"-artifact_prefix={crashes}/", "-verbosity=0", str(found),
            ],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        print(f"{target.name:22} {len(list(found.iterdir()))} inputs kept", flush=True)
        if options.keep:
            _keep(target, [path.read_bytes() for path in sorted(found.iterdir())])
        if done.returncode == 0:
            return True
        output = (done.stdout + done.stderr).decode(errors="replace").splitlines()
        print("\n".join(output[-SHOWN_LINES:]))
        for crash in crashes.iterdir():
            _keep_crash(target, crash.read_bytes())
        return False


def _name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _keep_crash(target: Target, data: bytes) -> None:
    """Put into the corpus what has broken *target*, without what does not matter in it."""

    def fails(candidate: bytes) -> bool:
        try:
            with at_most(HANG_S):
                target.check(candidate)
        except Exception:  # that it fails is what counts; another failure is as good
            return True
        return False

    made = smaller(fails, data) if len(data) < LONGEST else data
    target.corpus.mkdir(parents=True, exist_ok=True)
    path = target.corpus / f"broke-{_name_of(made)}"
    path.write_bytes(made)
    print(f"kept: {path.relative_to(ROOT)}: {made[:200]!r}")
    print(f"again: python -m tests.fuzz {target.name} --input {path.relative_to(ROOT)}")


def _keep(target: Target, found: list[bytes]) -> None:
    """Add the inputs to the corpus that reach lines which those in it do not, short ones first."""
    known = set().union(*(lines_of(target.check, data) for data in target.inputs()))
    for data in sorted(found, key=len):
        try:
            reached = lines_of(target.check, data)
        except Exception:  # kept already, as what it is
            continue
        if reached - known:
            known |= reached
            target.corpus.mkdir(parents=True, exist_ok=True)
            (target.corpus / _name_of(data)).write_bytes(data)


if __name__ == "__main__":
    raise SystemExit(main())
