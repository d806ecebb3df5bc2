"""What the tests share: waiting for a condition, ports of one's own, real child processes, leaks.

waiting
    ``wait_until``: poll a condition, and say clearly what did not happen.
ports
    ``free_tcp_port``, ``free_udp_port``: numbers that no other running test is given.
processes
    ``running``: a real child process that is ready, and surely ended. ``run_cli``: one command,
    start to end. ``process_alive``.
leaks
    What a test left behind: threads, child processes.
state
    What a test left otherwise in this process: places that are open, globals, signals, limits.
"""

from tests._support.ports import free_tcp_port, free_udp_port
from tests._support.processes import Child, process_alive, run_cli, running
from tests._support.waiting import wait_until

__all__ = [
    "Child",
    "free_tcp_port",
    "free_udp_port",
    "process_alive",
    "run_cli",
    "running",
    "wait_until",
]
