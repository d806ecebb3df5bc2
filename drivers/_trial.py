"""Controllers that are made to be looked at only: never started, and closed again."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mktl.errors import ConfigurationError

if TYPE_CHECKING:
    from drivers.base import ControllerBase

__all__ = ["on_trial", "takes"]


@contextlib.contextmanager
def on_trial() -> Iterator[contextlib.ExitStack]:
    """Return a stack that closes them at the end; nobody has to be told that they are closed."""
    here = threading.get_ident()

    def is_news(record: logging.LogRecord) -> bool:
        return record.thread != here

    log = logging.getLogger("drivers.link")
    log.addFilter(is_news)
    try:
        with contextlib.ExitStack() as stack:
            yield stack
    finally:
        log.removeFilter(is_news)


def takes(driver: type[ControllerBase], url: str) -> bool:
    """Return whether *driver* understands *url*; nothing is opened."""
    try:
        driver(url).close()
    except ConfigurationError:
        return False
    return True
