"""Logs on stderr: lines for people, or one JSON object a line for machines."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from .cli._outcome import one_line

__all__ = ["add_log_options", "set_up_logs"]

LEVELS = ("debug", "info", "warning", "error")


class _Lines(logging.Formatter):
    """Lines for people, of which each that begins with a time was begun by us.

    What peers and devices say may be in them, and must not make up further ones, nor be commands
    for the terminal on which somebody reads them.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is given
        return _as_text(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is given
        return f"    {_as_text(super().formatException(ei))}"


def _as_text(text: str) -> str:
    return "\n    ".join(one_line(line) for line in text.split("\n"))


class _JsonLines(logging.Formatter):
    """One JSON object a line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Give *parser* the options that :func:`set_up_logs` reads."""
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="least severity to log (default: info)"
    )
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line")


def set_up_logs(options: argparse.Namespace) -> None:
    """Send the logs of this process to stderr, as *options* ask."""
    handler = logging.StreamHandler(sys.stderr)
    line = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
    handler.setFormatter(_JsonLines() if options.log_json else _Lines(line, "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler], force=True)
    # A log that cannot be written (a full disk, a closed pipe) must not become a flood of its own.
    logging.raiseExceptions = False
