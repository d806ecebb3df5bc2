"""Signals and exit codes: how a supervisor stops a daemon, and learns why one has ended."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol

from mktl.errors import (
    AlreadyRunning,
    BadValue,
    CatalogConflict,
    ConfigurationError,
    MktlError,
    WrongType,
)

__all__ = [
    "EXIT_CODES",
    "EXIT_FAILED",
    "EXIT_PLACE_HELD",
    "EXIT_STOPPED",
    "EXIT_USAGE",
    "supervise",
]

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PLACE_HELD = 3
EXIT_CODES = """\
exit codes:
  0  stopped as asked (SIGTERM, SIGINT), or nothing wrong was found
  1  failed: starting it again may help
  2  the command line, or a file that it names, is wrong: starting it again will not help
  3  its place is held by another process or, says a registry, by another daemon
"""

_log = logging.getLogger(__name__)


class Stoppable(Protocol):
    """What :func:`supervise` runs."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it was stopped; return whether it was within *timeout* seconds."""

    def stop(self) -> None:
        """Stop it."""


class _StopAsked(BaseException):
    """SIGTERM or SIGINT came."""


class _Signals:
    """SIGTERM and SIGINT, borrowed for a while.

    The first one raises :class:`_StopAsked` in the main thread, which does nothing but start or
    wait; the second one ends the process at once.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._receive)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        raise _StopAsked


def supervise(start: Callable[[], Stoppable], what: str) -> int:
    """Start something, keep it until a signal comes, stop it, and return the exit code.

    Args:
        start: Makes and starts it.
        what: What to call it in the log.
    """
    running: Stoppable | None = None
    with _Signals():
        try:
            running = start()
            # Not for ever: of a signal that came just before, one would hear when it ends.
            while not running.wait(1.0):
                continue
        except _StopAsked:
            if running is None:
                _log.info("%s was stopped while it was starting", what)
        except (AlreadyRunning, CatalogConflict) as error:
            _log.error("%s does not start: %s", what, error)
            return EXIT_PLACE_HELD
        except (ConfigurationError, BadValue, WrongType) as error:
            _log.error("%s does not start: %s", what, error)
            return EXIT_USAGE
        except MktlError as error:
            _log.error("%s does not start: %s", what, error)
            return EXIT_FAILED
        except Exception:  # the author's code: the log is where its traceback belongs
            _log.exception("%s does not start", what)
            return EXIT_FAILED
        if running is not None:
            running.stop()
    return EXIT_STOPPED
