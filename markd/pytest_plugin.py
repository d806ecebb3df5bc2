"""A pytest plugin: a site holds the instrument files of its own to what must never happen.

It is there wherever this project is installed; nothing else has to be done::

    def test_the_cryostat_stands_every_fault(conformance):
        conformance("cryostat.toml")

    @pytest.mark.parametrize("fault", FAULTS)          # from markd.pytest_plugin import FAULTS
    def test_the_chiller_stands(conformance, fault):
        conformance("chiller.toml", faults=[fault])
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

__all__ = ["FAULTS", "Conformance", "conformance"]

FAULTS = (
    "refuse", "reset", "half-open", "silence", "mute", "slow", "split", "garbage", "one-garbage",
    "noise", "truncated", "late", "one-late", "unsolicited", "busy", "nak", "exception",
    "wrong-identity", "dead-unit", "power-cycle",
)  # fmt: skip
"""The names of all faults; those that do not apply to a controller are skipped."""
_STOPS_WITHIN_S = 30.0


class Conformance:
    """Runs ``markd FILE.toml --conformance`` in a process of its own, and fails as it fails."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        """Take files relative to *folder*; *scratch* is a directory that may be written to."""
        self._folder = folder
        self._scratch = scratch

    def __call__(
        self,
        file: str | Path,
        *,
        faults: Sequence[str] = (),
        controller: str | None = None,
        transports: Mapping[str, str] | None = None,
        seed: int | None = None,
    ) -> list[dict[str, Any]]:
        """Fail the test unless *file* stands all that is asked of it.

        Args:
            file: The instrument file, relative to the folder of the test.
            faults: Only these; none: all.
            controller: Only the line of this one.
            transports: How controllers are reached, by name, where not as the file says.
            seed: Other mishaps.

        Returns:
            The rows of the table, as in the JSON of ``--json``.
        """
        __tracebackhide__ = True
        out = self._scratch / "conformance.json"
        words = [str(self._folder / file), "--conformance", "--json", str(out)]
        words += ["--faults", ",".join(faults)] if faults else []
        words += ["--controller", controller] if controller else []
        words += ["--seed", str(seed)] if seed is not None else []
        for name, transport in (transports or {}).items():
            words += ["--transport", f"{name}={transport}"]
        out.unlink(missing_ok=True)
        status, printed = _run([sys.executable, "-m", "markd", *words])
        if not out.exists():
            pytest.fail(f"markd {' '.join(words)}\n{printed}", pytrace=False)
        found = json.loads(out.read_text())
        rows: list[dict[str, Any]] = found["rows"]
        tested = [row for row in rows if row["result"] != "n/a"]
        if any(row["result"] == "fail" for row in rows):
            pytest.fail(f"{file} does not stand all of it:\n{printed}", pytrace=False)
        if not tested:
            reasons = {note for row in rows for note in row["notes"]} or set(found["notes"][-1:])
            pytest.skip(f"{', '.join(faults)}: {'; '.join(sorted(reasons))}")
        if status != 0:
            pytest.fail(printed, pytrace=False)
        return rows


@pytest.fixture
def conformance(request: pytest.FixtureRequest, tmp_path: Path) -> Conformance:
    """Hold an instrument file to what must never happen; see `Conformance`."""
    return Conformance(request.path.parent, tmp_path)


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run *command* to its end; what ends us ends it in good order, and what it has started."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )  # fmt: skip
    try:
        printed, _ = process.communicate()
    except BaseException:  # an interrupted test leaves no daemon behind
        process.terminate()
        try:
            process.communicate(timeout=_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        raise
    return process.returncode, printed
