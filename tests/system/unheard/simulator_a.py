"""A NIVAR 2, written from manual_a.md alone: ``python simulator_a.py [--period S] [--measure S]``.

It listens on two free ports of the loopback, and prints ``ready PORT CONTROL``. On the first it is
the instrument. On the second each line is an order to the simulator, answered by one line:

    set NAME JSON           change the state (the names are those of Nivar)
    show                    the state, as JSON
    instead LETTERS TEXT    the next answer to this command is TEXT instead
    silent LETTERS COUNT    so many of these commands are obeyed, not answered; * is any command
    before LETTERS          the unasked line comes before the next answer to this command
    unasked                 the unasked line comes now
    drop                    close the connections of the instrument
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re

END = b"\n\r"


class Refused(Exception):
    """The instrument's refusal, with its reason."""


class Nivar:
    """The instrument."""

    def __init__(self) -> None:
        self.model = "NIVAR2 4.07"
        self.locked = False
        self.fill = "-"
        self.bits = 2
        self.level: float | None = 437.5
        self.unit = "mm"
        self.probe = 620.0
        self.temperature = "004.21K"
        self.pressure = "413-4"
        self.stop = 450.0
        self.mode = "H"
        self.fills = 17
        self.buzzer = False
        self.measuring = False
        self.counts: dict[str, int] = {}

    @property
    def status(self) -> str:
        """The status field."""
        return f"{'L' if self.locked else 'U'}{self.fill}{self.bits:X}"

    @property
    def reading(self) -> str:
        """The level, and its unit."""
        number = "----.-" if self.level is None else f"{self.level:06.1f}"
        return f"{number} {self.unit}"

    def answer(self, command: str) -> str | None:
        """Return what follows the status field; ``None`` for silence."""
        letters, _, value = command.partition("=")
        self.counts[letters] = self.counts.get(letters, 0) + 1
        answers = {
            "ID": f"ID {self.model} S/N 20831",
            "HL": f"HL {self.reading}",
            "TS": f"TS {self.temperature}",
            "PR": f"PR {self.pressure}",
            "SP": f"SP {self.stop:06.1f}",
            "MO": f"MO {self.mode}",
            "FN": f"FN {self.fills:05d}",
        }
        if command in answers:
            return answers[command]
        try:
            return self.set(letters, value, "=" in command)
        except Refused as reason:
            return f"?? {reason} {letters}"

    def set(self, letters: str, value: str, with_value: bool) -> str | None:
        """Obey a command that sets."""
        if letters not in ("KL", "SP", "MO", "BZ", "MS") or with_value == (letters == "MS"):
            raise Refused("1")
        if not self.locked and letters != "KL":
            raise Refused("3")
        return getattr(self, f"set_{letters.lower()}")(value)

    def set_kl(self, value: str) -> str:
        self.locked = _switch(value)
        return "KL"

    def set_sp(self, value: str) -> str:
        if not re.fullmatch(r"\d{1,3}\.\d", value):
            raise Refused("2")
        self.stop = min(float(value), self.probe)
        return f"SP {self.stop:06.1f}"

    def set_mo(self, value: str) -> str:
        if value not in ("H", "A", "M"):
            raise Refused("2")
        if value == "A" and self.fill == "F":
            raise Refused("4")
        self.mode = value
        return "MO"

    def set_bz(self, value: str) -> str | None:
        before, self.buzzer = self.buzzer, _switch(value)
        return None if before == self.buzzer else "BZ"

    def set_ms(self, value: str) -> str | None:
        before, self.measuring = self.measuring, True
        return None if before else "MS"


def _switch(value: str) -> bool:
    if value not in ("0", "1"):
        raise Refused("2")
    return value == "1"


class Simulator:
    """The instrument on a port, and its bad days."""

    def __init__(self, period_s: float, measure_s: float) -> None:
        self.nivar = Nivar()
        self.period_s = period_s
        self.measure_s = measure_s
        self.writers: set[asyncio.StreamWriter] = set()
        self.texts: dict[str, str] = {}
        self.silences: dict[str, int] = {}
        self.befores: set[str] = set()
        self.status = self.nivar.status

    async def instrument(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.writers.add(writer)
        try:
            while True:
                command = (await reader.readuntil(b"\r"))[:-1].decode("ascii", "replace")
                self.command(command, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def command(self, command: str, writer: asyncio.StreamWriter) -> None:
        """Obey one command, and answer it unless something is the matter."""
        was_measuring = self.nivar.measuring
        answer = self.nivar.answer(command)
        if self.nivar.measuring and not was_measuring:
            asyncio.get_running_loop().call_later(self.measure_s, self.measured)
        letters = command.partition("=")[0]
        if self.is_silent(letters):
            return
        if letters in self.befores:
            self.befores.discard(letters)
            self.unasked()
        if letters in self.texts:
            writer.write(self.texts.pop(letters).encode("latin-1") + END)
        elif answer is not None:
            writer.write(f"{self.nivar.status} {answer}".encode() + END)
        self.changed()

    def is_silent(self, letters: str) -> bool:
        for name in (letters, "*"):
            if self.silences.get(name, 0):
                self.silences[name] -= 1
                return True
        return False

    def measured(self) -> None:
        self.nivar.measuring = False

    def unasked(self) -> None:
        for writer in self.writers:
            writer.write(f">{self.nivar.status} {self.nivar.reading}".encode() + END)

    def changed(self) -> None:
        if self.nivar.status != self.status:
            self.status = self.nivar.status
            self.unasked()

    async def periodic(self) -> None:
        while True:
            await asyncio.sleep(self.period_s)
            self.unasked()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take orders."""
        while line := await reader.readline():
            order, _, rest = line.decode().rstrip("\r\n").partition(" ")
            try:
                answer = getattr(self, f"do_{order}")(*rest.split(" ", 1)) or "ok"
            except Exception as error:
                answer = f"error: {error!r}"
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()

    def do_show(self, _: str) -> str:
        return json.dumps(vars(self.nivar))

    def do_set(self, name: str, value: str) -> None:
        if name not in vars(self.nivar):
            raise KeyError(name)
        setattr(self.nivar, name, json.loads(value))
        self.changed()

    def do_instead(self, letters: str, text: str) -> None:
        self.texts[letters] = text

    def do_silent(self, letters: str, count: str) -> None:
        self.silences[letters] = int(count)

    def do_before(self, letters: str) -> None:
        self.befores.add(letters)

    def do_unasked(self, _: str) -> None:
        self.unasked()

    def do_drop(self, _: str) -> None:
        for writer in list(self.writers):
            writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--period", type=float, default=10.0)
    parser.add_argument("--measure", type=float, default=2.0)
    options = parser.parse_args()
    simulator = Simulator(options.period, options.measure)
    servers = [
        await asyncio.start_server(serve, "127.0.0.1", 0)
        for serve in (simulator.instrument, simulator.control)
    ]
    print("ready", *(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await simulator.periodic()


if __name__ == "__main__":
    asyncio.run(main())
