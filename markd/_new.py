"""``markd new``: an instrument file to begin with, for a driver that one chooses."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from drivers import wiring
from drivers._driver_file import is_driver_file
from drivers._trial import on_trial, takes
from drivers.base import ControllerBase
from drivers.catalog import DRIVERS, driver_class, known_drivers
from drivers.channel import Channel
from drivers.settings import USER_SETTINGS
from mktl.errors import ConfigurationError

from ._new_templates import MODBUS, TEXT

__all__ = ["run", "skeleton", "urls_of"]

_EXAMPLES = """\
examples:
  markd new                                   list the drivers
  markd new lakeshore336                      print a file to begin with
  markd new lakeshore336 cryostat.toml        write it (a file that is there is left alone)
  markd new julabo bath.toml --store lab --alias bath --url "serial:///dev/ttyS0"
"""
_USEFUL_S = 10.0
_WIDE = 44


def run(argv: Sequence[str]) -> str:
    """Carry out ``markd new``; return what there is to print.

    Raises:
        ConfigurationError: there is no such driver, or the file cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="markd new",
        description="Write an instrument file to begin with, all of it explained.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "driver", nargs="?", help="a driver's name, package.module:Class, or a driver file"
    )
    parser.add_argument("file", nargs="?", type=Path, help="where to write it (default: print it)")
    parser.add_argument("--store", default="lab", help="its store (default: lab)")
    parser.add_argument("--alias", help="its alias (default: after the driver)")
    parser.add_argument("--url", help="where the device is (default: an example)")
    options = parser.parse_args(argv)
    if options.driver is None:
        return _drivers_text()
    folder = Path() if options.file is None else options.file.parent
    text = skeleton(
        options.driver, store=options.store, alias=options.alias, url=options.url, folder=folder
    )
    if options.file is None:
        return text.rstrip("\n")
    _write(options.file, text)
    return f"{options.file} is written; next: markd {options.file} --check"


def skeleton(
    driver: str,
    *,
    store: str = "lab",
    alias: str | None = None,
    url: str | None = None,
    folder: Path | None = None,
) -> str:
    """Return an instrument file for *driver*, checked already.

    Args:
        driver: As an instrument file names it.
        store: Its store.
        alias: Its alias; by default the name of the driver.
        url: Where the device is; by default an example that the driver takes.
        folder: Where it will stand: driver files are relative to it.

    Raises:
        ConfigurationError: there is no such driver, or a name or the URL is not valid.
    """
    name = _name_for(driver)
    top = f"store = {_quoted(store)}\nalias = {_quoted(alias or name)}\n"
    template = {"text": TEXT, "modbus": MODBUS}.get(driver)
    if template is not None:
        text = template[0] + top + template[1]
        if url is not None:
            text = re.sub(r"^url = .*$", lambda _: f"url = {_quoted(url)}", text, flags=re.M)
    else:
        text = _of_driver(driver, name, top, url, folder)
    wiring.loads(text, source=f"a file for {driver}", folder=folder)
    return text


def urls_of(driver: type[ControllerBase]) -> list[str]:
    """Return examples of the URLs that *driver* takes, the most usual first."""
    if driver.url_examples:
        return list(driver.url_examples)
    port = driver.port_defaults.tcp_port or 4001
    serial = driver.port_defaults.serial
    line = f"baud={serial.baud}&bits={serial.bits}&parity={serial.parity}&stop={serial.stop:g}"
    network = [f"tcp://192.168.1.10:{port}"]
    wire = [f"serial:///dev/ttyUSB0?{line}"]
    forms = network + wire if driver.port_defaults.tcp_port else wire + network
    forms += [
        f"rfc2217://192.168.1.10:4001?{line}",
        "visa://TCPIP::192.168.1.10::INSTR",
        f"modbus+rtu:///dev/ttyUSB0?baud={serial.baud}&parity={serial.parity}",
        "modbus+rtu+tcp://192.168.1.10:4001",
        "modbus+tcp://192.168.1.10:502",
    ]
    query = [f"{form}{'&' if '?' in form else '?'}unit=1" for form in forms]
    forms = query if driver.multi_drop else forms
    with on_trial():
        return [form for form in forms if takes(driver, form)]


def _of_driver(driver: str, name: str, top: str, url: str | None, folder: Path | None) -> str:
    if is_driver_file(driver):
        where = url or "tcp://192.168.1.10:4001"
        forms = [where]
    else:
        forms = urls_of(driver_class(driver))
        if not forms and url is None:
            raise ConfigurationError(f"driver {driver!r} takes none of the usual URLs: give --url")
        where = url or forms[0]
    head = f"{top}\n[controllers.{name}]\ndriver = {_quoted(driver)}\nurl = {_quoted(where)}\n"
    head += "".join(f"# url = {_quoted(form)}\n" for form in forms if form != where)
    if not is_driver_file(driver):
        examples = driver_class(driver).setting_examples
        head += "".join(f"{field} = {example}\n" for field, example in examples.items())
    note = '[items.note]\ntype = "string"\n'
    spec = wiring.loads(f"{head}{note}", source=f"a file for {driver}", folder=folder).controllers[
        name
    ]
    with on_trial() as stack:
        controller = driver_class(spec.generic)(spec.url, **spec.settings)
        stack.callback(controller.close)
        channels = [
            *controller.channels(),
            *(controller.channel_for(path, _kept(controller, table))
              for path, table in spec.channels.items()),
        ]  # fmt: skip
        return "".join(
            (
                f"# {_summary(type(controller))}\n#\n"
                "# What is commented out is possible too; the settings are shown as they are.\n\n",
                head,
                *_settings(controller),
                "\n",
                *_items(name, channels),
            )
        )


def _kept(controller: ControllerBase, table: Any) -> dict[str, Any]:
    from drivers._wiring_items import DESCRIPTION_KEYS

    return {key: table[key] for key in table if key in (*controller.item_keys, *DESCRIPTION_KEYS)}


def _settings(controller: ControllerBase) -> Iterator[str]:
    for field in USER_SETTINGS:
        yield f"# {field} = {getattr(controller.settings, field):g}\n"


def _items(name: str, channels: Iterable[Channel]) -> Iterator[str]:
    """Write an item for each channel; of each group, the most useful one is not commented out."""
    groups: dict[str, list[Channel]] = {}
    for channel in channels:
        groups.setdefault(channel.path.partition(".")[0], []).append(channel)
    keys: set[str] = set()
    for group in groups.values():
        active = next((channel for channel in group if _is_useful(channel)), None)
        for channel in group:
            key = re.sub(r"[^a-z0-9_]", "_", channel.path.lower())
            key = key if key not in keys else f"{key}_{len(keys)}"
            keys.add(key)
            mark = "" if channel is active else "# "
            line = f"channel = {_quoted(f'{name}.{channel.path}')}"
            about = _about(channel)
            yield f"{mark}[items.{key}]\n"
            yield f"{mark}{line.ljust(_WIDE - len(mark))}{f'  # {about}' if about else ''}\n"
            if channel is active and channel.poll_s:
                yield f"# poll_s = {channel.poll_s:g}\n"
        yield "\n"


def _is_useful(channel: Channel) -> bool:
    read_often = channel.poll_s is not None and channel.poll_s <= _USEFUL_S
    return channel.listen is not None or (channel.read is not None and read_often)


def _about(channel: Channel) -> str:
    item = channel.item
    units = item.get("units", "")
    parts = [str(item.get("description", "")), units if isinstance(units, str) else units.get("")]
    if item.get("range"):
        low, high = item["range"]
        parts.append(f"{low} to {high}")
    parts.append("can be set" if channel.write is not None else "")
    return "; ".join(part.rstrip(".").replace("\n", " ") for part in parts if part)


def _summary(driver: type[ControllerBase]) -> str:
    """Return the first line that the module of *driver*, or the class, says of itself."""
    said = sys.modules[driver.__module__].__doc__ or driver.__doc__ or driver.driver_name
    return said.strip().partition("\n")[0].replace("`", "").rstrip(".")


def _drivers_text() -> str:
    names = dict.fromkeys((*DRIVERS, *sorted(known_drivers())))
    width = max(map(len, names))
    return "\n".join(f"{name.ljust(width)}  {_one_line(name)}" for name in names)


def _one_line(name: str) -> str:
    try:
        return _summary(driver_class(name))
    except ConfigurationError as error:
        return f"({error})"


def _name_for(driver: str) -> str:
    word = Path(driver).stem if is_driver_file(driver) else driver.rpartition(":")[2]
    return re.sub(r"[^a-z0-9_]", "_", word.lower()) or "device"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write(text)
    except FileExistsError:
        raise ConfigurationError(f"{file} is there already, and was left alone") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error
