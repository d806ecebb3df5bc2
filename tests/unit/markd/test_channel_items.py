"""What an item of an instrument file says of a SET, where the device fails in the middle of it."""

from __future__ import annotations

from typing import Any

import pytest

import mktl
from drivers.channel import Channel
from markd.runner import ChannelItem
from mktl.errors import DeviceError, DeviceTimeout, LinkDown
from tests._support.daemons import client_of, serving

DESCRIPTION = {"type": "numeric", "settable": True}
NOTHING = "tc: the link is down since 10:00:00; nothing was sent"


class Half:
    """A device that fails when it is told to."""

    def __init__(self) -> None:
        self.value = 77.0
        self.fails_to_write: DeviceError | None = None
        self.fails_to_read: DeviceError | None = None

    def read(self) -> float:
        if self.fails_to_read is not None:
            raise self.fails_to_read
        return self.value

    def write(self, value: float) -> None:
        if self.fails_to_write is not None:
            raise self.fails_to_write
        self.value = value


def daemon_of(device: Half) -> type[mktl.Daemon]:
    channel = Channel("setpoint", DESCRIPTION, read=device.read, write=device.write)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            none: Any = None
            self.add_item(ChannelItem, "setpoint", none, channel, description=DESCRIPTION)

    return Daemon


@pytest.mark.parametrize("error", [LinkDown(NOTHING), DeviceTimeout("nothing came back")])
def test_what_was_set_and_cannot_be_read_back_is_not_taken_for_not_set(error):
    device = Half()
    with serving(daemon_class=daemon_of(device)) as daemon, client_of(daemon) as store:
        device.fails_to_read = error
        with pytest.raises(type(error), match="it was set, but could not be read back") as caught:
            store["setpoint"].set(80.0)
        assert "nothing was sent" not in str(caught.value)
        assert device.value == 80.0


def test_what_was_not_set_says_so():
    device = Half()
    with serving(daemon_class=daemon_of(device)) as daemon, client_of(daemon) as store:
        device.fails_to_write = LinkDown(NOTHING)
        with pytest.raises(LinkDown, match="nothing was sent"):
            store["setpoint"].set(80.0)
        device.fails_to_write = None
        store["setpoint"].set(80.0)
        assert store["setpoint"].get(refresh=True) == 80.0
