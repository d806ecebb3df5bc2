"""``docs/afternoon.md``, typed from its first line to its last, with its output compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests._support import Child, run_cli, running, wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "afternoon.md"
BLOCK = re.compile(r"^```(toml|console)\n(.*?)^```", re.S | re.M)
NAMED = re.compile(r"# (\S+\.toml)(, continued)?\n")
CONTROL = re.compile(r"marksim ctl (\S+:\d+) status")
ANY_LINES = "...\n"


@dataclass
class Command:
    """One command of the page, and what it prints there."""

    text: str
    printed: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its output looks like: ``...`` stands for anything."""
        lines = self.printed.splitlines(keepends=True)
        parts = [
            r"(?s:.*)" if line == ANY_LINES else re.escape(line).replace(re.escape("..."), ".*")
            for line in lines
        ]
        return re.compile("".join(parts))


def commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        text, _, printed = part.partition("\n")
        yield Command(text, printed)


class Reader:
    """Somebody who follows the page."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._daemon = stack.enter_context(ExitStack())
        self._control = ""

    def save(self, text: str) -> None:
        """Save a file as the page says."""
        match = NAMED.match(text)
        assert match is not None, f"the page does not say what to call this:\n{text}"
        with (self._folder / match[1]).open("a" if match[2] else "w") as file:
            file.write(text)

    def type(self, command: Command) -> None:
        """Type one command, and compare."""
        if command.text.startswith("export "):
            return  # the test has a home of its own
        if command.text.endswith(" &"):
            self._start(command)
        elif command.text.startswith("mark get"):
            # The daemon takes a moment to notice what was done to the simulator.
            wait_until(lambda: self._compare(command), 40, command.text)
        else:
            self._compare(command)

    def _compare(self, command: Command) -> bool:
        output = self._output(command)
        assert command.pattern.fullmatch(output), f"$ {command.text}\n{output}"
        return True

    def _output(self, command: Command) -> str:
        done = run_cli("sh", "-c", command.text, cwd=self._folder, env={"CTL": self._control})
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def _start(self, command: Command) -> None:
        self._daemon.close()
        argv = command.text.removesuffix(" &").split()
        child: Child = self._daemon.enter_context(
            running(argv, ready="on the air", cwd=self._folder)
        )
        for line in command.printed.splitlines():
            assert re.search(re.escape(line).replace(re.escape("..."), ".*"), child.stderr_text)
        self._control = child.wait_for(CONTROL.pattern)[1]


@pytest.mark.timeout(180)
def test_the_guide_works_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for language, block in BLOCK.findall(PAGE.read_text()):
            if language == "toml":
                reader.save(block)
            else:
                for command in commands(block):
                    reader.type(command)
