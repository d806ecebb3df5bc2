"""What failed, told on stderr in one line each, and the exit code that follows from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

__all__ = [
    "ALARMS",
    "DONE",
    "INTERRUPTED",
    "NO_ANSWER",
    "REFUSED",
    "USAGE",
    "Outcome",
    "UsageError",
    "guarded",
    "one_line",
    "warn",
]

DONE, REFUSED, USAGE, NO_ANSWER, ALARMS, INTERRUPTED = 0, 1, 2, 3, 4, 130


class UsageError(Exception):
    """The command line asks for nothing that there is; the text says what would do."""


class Outcome:
    """How a command went so far.

    Attributes:
        status: The exit code: the highest of all that went wrong.
    """

    def __init__(self) -> None:
        self.status = DONE

    def failed(self, subject: str, error: Exception) -> None:
        """Tell why *subject*, a key for example, failed, and go on."""
        reason = str(error)
        warn(f"{subject} failed: {reason.removeprefix(f'{subject}: ')}")
        self.status = max(self.status, status_of(error))

    def unanswered(self, text: str) -> None:
        """Tell that nobody answered, where what was known before is printed instead."""
        warn(f"mark: {text}")
        self.status = max(self.status, NO_ANSWER)


def status_of(error: Exception) -> int:
    """Return the exit code for *error*."""
    from mktl.errors import ConfigurationError, ConnectionLost, NoAnswer

    if isinstance(error, (NoAnswer, ConnectionLost)):
        return NO_ANSWER
    return USAGE if isinstance(error, ConfigurationError) else REFUSED


def one_line(text: str) -> str:
    r"""Return *text* with what would break or disturb a line written out, such as ``\n``."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def warn(text: str) -> None:
    """Print one line on stderr, after all that was printed on stdout before."""
    sys.stdout.flush()
    print(one_line(text), file=sys.stderr, flush=True)


def guarded(command: Callable[[], int]) -> int:
    """Return what *command* does, or the exit code of what ended it. Never a traceback."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - pathlib is slow to import
    try:
        _tolerate_any_text()
        status = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is left to be flushed at exit.
        _discard_output()
        return DONE
    except UsageError as error:
        warn(f"mark: {error}")
        return USAGE
    except Exception as error:  # whatever it is, a person gets a line and not a traceback
        return _failed(error)
    return status


def _failed(error: Exception) -> int:
    from mktl.errors import MktlError

    if isinstance(error, MktlError):
        warn(f"mark: {error}")
        return status_of(error)
    if not isinstance(error, OSError):
        if os.environ.get("MKTL_DEBUG"):
            raise error
        warn(
            f"mark: this is a mistake in mark itself, please report it: {type(error).__name__}: "
            f"{error} (MKTL_DEBUG=1 shows where)"
        )
        return REFUSED
    _discard_output()  # a full disk, most likely
    where = f": {error.filename}" if error.strerror and error.filename else ""
    print(one_line(f"mark: {error.strerror or error}{where}"), file=sys.stderr)
    return REFUSED


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tolerate_any_text() -> None:
    """Write out what the terminal's encoding does not have, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
