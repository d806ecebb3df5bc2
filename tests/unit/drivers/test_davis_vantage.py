"""The Davis driver against a console of a few lines, written from the sheet, on real ports."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from drivers._davis_quantities import QUANTITIES
from drivers.davis_vantage import DavisVantage
from drivers.settings import LineSettings
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.davis_fakes import (
    DASHES,
    Console,
    QuickVantage,
    console,
    opened,
    packet,
)
from tests.unit.drivers.pages import names_in_table


@pytest.fixture(params=["tcp", "pty"])
def device(request) -> Iterator[Console]:
    with console(request.param) as made:
        yield made


@pytest.fixture
def net() -> Iterator[Console]:
    with console() as made:
        yield made


def heard(station: DavisVantage, *paths: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {path: [] for path in paths}
    for path in paths:
        station.listen(path, found[path].append)
    return found


# --- what packets say -----------------------------------------------------------------------------


def test_a_packet_is_given_in_our_units(device):
    device.memory[0x2B] = 1 << 4
    with opened(device) as station:
        assert station.outside_temperature_c() == pytest.approx(10.0)
        assert station.inside_temperature_c() == pytest.approx(21.111, abs=0.001)
        assert station.outside_humidity_percent() == 80
        assert station.inside_humidity_percent() == 40
        assert station.pressure_hpa() == pytest.approx(1013.24, abs=0.01)
        assert station.wind_speed_m_s() == pytest.approx(4.4704)
        assert station.wind_average_m_s() == pytest.approx(8.9408)
        assert station.wind_direction_deg() == 270
        assert station.rain_rate_mm_h() == 2
        assert station.rain_today_mm() == 20
        assert station.solar_w_m2() == 812
        assert station.uv_index() == 3.5
        assert station.console_battery_v() == pytest.approx(4.676, abs=0.001)
        for path, value in {
            "pressure.trend": 3,
            "rain.storm": 1,
            "rain.month": 40,
            "rain.year": 60,
            "rain.storm.begun": "2026-05-17",
            "evapotranspiration.today": pytest.approx(2.54),
            "evapotranspiration.month": pytest.approx(25.4),
            "evapotranspiration.year": pytest.approx(50.8),
            "forecast": 0b1010,
            "forecast.rule": 45,
            "sunrise": pytest.approx(6.2),
            "sunset": pytest.approx(19 + 47 / 60),
        }.items():
            assert station.value(path) == value, path


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"outside_t": -400}, {"temperature.outside": -40.0}),
        ({"extra_t": bytes((90, 122, 0, 50, 60, 70, 80))},
         {"temperature.extra.1": -160 / 9, "temperature.extra.2": 0.0}),
        ({"soil_t": bytes((255, 140, 255, 255))}, {"temperature.soil.2": 10.0}),
        ({"leaf_t": bytes((255, 255, 255, 158))}, {"temperature.leaf.4": 20.0}),
        ({"extra_rh": bytes((0, 100, 50, 1, 2, 3, 4))},
         {"humidity.extra.1": 0.0, "humidity.extra.2": 100.0, "humidity.extra.7": 4.0}),
        ({"moisture": bytes((200, 0, 255, 255))},
         {"moisture.soil.1": 200.0, "moisture.soil.2": 0.0}),
        ({"wetness": bytes((15, 0, 255, 255))}, {"wetness.leaf.1": 15.0, "wetness.leaf.2": 0.0}),
        ({"trend": -60}, {"pressure.trend": 0}),
        ({"trend": 0}, {"pressure.trend": 2}),
        ({"direction": 360}, {"wind.direction": 360.0}),
        ({"wind": 0}, {"wind.speed": 0.0}),
        ({"tx_battery": 0b10000001}, {"battery.transmitters": 0b10000001}),
        ({"alarms": bytes((1, 2, 4, 8, 0b1101, 0, 0, 0, 0, 0, 0, 3, 128, 0, 0, 1))},
         {"alarm.inside": 1, "alarm.rain": 2, "alarm.outside": 4 | 8 << 8 | 3 << 16,
          "alarm.extra.7": 3, "alarm.soil.1": 128, "alarm.soil.4": 1}),
        ({"storm_date": 0xFFFF}, {"rain.storm.begun": ""}),
        ({"sunrise": 0}, {"sunrise": 0.0}),
    ],
)  # fmt: skip
def test_every_field_stands_where_the_sheet_has_it(net, changes, values):
    net.packets = itertools.repeat(packet(**changes))
    with opened(net) as station:
        for path, value in values.items():
            assert station.value(path) == pytest.approx(value), path


def test_dashes_are_never_numbers(net):
    net.packets = itertools.repeat(packet(**DASHES))
    without = {
        one.path for one in QUANTITIES
        if one.path not in ("pressure.trend", "forecast", "forecast.rule", "rain.storm.begun")
        and not one.path.startswith(("alarm", "battery"))
    }  # fmt: skip
    with opened(net) as station:
        for path in sorted(without):
            with pytest.raises(InvalidReading, match=f"ws at .*{path}: "):
                station.value(path)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"outside_t": 0x7FFF}, "temperature.outside", "dashes"),
        ({"barometer": 0}, "pressure", "dashes"),
        ({"solar": 0x7FFF}, "solar", "dashes"),
        ({"direction": 0}, "wind.direction", "dashes"),
        ({"trend": 80}, "pressure.trend", "revision A"),
        ({"trend": 7}, "pressure.trend", "three hours"),
        ({"sunset": 0x7FFF}, "sunset", "where it is"),
        ({"outside_t": 3000}, "temperature.outside", "148.889 is not plausible"),
        ({"outside_rh": 101}, "humidity.outside", "101 is not plausible"),
        ({"barometer": 15000}, "pressure", "not plausible"),
        ({"direction": 400}, "wind.direction", "400 is not plausible"),
        ({"sunrise": 2460}, "sunrise", "2460 is no time"),
        ({"storm_date": 0}, "rain.storm.begun", "no date"),
        ({"console_battery": 0}, "battery.console", "not plausible"),
    ],
)
def test_what_is_no_value_says_why_and_the_other_values_stay(net, changes, path, words):
    net.packets = itertools.repeat(packet(**changes))
    with opened(net) as station:
        with pytest.raises(InvalidReading, match=words):
            station.value(path)
        assert station.value("humidity.inside") == 40


@pytest.mark.parametrize(("bits", "mm"), [(0b00, 0.254), (0b01, 0.2), (0b10, 0.1)])
def test_clicks_of_the_bucket_are_what_the_setup_says(net, bits, mm):
    net.memory[0x2B] = 0b11001111 | bits << 4
    with opened(net) as station:
        assert station.rain_click_mm() == mm
        assert station.rain_today_mm() == pytest.approx(100 * mm)


@pytest.mark.parametrize("unknown", [b"\x21", None])
def test_without_a_known_bucket_there_is_no_rain(net, unknown):
    net.memory[0x2B] = 0b00110000
    if unknown:
        net.answers[b"EEBRD"] = unknown
    with opened(net) as station:
        with pytest.raises(InvalidReading, match="click of its rain bucket"):
            station.rain_today_mm()
        with pytest.raises(InvalidReading, match="rain bucket that is not known"):
            station.rain_click_mm()
        assert station.outside_temperature_c() == pytest.approx(10)


def test_a_bucket_that_is_changed_is_noticed_when_the_stream_begins_anew(net):
    with opened(net) as station:
        assert station.rain_today_mm() == pytest.approx(25.4)
        net.memory[0x2B] = 1 << 4
        station.firmware()
        wait_until(lambda: station.rain_today_mm() == 20)


# --- the stream -----------------------------------------------------------------------------------


def test_a_question_ends_the_stream_and_it_begins_anew(device):
    with opened(device) as station:
        temperatures = heard(station, "temperature.outside")["temperature.outside"]
        for _n in range(3):
            before = len(temperatures)
            wait_until(lambda before=before: len(temperatures) > before + 2)
            assert station.firmware() == "1.90"
        wait_until(lambda: device.streams)
        assert device.cancelled == 3
        assert device.told(b"LOOP 200") == 4
        assert station.damage.count == 0
        assert station.status().errors == 0


def test_several_questions_in_one_turn_end_the_stream_once(net):
    with opened(net) as station:
        wait_until(lambda: net.streams)
        with station.turn():
            assert station.station() == "Vantage Pro or Pro2"
            assert station.firmware_date() == "Sep 29 2009"
            assert station.console_time() == datetime(2026, 1, 2, 3, 4, 5)
        wait_until(lambda: net.streams)
        assert (net.cancelled, net.told(b"LOOP 200")) == (1, 2)


def test_a_stream_that_is_at_its_end_begins_anew(device):
    class Few(QuickVantage):
        packets_at_once = 5

    device.period_s = 0.005
    with opened(device, Few) as station:
        temperatures = heard(station, "temperature.outside")["temperature.outside"]
        wait_until(lambda: device.told(b"LOOP 5") >= 4)
        wait_until(lambda: len(temperatures) >= 15)
        assert station.status().errors == 0
        assert not [value for value in temperatures if isinstance(value, Exception)]


def test_a_stream_that_dries_up_is_no_value_and_begins_anew(net):
    with opened(net, silence_s=3) as station:
        temperatures = heard(station, "temperature.outside")["temperature.outside"]
        wait_until(lambda: temperatures)
        net.answers[b"LOOP"] = b"\x06"
        net.fall_asleep()
        wait_until(lambda: isinstance(temperatures[-1], InvalidReading))
        assert "no whole packet came for 3 s" in str(temperatures[-1])
        with pytest.raises(DeviceTimeout, match=r"no whole packet came for \d"):
            station.outside_temperature_c()
        assert net.told(b"LOOP 200") > 2
        del net.answers[b"LOOP"]
        wait_until(lambda: temperatures[-1] == pytest.approx(10))
        assert station.outside_temperature_c() == pytest.approx(10)


def test_packets_that_are_damaged_are_no_sign_of_life(net):
    net.packets = itertools.repeat(packet()[:-1] + b"x")
    with opened(net, silence_s=3) as station:
        humidities = heard(station, "humidity.inside")["humidity.inside"]
        wait_until(lambda: net.told(b"LOOP 200") > 2)
        wait_until(lambda: humidities)
        assert isinstance(humidities[0], InvalidReading)
        assert "came damaged" in str(humidities[0])
        assert station.damage.last.startswith(b"LOO")
        net.packets = itertools.repeat(packet())
        wait_until(lambda: humidities[-1] == 40)


@pytest.mark.parametrize("answer", [b"\x21", b"\x15", b"?", None])
def test_a_console_that_does_not_stream_is_no_link(net, answer):
    net.answers[b"LOOP"] = answer
    with opened(net, up=False) as station:
        wait_until(lambda: "does not begin to speak by itself" in station.status().error)
        del net.answers[b"LOOP"]
        wait_until(lambda: net.streams)
        assert station.outside_temperature_c() == pytest.approx(10)


def test_what_was_heard_before_the_link_was_lost_is_not_given_after_it(net):
    with opened(net) as station:
        assert station.outside_temperature_c() == pytest.approx(10)
        net.packets = itertools.repeat(packet(outside_t=320))
        net.server.hang_up()
        wait_until(lambda: station.status().state == "Up" and net.server.connections > 1)
        wait_until(lambda: station.outside_temperature_c() == 0)


# --- sleep ----------------------------------------------------------------------------------------


def test_a_console_that_sleeps_is_woken(device):
    device.deaf_for = 2
    with opened(device) as station:
        assert station.outside_temperature_c() == pytest.approx(10)
        device.deaf_for = 2
        assert station.firmware() == "1.90"
        assert station.status().errors == 0


def test_a_console_that_does_not_wake_up_is_named_as_such(net):
    net.deaf_for = 1000
    with opened(net, up=False) as station:
        wait_until(lambda: station.status().state == "Down")
        error = station.status().error
        assert r"does not wake up: b'\n' was sent 3 times, and nothing came back" in error
        with pytest.raises(LinkDown, match="does not wake up"):
            station.outside_temperature_c()
        net.deaf_for = 0
        station.wait_until_up(timeout_s=30)
        assert station.outside_temperature_c() == pytest.approx(10)


def test_a_console_that_falls_silent_is_lost_and_found_again(net):
    with opened(net) as station:
        temperatures = heard(station, "temperature.outside")["temperature.outside"]
        wait_until(lambda: temperatures)
        net.deaf_for = 1000
        net.fall_asleep()
        wait_until(lambda: station.status().state == "Down")
        assert "nothing was said for 0.4 s" in station.status().error
        net.deaf_for = 0
        wait_until(lambda: station.status().state == "Up")
        count = len(temperatures)
        wait_until(lambda: len(temperatures) > count)


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        packet(outside_t=900)[:30] + b"\x99" + packet(outside_t=900)[31:],
        packet(outside_t=900)[1:],
        packet(outside_t=900)[:98],
        packet(outside_t=900)[:50] * 2,
        packet(outside_t=900, type=1),
        packet(outside_t=3000),
        packet(outside_t=900, inside_rh=180),
        b"LOO",
        b"LOOLOO",
        b"\x00" * 200,
    ],
)
def test_of_a_damaged_packet_no_number_is_told_and_the_next_one_is_heard(device, wrong):
    device.packets = itertools.cycle([packet(), wrong, packet(outside_t=320)])
    with opened(device) as station:
        temperatures = heard(station, "temperature.outside")["temperature.outside"]
        wait_until(lambda: len(temperatures) > 9)
        assert {round(value, 6) for value in temperatures} == {10, 0}
        assert station.damage.count > 3
        assert device.told(b"LOOP 200") == 1
        assert station.channel("packets.damaged").read() == station.damage.count


def test_a_sensor_that_says_nonsense_all_the_time_takes_only_its_own_value(net):
    net.packets = itertools.repeat(packet(inside_rh=180))
    with opened(net) as station:
        assert station.outside_temperature_c() == pytest.approx(10)
        with pytest.raises(InvalidReading, match="180 is not plausible"):
            station.inside_humidity_percent()
        assert station.damage.count == 1


FIELDS = ("rain.year", "temperature.outside", "pressure", "humidity.outside", "wind.speed", "solar")


def weather_of(count: int) -> list[bytes]:
    """Return packets in which each value follows from the number of the packet."""
    return [
        packet(
            rain_year=n,
            outside_t=n * 7 % 900,
            barometer=29000 + n * 3 % 1900,
            outside_rh=n * 11 % 100,
            wind=n % 90,
            solar=n * 13 % 1200,
        )
        for n in range(count)
    ]


def true_values(n: int) -> tuple[float, ...]:
    return (
        n / 5,
        (n * 7 % 900 - 320) / 18,
        (29000 + n * 3 % 1900) * 0.0338638866667,
        n * 11 % 100,
        n % 90 * 0.44704,
        n * 13 % 1200,
    )


def test_a_stream_with_a_byte_in_a_thousand_corrupted_gives_no_corrupted_number(net):
    count = 14400  # those of eight hours
    chance = random.Random(20260731)
    sent = b"".join(weather_of(count))
    stream = bytearray(sent)
    places = {chance.randrange(len(stream)) for _ in range(len(stream) // 1000)}
    for place in places:
        stream[place] ^= chance.randrange(1, 256)
    whole = [n for n in range(count) if stream[n * 99 : n * 99 + 99] == sent[n * 99 : n * 99 + 99]]
    assert count * 0.88 < len(whole) < count * 0.93

    class AllDay(QuickVantage):
        packets_at_once = 65000

    net.memory[0x2B] = 1 << 4
    net.period_s = 0
    net.packets = (bytes(stream[at : at + 1000]) for at in range(0, len(stream), 1000))
    with opened(net, AllDay, up=False, idle_probe_s=30) as station:
        told = heard(station, *FIELDS)
        station.wait_until_up()
        wait_until(lambda: len(told["solar"]) >= len(whole), 50)
        numbers = [round(value * 5) for value in told["rain.year"]]
        assert numbers == whole
        for index, n in enumerate(numbers):
            values = tuple(told[field][index] for field in FIELDS)
            assert all(map(math.isclose, values, true_values(n))), n
        assert net.told(b"LOOP 65000") == 1
        assert station.damage.count > 1000


# --- what is asked --------------------------------------------------------------------------------


def test_the_clock_is_read_and_set(device):
    with opened(device) as station:
        assert station.console_time() == datetime(2026, 1, 2, 3, 4, 5)
        station.set_console_time(datetime(2031, 12, 30, 23, 58, 59))
        assert device.clock == bytes((59, 58, 23, 30, 12, 131))
        clock = station.channel("clock")
        assert clock.read() == "2031-12-30 23:58:59"
        clock.write("2026-02-03 04:05:06")
        assert station.console_time() == datetime(2026, 2, 3, 4, 5, 6)
        offset = station.channel("clock.offset")
        offset.write(0)
        assert abs(offset.read()) <= 1.1
        offset.write(3600)
        assert abs(offset.read() - 3600) <= 1.1


@pytest.mark.parametrize("answer", [b"\x18", b"\x21"])
def test_a_clock_that_is_not_taken_is_refused_in_words(net, answer):
    net.answers[b"the time"] = answer
    with opened(net) as station, pytest.raises(DeviceRefused, match="was refused"):
        station.set_console_time(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clock", "yesterday"),
        ("clock", "1999-12-31 23:59:59"),
        ("clock.offset", float("nan")),
        ("clock.offset", 1e6),
        ("clock.offset", True),
    ],
)
def test_a_time_that_the_console_cannot_have_is_refused_before_anything_is_sent(net, path, value):
    with opened(net) as station:
        wait_until(lambda: net.streams)
        with pytest.raises(BadValue):
            station.channel(path).write(value)
        assert net.told(b"SETTIME") == 0
        assert net.cancelled == 0


def test_a_time_with_a_zone_is_refused(net):
    from datetime import UTC

    with opened(net) as station, pytest.raises(BadValue, match="without a time zone"):
        station.set_console_time(datetime(2026, 1, 1, tzinfo=UTC))


def test_the_memory_of_settings_is_read(net):
    net.memory[0x0F:0x11] = (7000).to_bytes(2, "little")
    net.memory[0x2C], net.memory[0x2D] = 10, 30
    with opened(net) as station:
        assert station.altitude_m() == pytest.approx(2133.6)
        assert station.rain_year_month() == 10
        assert station.archive_period_min() == 30
        assert station.eeprom(0x2C, 2) == bytes((10, 30))
        net.memory[0x0F:0x11] = (-100).to_bytes(2, "little", signed=True)
        assert station.altitude_m() == pytest.approx(-30.5)
        for address, count in ((-1, 1), (0, 0), (256, 1), (255, 2), (True, 1), (1, 1.5)):
            with pytest.raises(BadValue):
                station.eeprom(address, count)


@pytest.mark.parametrize(
    ("command", "answer", "error", "words"),
    [
        (b"NVER", b"\x21", DeviceRefused, r"b'NVER\\n' was refused: b'!' came back: it does not"),
        (b"NVER", b"\x15", DeviceRefused, "does not know that, or did not understand"),
        (b"NVER", None, DeviceTimeout, "no complete answer"),
        (b"NVER", b"\n\rNO\n\r1.9\n\r", ProtocolMismatch, "OK and a text are due"),
        (b"NVER", b"\n\rOK\n\r\xb0\n\r", ProtocolMismatch, "put back in step"),
        (b"NVER", b"\n\rOK", DeviceTimeout, "came back"),
        (b"NVER", b"gibberish", ProtocolMismatch, "no text"),
        (b"NVER", b"\n\rOK\n\r1.9\n\rand more", ProtocolMismatch, "and then b'and more"),
    ],
)
def test_a_bad_answer_is_an_error_and_the_next_one_is_right(net, command, answer, error, words):
    with opened(net) as station:
        wait_until(lambda: net.streams)
        net.answers[command] = answer
        with pytest.raises(error, match=words):
            station.firmware()
        del net.answers[command]
        assert station.firmware() == "1.90"
        wait_until(lambda: net.streams)


@pytest.mark.parametrize(
    "data", [bytes(8), b"\x00" * 6 + b"\x12\x34", b"\x05\x04\x03\x02\x01\x7e\0\0"]
)
def test_a_time_that_was_damaged_on_its_way_is_none(net, data):
    with opened(net) as station:
        wait_until(lambda: net.streams)
        net.answers[b"GETTIME"] = b"\x06" + data
        with pytest.raises(ProtocolMismatch):
            station.console_time()


def test_a_late_answer_is_not_taken_for_the_next_one(net):
    with opened(net) as station:
        wait_until(lambda: net.streams)
        net.answers[b"NVER"] = None
        with pytest.raises(DeviceTimeout):
            station.firmware()
        net.say(b"\n\rOK\n\r9.99\n\r")

        def date() -> str | None:
            # Where it comes while the line finds out who is there, the link is made anew first.
            with contextlib.suppress(LinkDown):
                return station.firmware_date()

        assert wait_until(date) == "Sep 29 2009"


def test_another_station_is_the_wrong_device(net):
    net.station = 5
    with opened(net, up=False) as station:
        wait_until(lambda: station.status().state == "Wrong device")
        assert r"b'\x06\x05' answered" in station.status().error


def test_raw_sends_what_has_a_known_answer(net):
    net.memory[0x2B] = 0xAB
    with opened(net) as station:
        assert station.raw("NVER") == "OK 1.90"
        assert station.raw("test") == "TEST"
        assert station.raw("EEBRD 2B 01") == "ab"
        assert station.raw("GETTIME") == "05 04 03 02 01 7e"
        assert station.raw("WRD") == "10"
        for text in ("", "LOOP 5", "CLRLOG", "EEBRD 2B 00", "VER\nTEST"):
            with pytest.raises(BadValue, match="only TEST, VER"):
                station.raw(text)


def test_closing_ends_everything(net):
    with opened(net) as station:
        heard(station, "pressure")
        station.outside_temperature_c()
    with pytest.raises((LinkDown, DeviceLost)):
        station.outside_temperature_c()


# --- settings, channels, documentation ------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 2.9, -1, float("nan"), True, "10"])
def test_a_silence_in_which_no_packet_could_come_is_refused(value):
    with pytest.raises(ConfigurationError, match="silence_s"):
        DavisVantage("tcp://127.0.0.1", silence_s=value)


def test_the_ports_are_those_of_the_sheet():
    assert DavisVantage("tcp://127.0.0.1").place == "tcp://127.0.0.1:22222"
    assert "baud=19200&bits=8&parity=none&stop=1" in DavisVantage("serial:///dev/null").label
    settings: LineSettings = DavisVantage.line_defaults
    assert settings.wake is not None
    assert (settings.wake.say, settings.wake.within_s, settings.wake.tries) == (b"\n", 1.2, 3)


def test_a_channel_that_packets_have_no_value_for_does_not_exist(net):
    with opened(net) as station, pytest.raises(BadValue, match="no 'temperature'"):
        station.value("temperature")


def test_every_channel_reads_and_is_described(net):
    net.memory[0x2C], net.memory[0x2D] = 1, 5
    full = {name: 50 for name in ("barometer", "uv") if name not in DASHES}
    net.packets = itertools.repeat(
        packet(
            **full,
            extra_t=bytes([130] * 7), soil_t=bytes([130] * 4), leaf_t=bytes([130] * 4),
            extra_rh=bytes([50] * 7), moisture=bytes([10] * 4), wetness=bytes([3] * 4),
        )
    )  # fmt: skip
    with opened(net) as station:
        for channel in station.channels():
            assert channel.read is not None
            value = channel.read()
            kind = channel.item["type"]
            assert isinstance(value, str if kind == "string" else int | float), channel.path
            assert channel.item["description"]


def test_the_page_lists_the_channels():
    station = DavisVantage("tcp://127.0.0.1")
    listed = names_in_table("davis_vantage.md", "Channels", r"[\w.]+")

    def shape(path: str) -> str:
        return ".".join("1" if part.isdigit() else part for part in path.split("."))

    assert listed == {shape(channel.path) for channel in station.channels()}
    station.close()
