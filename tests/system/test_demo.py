"""``make demo``, as a newcomer meets it."""

from __future__ import annotations

import re
import signal

import pytest

from tests._support import run_cli, running


@pytest.mark.timeout(180)
def test_the_tour_ends_by_itself_and_every_step_does_what_it_should() -> None:
    done = run_cli("examples/demo.py", "--tour", timeout_s=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step did what it should." in done.stdout


@pytest.mark.timeout(180)
def test_ctrl_c_leaves_nothing_behind() -> None:
    with running(["examples/demo.py"], ready=r"\$ mark list cryo", timeout_s=60) as demo:
        children = re.findall(r"^ +\$ (marksim|markregistryd|markd) ", demo.stdout_text, re.M)
        assert {"marksim", "markd"} <= set(children)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout_s=30) == 0
    # Whatever it had started and left would be found by the check for leaks after this test.
