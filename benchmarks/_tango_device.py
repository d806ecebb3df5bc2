"""A device server of PyTango to be measured: ``python -m benchmarks._tango_device FILE``.

It needs no database: its properties are in *FILE*, which it makes. When it is ready it prints its
port; it ends when its standard input does.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

from tango import AttrWriteType
from tango.server import Device, attribute, run

NAME = "bench/subject/1"

# Without a factor in a file, a server that has no database takes all that it has polled for old.
_PROPERTIES = f'Subject/bench/DEVICE/Subject: "{NAME}"\n{NAME}->poll_old_factor: 4\n'


class Subject(Device):
    """What ``benchmarks._daemon`` has: one attribute with code that reads, one that is kept."""

    count = 0
    kept = 77.35

    @attribute(dtype=float)
    def read(self) -> float:
        """Return what an instrument would have said: another number each time."""
        self.count += 1
        return self.count + 0.25

    @attribute(dtype=float, polling_period=100)
    def polled(self) -> float:
        """Return a number; clients get what was read last."""
        return self.kept

    plain = attribute(
        dtype=float, access=AttrWriteType.READ_WRITE, fget="read_plain", fset="write_plain"
    )

    def read_plain(self) -> float:
        """Return what was written last."""
        return self.kept

    def write_plain(self, value: float) -> None:
        """Keep *value*."""
        self.kept = value


def main() -> None:
    """Serve the device until the standard input ends."""
    file = Path(sys.argv[1])
    file.write_text(_PROPERTIES)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threading.Thread(target=_end_with_input, daemon=True).start()
    place = ["-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"]
    run(
        (Subject,),
        args=["Subject", "bench", f"-file={file}", *place],
        post_init_callback=lambda: print(port, flush=True),
    )


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
