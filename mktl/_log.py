"""Loggers for what a short command imports: ``logging`` itself is imported for the first line.

Its import takes a tenth of the time of that of ZeroMQ, and most commands have nothing to log.
"""

from __future__ import annotations

import sys

__all__ = ["Log"]


class Log:
    """Stands for ``logging.getLogger(name)``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, message: str, *args: object) -> None:
        """Log what helps to find out why something is as it is."""
        # Where nobody has imported it, nobody can have asked for more than warnings.
        if "logging" in sys.modules:
            self._write("DEBUG", message, args)

    def info(self, message: str, *args: object) -> None:
        """Log what is as it should be."""
        if "logging" in sys.modules:
            self._write("INFO", message, args)

    def warning(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log what is not as it should be; *exc_info* is shown with its traceback."""
        self._write("WARNING", message, args, exc_info)

    def exception(self, message: str, *args: object) -> None:
        """Log a mistake, and the exception that is handled with its traceback."""
        self._write("ERROR", message, args, sys.exception())

    def _write(
        self,
        level: str,
        message: str,
        args: tuple[object, ...],
        exc_info: BaseException | None = None,
    ) -> None:
        import logging

        number = getattr(logging, level)
        # The line is that of whoever called one of the methods above.
        logging.getLogger(self._name).log(number, message, *args, exc_info=exc_info, stacklevel=3)
