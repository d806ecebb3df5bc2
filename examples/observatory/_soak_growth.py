"""Whether processes grow: memory, threads and descriptors of each, by its life. Linux."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Growth", "Sample", "trend"]

WARM_UP_S = 30.0
"""What comes of the first seconds of a process is no growth: caches, pools, first connections."""
LONG_ENOUGH_S = 90.0
"""A life that was shorter tells nothing."""
MOST = {"MB": 8.0, "threads": 8.0, "files": 8.0}
"""Growth of a process between the first third of its life and the last, beyond noise. Of threads
and files the least counts: those that work needs for a while are given back."""


@dataclass(frozen=True)
class Sample:
    """What a process takes at one moment."""

    at_s: float
    MB: float
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Sample | None:
        """Return what the process *pid* takes now; ``None``: it is gone, or about to be."""
        directory = Path("/proc", str(pid))
        try:
            pairs = (line.split(":") for line in (directory / "status").read_text().splitlines())
            fields = {name: rest.split() for name, rest in pairs}
            files = len(os.listdir(directory / "fd"))  # noqa: PTH208 - iterdir() makes a Path each
            return cls(
                time.monotonic(), int(fields["VmRSS"][0]) / 1024, int(fields["Threads"][0]), files
            )
        except (OSError, KeyError, ValueError):
            return None


class Growth:
    """Samples of processes by name; another process under a name is another life."""

    def __init__(self) -> None:
        self._lives: dict[tuple[str, int], list[Sample]] = {}

    def look(self, pids: Mapping[str, int]) -> None:
        """Take a sample of each."""
        for name, pid in pids.items():
            sample = Sample.of(pid)
            if sample is not None:
                self._lives.setdefault((name, pid), []).append(sample)

    def grown(self) -> list[str]:
        """Return which lives have grown more than they may."""
        found = []
        for (name, pid), samples in self._lives.items():
            for what, (before, after) in trend(samples).items():
                if after - before > MOST[what]:
                    found.append(
                        f"{name} ({pid}) has grown from {before:.1f} to {after:.1f} {what} within "
                        f"{samples[-1].at_s - samples[0].at_s:.0f} s"
                    )
        return found

    def report(self) -> list[str]:
        """Return a line for each name, about its longest life."""
        longest: dict[str, list[Sample]] = {}
        for (name, _pid), samples in self._lives.items():
            if len(samples) >= len(longest.get(name, [])):
                longest[name] = samples
        lines = []
        for name, samples in sorted(longest.items()):
            last = samples[-1]
            changes = ", ".join(
                f"{after - before:+.1f} {what}" for what, (before, after) in trend(samples).items()
            )
            lines.append(
                f"{name:9} {last.at_s - samples[0].at_s:6.0f} s: {last.MB:.0f} MB, "
                f"{last.threads} threads, {last.files} files ({changes or 'too short for a trend'})"
            )
        return lines


def trend(samples: list[Sample]) -> dict[str, tuple[float, float]]:
    """Return what was typical of the first and of the last third; nothing of a short life."""
    if not samples or samples[-1].at_s - samples[0].at_s < LONG_ENOUGH_S:
        return {}
    warm = [one for one in samples if one.at_s - samples[0].at_s > WARM_UP_S]
    third = max(1, len(warm) // 3)
    found = {}
    for what in MOST:
        typical = statistics.median if what == "MB" else min
        parts = warm[:third], warm[-third:]
        before, after = (float(typical(getattr(one, what) for one in part)) for part in parts)
        found[what] = before, after
    return found
