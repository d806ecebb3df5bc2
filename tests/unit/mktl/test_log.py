"""Log lines of what a short command imports: as those of ``logging``, which is imported late."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from mktl._log import Log

LOG = Log("mktl.somewhere")


def test_lines_are_those_that_logging_itself_would_have_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    real = logging.getLogger("mktl.somewhere")
    for log in (LOG, real):
        error = OSError("no room")
        log.debug("%s of %d", "one", 2)
        log.info("as it should be")
        log.warning("%s was not written", "it", exc_info=error)
        try:
            raise error
        except OSError:
            log.exception("a job failed")
    ours, theirs = caplog.records[:4], caplog.records[4:]
    for one, other in zip(ours, theirs, strict=True):
        for what in ("name", "levelname", "funcName", "filename", "lineno", "exc_text"):
            assert getattr(one, what) == getattr(other, what)
        assert one.getMessage() == other.getMessage()
        assert (one.exc_info is None) is (other.exc_info is None)
        assert one.exc_info is None or isinstance(one.exc_info[1], OSError)


def _stderr_of(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stderr


BEGIN = "import sys; from mktl._log import Log; log = Log('mktl.x'); "


def test_logging_is_imported_for_the_first_warning_and_not_for_less() -> None:
    code = BEGIN + "log.debug('a'); log.info('b'); assert 'logging' not in sys.modules; "
    assert _stderr_of(code + "log.warning('%s: %d', 'c', 3)") == "c: 3\n"
    assert _stderr_of("import logging; " + BEGIN + "log.debug('a'); log.info('b')") == ""


def test_who_asks_for_more_gets_more() -> None:
    code = "import logging; logging.basicConfig(level='DEBUG'); " + BEGIN
    assert _stderr_of(code + "log.debug('a')") == "DEBUG:mktl.x:a\n"
