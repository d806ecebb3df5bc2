"""A plant of holding registers over Modbus TCP, in a process of its own, for ``modbus_blocks``.

The quantity ``changing`` says which share of the registers has another value at each read.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from simulators.device import Quantity
from simulators.modbus import Code, ModbusDevice, ModbusError, Table
from simulators.serve import Simulator


class Registers(ModbusDevice):
    """Registers that count."""

    name: ClassVar[str] = "registers"

    def __init__(self, count: int) -> None:
        """Have *count* registers from address 0 on, none of which changes."""
        super().__init__()
        self._words = [(7 * address) & 0xFFFF for address in range(count)]
        self._reads = self._registers_read = 0
        self._changing = 0.0

    def read_words(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read a block, and let what changes go on."""
        if table is not Table.HOLDING_REGISTERS or address + count > len(self._words):
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        self._reads += 1
        self._registers_read += count
        for place in range(address, address + round(count * self._changing)):
            self._words[place] = (self._words[place] + 1) & 0xFFFF
        return self._words[address : address + count]

    def step(self, dt_s: float) -> None:
        """Let time pass, in which nothing happens."""

    def power_off(self) -> None:
        """Keep the values."""

    def power_on(self) -> None:
        """Go on as before."""

    def quantities(self) -> Mapping[str, Quantity]:
        """What was read so far, and the share that changes."""
        return {
            "reads": Quantity("", "reads of registers", lambda: float(self._reads)),
            "registers": Quantity("", "registers read", lambda: float(self._registers_read)),
            "changing": Quantity(
                "", "share that changes", lambda: self._changing, self._set_changing
            ),
        }

    def _set_changing(self, share: float) -> None:
        self._changing = share


def main() -> int:
    """Serve as many registers as the command line says, until SIGTERM."""
    stopping = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    with Simulator(
        Registers(int(sys.argv[1])),
        serve={"modbus+tcp": ("127.0.0.1", 0)},
        control=("127.0.0.1", 0),
    ) as plant:
        host, port = plant.control_address
        print(json.dumps({"url": plant.url, "control": f"{host}:{port}"}), flush=True)
        signal.sigwait(stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main())
