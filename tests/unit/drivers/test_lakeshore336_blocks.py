"""All temperatures of a Lake Shore 336 in one message, and what is planned for which items."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import simulators
from drivers.lakeshore336 import LakeShore336
from mktl.errors import InvalidReading, ProtocolMismatch
from tests.unit.drivers.fakes import FakeDevice, device

ALL = "KRDG? 0;RDGST? A;RDGST? B;RDGST? C;RDGST? D;*ESR?"
GOOD = "+77.350,+30.100,+0.0000,+4.2000;000;000;033;000;000"


class Answers:
    """What a message is answered with."""

    def __init__(self) -> None:
        self.all = GOOD

    def __call__(self, message: str) -> bytes | None:
        if "*IDN?" in message:
            return b"LSCI,MODEL336,LSA1234/#######,2.9;000\r\n"
        if message == ALL:
            return f"{self.all}\r\n".encode()
        return b"+77.350;000;000\r\n"


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def fake(answers) -> Iterator[FakeDevice]:
    with device(answers) as made:
        yield made


@pytest.fixture
def tc(fake) -> Iterator[LakeShore336]:
    with LakeShore336.open(fake.url, name="tc", retry_first_s=0.05) as controller:
        yield controller


def paths(*names: str, tc: LakeShore336) -> list:
    return [tc.channel(name) for name in names]


def test_temperatures_and_their_status_are_read_with_one_message(tc, fake):
    wanted = paths("temperature.A", "status.C", "temperature.D", "status.A", tc=tc)
    (block,) = tc.plan_reads(wanted)
    assert block.channels == tuple(wanted)
    assert block.read() == [77.35, 33, 4.2, 0]
    assert fake.received[1:] == [ALL]
    assert block.sent_bytes == len(ALL) + 1
    assert block.received_bytes == len(GOOD) + 2


def test_an_input_that_is_not_valid_is_an_error_of_its_own_channel_alone(tc):
    (block,) = tc.plan_reads(paths("temperature.B", "temperature.C", tc=tc))
    good, bad = block.read()
    assert good == 30.1
    assert isinstance(bad, InvalidReading)
    with pytest.raises(InvalidReading, match=r"tc at .*input C is not valid: Invalid reading"):
        raise bad


def test_one_temperature_alone_is_asked_for_alone(tc, fake):
    (block,) = tc.plan_reads(paths("temperature.A", "temperature.A", tc=tc)[:1])
    assert list(block.read()) == [77.35]
    assert fake.received[1:] == ["KRDG? A;RDGST? A;*ESR?"]


def test_what_belongs_to_no_block_is_read_by_itself(tc):
    wanted = paths("temperature.A", "setpoint.1", "temperature.B", tc=tc)
    planned = tc.plan_reads(wanted)
    assert [len(one.channels) for one in planned] == [2, 1]
    assert planned[1].channels == (wanted[1],)


@pytest.mark.parametrize(
    "reply",
    [
        "+77.350,+30.100,+0.0000;000;000;033;000;000",
        "+77.350,+30.100,+0.0000,+4.2000,+1.0;000;000;033;000;000",
        "+77.350,+30.100,+0.0000,+4.2000;000;000;033;000",
        "+77.350,+30.100,+0.0000,+4.2000;000;000;033;000;000;000",
        "+77.350,+30.100,,+4.2000;000;000;033;000;000",
        "+77.350,30.100,+0.0000,+4.2000;000;000;033;000;000",
        "+77.350,+30.100,+0.0000,+4.2000;000;000;333;000;000",
        "+77.350;000;000;033;000;000",
    ],
)
def test_a_reply_that_cannot_be_is_a_value_of_nobody(tc, answers, reply):
    answers.all = reply
    (block,) = tc.plan_reads(paths("temperature.A", "temperature.B", tc=tc))
    with pytest.raises(ProtocolMismatch, match="KRDG"):
        block.read()
    answers.all = GOOD
    assert block.read() == [77.35, 30.1]


def test_every_channel_says_how_long_its_messages_are(tc):
    for channel in tc.channels():
        assert channel.sent_bytes, channel.path
        assert channel.received_bytes, channel.path
    assert tc.channel("temperature.A").sent_bytes == len("KRDG? A;RDGST? A;*ESR?\n")
    assert tc.channel("temperature.A").received_bytes == len("+77.350;000;000\r\n")


def test_the_twin_gives_in_one_message_what_it_gives_in_four():
    twin = simulators.start_twin("lakeshore336", time_factor=0.0)
    try:
        twin.set(sensor_a_noise_k=0, sensor_b_noise_k=0, sensor_b_status=32)
        with LakeShore336.open(twin.url) as tc:
            both = tc.all_temperatures_k()
            assert both["A"] == (tc.temperature_k("A"), 0)
            assert isinstance(both["B"][0], InvalidReading)
            assert both["B"][1] == 32
    finally:
        twin.close()
