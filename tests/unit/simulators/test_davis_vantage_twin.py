"""The command table, the packets and the section "Bad input" of the sheet; sleep and streams."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._davis_framer import ConsoleFramer
from simulators.davis_vantage import DavisVantage

ACK, NAK, BAD_CRC, AWAKE = b"\x06", b"\x21", b"\x18", b"\n\r"


class Console:
    """The model, and the bytes that go in and come out."""

    def __init__(self) -> None:
        self.model = DavisVantage(seed=1)
        self.framer = self.model.framer()
        self.set(steady=1)

    def send(self, data: bytes) -> bytes:
        return b"".join(self.model.answer(each) for each in self.framer.feed(data))

    def set(self, **values: float) -> None:
        for name, value in values.items():
            write = self.model.quantities()[name].write
            assert write is not None
            write(value)
        self.model.step(0.0)

    def get(self, name: str) -> float:
        return self.model.quantities()[name].read()

    def packet(self) -> dict[str, Any]:
        """Wake it up and ask for one packet."""
        assert self.send(b"\n\n").endswith(AWAKE)
        assert self.send(b"LOOP 1\n") == ACK
        self.model.step(2)
        [packet] = self.model.take_unasked()
        return fields_of(packet)


@pytest.fixture
def console() -> Console:
    return Console()


def with_crc(data: bytes) -> bytes:
    return data + crc_hqx(data, 0).to_bytes(2, "big")


def unpacked(layout: str, packet: bytes, at: int) -> Any:
    [value] = struct.unpack_from(f"<{layout}", packet, at)
    return value


FIELDS = {
    "trend": ("b", 3),
    "type": ("B", 4),
    "next_record": ("H", 5),
    "barometer": ("H", 7),
    "inside": ("h", 9),
    "inside_rh": ("B", 11),
    "outside": ("h", 12),
    "wind": ("B", 14),
    "wind_10_min": ("B", 15),
    "direction": ("H", 16),
    "extra": ("7s", 18),
    "soil": ("4s", 25),
    "leaf": ("4s", 29),
    "outside_rh": ("B", 33),
    "extra_rh": ("7s", 34),
    "rain_rate": ("H", 41),
    "uv": ("B", 43),
    "solar": ("H", 44),
    "storm": ("H", 46),
    "storm_date": ("H", 48),
    "rain_day": ("H", 50),
    "rain_month": ("H", 52),
    "rain_year": ("H", 54),
    "et_day": ("H", 56),
    "et_month": ("H", 58),
    "et_year": ("H", 60),
    "soil_moisture": ("4s", 62),
    "leaf_wetness": ("4s", 66),
    "alarms": ("16s", 70),
    "tx_battery": ("B", 86),
    "battery": ("H", 87),
    "icon": ("B", 89),
    "rule": ("B", 90),
    "sunrise": ("H", 91),
    "sunset": ("H", 93),
}


def fields_of(packet: bytes) -> dict[str, Any]:
    assert len(packet) == 99
    assert packet[:3] == b"LOO"
    assert packet[95:97] == b"\n\r"
    assert crc_hqx(packet, 0) == 0
    return {name: unpacked(layout, packet, at) for name, (layout, at) in FIELDS.items()}


# -- the table -----------------------------------------------------------------------------------


def test_it_answers_a_line_feed_when_it_is_awake(console: Console) -> None:
    assert console.send(b"\n") == AWAKE
    assert console.send(b"\r\n") == AWAKE


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"TEST\n", b"\n\rTEST\n\r"),
        (b"VER\n", b"\n\rOK\n\rSep 29 2009\n\r"),
        (b"NVER\n", b"\n\rOK\n\r1.90\n\r"),
        (b"WRD\x12\x4d\n", b"\x06\x10"),
        (b"EEBRD 2D 1\n", ACK + with_crc(b"\x05")),
        (b"EEBRD 2c 01\n", ACK + with_crc(b"\x01")),
        (b"EEBRD 0F 2\n", ACK + with_crc(bytes(2))),
        (b"EEBRD 29 5\n", ACK + with_crc(bytes([0, 0, 8, 1, 5]))),
        (b"GETTIME\n", ACK + with_crc(bytes([0, 0, 12, 15, 6, 126]))),
        (b"LOOP 3\n", ACK),
        (b"LPS 1 3\n", ACK),
        (b"LPS 3 3\n", ACK),
    ],
)
def test_a_command_is_answered(console: Console, command: bytes, reply: bytes) -> None:
    assert console.send(command) == reply


def test_the_station_type_tells_a_vue(console: Console) -> None:
    console.set(station_type=17)
    assert console.send(b"WRD\x12\x4d\n") == b"\x06\x11"


def test_a_console_in_disguise_is_another_station(console: Console) -> None:
    console.model.disguise = "ACME"
    assert console.send(b"NVER\n") == b"\n\rOK\n\rACME\n\r"
    assert console.send(b"WRD\x12\x4d\n") == b"\x06\x00"


def test_the_clock_is_set_and_goes_on(console: Console) -> None:
    assert console.send(b"SETTIME\n") == ACK
    assert console.send(with_crc(bytes([30, 59, 23, 31, 12, 126]))) == ACK
    console.model.step(31)
    assert console.send(b"GETTIME\n") == ACK + with_crc(bytes([1, 0, 0, 1, 1, 127]))


def test_the_eeprom_is_written_byte_by_byte_too(console: Console) -> None:
    assert console.send(b"EEBWR 2B 02\n") == ACK
    data = with_crc(bytes([0x18, 7]))
    assert b"".join(console.send(data[at : at + 1]) for at in range(4)) == ACK
    assert console.send(b"EEBRD 2B 2\n") == ACK + data
    assert console.get("click_mm") == 0.2


# -- streams -------------------------------------------------------------------------------------


def test_a_stream_has_as_many_packets_as_were_asked_for_every_two_seconds(
    console: Console,
) -> None:
    assert console.send(b"LOOP 5\n") == ACK
    counts = []
    for _ in range(7):
        console.model.step(2)
        counts.append(len(console.model.take_unasked()))
    assert counts == [1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("char", [b"\n", b"x", b"\r", b"\x00"])
def test_any_character_cancels_a_stream(console: Console, char: bytes) -> None:
    console.send(b"LPS 1 100\n")
    console.model.step(5)
    assert len(console.model.take_unasked()) > 1
    console.model.step(2)
    console.send(char)
    console.model.step(100)
    assert console.model.take_unasked() == []
    assert console.get("packets_left") == 0


def test_the_line_feed_that_cancels_a_stream_is_answered(console: Console) -> None:
    console.send(b"LOOP 100\n")
    console.model.step(5)
    assert console.send(b"\n") == AWAKE


def test_every_field_of_a_packet_stands_where_the_sheet_has_it(console: Console) -> None:
    console.set(
        **{"pressure_hpa": 1000, "inside_c": 20, "inside_percent": 33, "outside_c": -10.5},
        **{"wind_m_s": 10, "wind_average_m_s": 8, "wind_deg": 0, "humidity_percent": 71},
        **{"rain_mm_h": 25.4, "solar_w_m2": 500, "storm_clicks": 7, "console_battery_v": 4.2},
        **{"rain_day_clicks": 1, "rain_month_clicks": 300, "rain_year_clicks": 2000},
        **{"extra_temperature_7_f": -90, "soil_temperature_1_f": 50, "leaf_temperature_4_f": 60},
        **{"extra_humidity_7": 99, "soil_moisture_2": 12, "leaf_wetness_3": 15},
        **{"alarm_byte_0": 1, "alarm_byte_15": 128, "low_transmitters": 5},
    )
    packet = console.packet()
    expected = {
        **{"trend": -60, "type": 0, "next_record": 0, "barometer": 29530, "inside": 680},
        **{"inside_rh": 33, "outside": 131, "wind": 22, "direction": 360, "outside_rh": 71},
        **{"extra": b"\xff" * 6 + b"\x00", "soil": b"\x8c\xff\xff\xff", "uv": 40},
        **{"leaf": b"\xff\xff\xff\x96", "extra_rh": b"\xff" * 6 + b"\x63", "rain_rate": 100},
        **{"solar": 500, "storm": 7, "rain_day": 1, "rain_month": 300, "rain_year": 2000},
        **{"soil_moisture": b"\xff\x0c\xff\xff", "leaf_wetness": b"\xff\xff\x0f\xff"},
        **{"alarms": b"\x01" + bytes(14) + b"\x80", "tx_battery": 5, "battery": 717},
        **{"icon": 3, "rule": 45, "sunrise": 500, "sunset": 1900, "storm_date": 0xFFFF},
    }
    assert {name: packet[name] for name in expected} == expected
    assert packet["wind_10_min"] == 18


def test_a_storm_has_the_date_on_which_it_began(console: Console) -> None:
    console.set(rain_mm_h=60)
    console.model.step(3600)
    packet = console.packet()
    assert packet["storm_date"] == 6 << 12 | 15 << 7 | 26
    assert packet["storm"] == packet["rain_day"] > 200
    console.set(rain_mm_h=0)
    console.model.step(25 * 3600)
    assert console.packet()["storm_date"] == 0xFFFF


@pytest.mark.parametrize(
    ("missing", "dashes"),
    [
        ("outside_missing", {"outside": 0x7FFF, "outside_rh": 255}),
        ("inside_missing", {"inside": 0x7FFF, "inside_rh": 255}),
        ("anemometer_missing", {"wind": 255, "wind_10_min": 255, "direction": 0}),
        ("solar_missing", {"solar": 0x7FFF}),
        ("uv_missing", {"uv": 255}),
        ("barometer_missing", {"barometer": 0xFFFF}),
        (
            "iss_lost",
            {
                **{"outside": 0x7FFF, "outside_rh": 255, "wind": 255, "wind_10_min": 255},
                **{"direction": 0, "rain_rate": 0xFFFF, "uv": 255, "solar": 0x7FFF},
            },
        ),
    ],
)
def test_a_missing_sensor_is_a_dash_and_nothing_else_is(
    console: Console, missing: str, dashes: dict[str, int]
) -> None:
    before = console.packet()
    console.set(**{missing: 1})
    after = console.packet()
    changed = {name: value for name, value in after.items() if before[name] != value}
    assert dashes.items() <= changed.items()
    assert set(changed) <= {*dashes, "et_day"}


@pytest.mark.parametrize("field", ["extra", "soil", "leaf", "extra_rh", "soil_moisture"])
def test_further_sensors_are_dashes_unless_there_are_some(console: Console, field: str) -> None:
    assert set(console.packet()[field]) == {255}


# -- sleep ---------------------------------------------------------------------------------------


def test_it_sleeps_after_two_minutes_and_the_first_line_feed_only_wakes_it(
    console: Console,
) -> None:
    console.send(b"\n")
    console.model.step(119)
    assert console.send(b"\n") == AWAKE
    console.model.step(121)
    assert console.get("asleep") == 1
    assert console.send(b"\n") == b""
    assert console.send(b"\n") == AWAKE


def test_a_command_that_wakes_it_is_lost(console: Console) -> None:
    console.model.step(121)
    assert console.send(b"LOOP") == b""
    assert console.send(b" 5\n") == b""
    assert console.send(b"LOOP 5\n") == ACK


def test_it_may_take_three_tries_to_wake_it(console: Console) -> None:
    console.set(wakeups_lost=2)
    console.model.step(121)
    assert [console.send(b"\n") for _ in range(3)] == [b"", b"", AWAKE]


def test_a_stream_keeps_it_awake(console: Console) -> None:
    console.send(b"LOOP 1000\n")
    console.model.step(600)
    assert console.send(b"\n") == AWAKE


def test_it_does_not_sleep_if_it_is_told_not_to(console: Console) -> None:
    console.set(sleep_after_s=0)
    console.model.step(3600)
    assert console.send(b"\n") == AWAKE


# -- the section "Bad input" ---------------------------------------------------------------------

NOT_OBEYED = [
    *(b"HELLO", b"test", b"LOOP", b"LOOP x", b"LOOP -1", b"LOOP 0", b"LOOP 1 2", b"LOOP 99999"),
    *(b"LOOP 1.5", b"LPS 1", b"LPS 2 5", b"EEBRD", b"EEBRD 2D", b"EEBRD GG 1", b"EEBRD 2D 0"),
    *(b"EEBRD FF 2", b"EEBRD 100 1", b"EEBWR FF 2", b"WRD", b"WRD\x12\x4e", b" TEST", b"TEST "),
    *(b"\xff\xfe", b"\x00", b"LOOP 5" + b" " * 100),
]


@pytest.mark.parametrize("command", NOT_OBEYED)
def test_a_command_that_it_does_not_know_is_answered_nak(console: Console, command: bytes) -> None:
    assert console.send(command + b"\n") == NAK
    assert console.send(b"TEST\n") == b"\n\rTEST\n\r"


def test_an_unknown_command_may_be_answered_by_nothing_or_by_the_other_byte(
    console: Console,
) -> None:
    console.set(nak_byte=0)
    assert console.send(b"HELLO\n") == b""
    console.set(nak_byte=0x15)
    assert console.send(b"HELLO\n") == b"\x15"


@pytest.mark.parametrize(
    ("command", "block"),
    [
        (b"SETTIME\n", bytes([30, 59, 23, 31, 12, 126]) + b"\x00\x00"),
        (b"EEBWR 2D 1\n", b"\x0a\x00\x00"),
        (b"DMPAFT\n", b"\x00\x00\x00\x00\x12\x34"),
    ],
)
def test_a_bad_checksum_on_a_write_is_answered_0x18_and_nothing_changes(
    console: Console, command: bytes, block: bytes
) -> None:
    before = console.send(b"EEBRD 00 80\n"), console.model.clock
    assert console.send(command) == ACK
    assert console.send(block) == BAD_CRC
    assert (console.send(b"EEBRD 00 80\n"), console.model.clock) == before


def test_a_date_that_cannot_be_is_not_obeyed(console: Console) -> None:
    assert console.send(b"SETTIME\n") == ACK
    assert console.send(with_crc(bytes([30, 59, 23, 31, 13, 126]))) == NAK
    assert console.model.clock == datetime(2026, 6, 15, 12)


def test_bytes_that_never_come_are_not_waited_for_forever(console: Console) -> None:
    assert console.send(b"SETTIME\n") == ACK
    console.model.step(11)
    assert console.send(b"\n") == AWAKE


def test_it_can_be_made_to_obey_nothing(console: Console) -> None:
    assert "nak" in console.model.abilities
    assert console.model.refusal("tcp", b"TEST", "nak", {}) == NAK


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_commands_do_not_depend_on_how_the_bytes_arrive(chunks: list[bytes]) -> None:
    piecewise, at_once = (ConsoleFramer(DavisVantage()) for _ in range(2))
    messages = [message for chunk in chunks for message in piecewise.feed(chunk)]
    assert messages == at_once.feed(b"".join(chunks))


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_no_bytes_whatever_break_the_model(chunks: list[bytes]) -> None:
    console = Console()
    for chunk in chunks:
        console.send(chunk)
    console.model.step(11)
    console.send(b"\n")
    assert console.send(b"TEST\n") == b"\n\rTEST\n\r"


def test_endless_bytes_without_an_end_take_no_memory(console: Console) -> None:
    for _ in range(100):
        assert console.send(b"x" * 4096) == b""
    assert len(console.framer._pending) < 100
    assert console.send(b"\nTEST\n") == NAK + b"\n\rTEST\n\r"


# -- the archive ---------------------------------------------------------------------------------


def dump(console: Console, time: datetime, word: bytes = ACK) -> tuple[int, list[bytes]]:
    """Dump what is after *time*, asking for each page with *word*; give place and pages."""
    assert console.send(b"DMPAFT\n") == ACK
    date = time.day | time.month << 5 | (time.year - 2000) << 9
    reply = console.send(with_crc(struct.pack("<HH", date, time.hour * 100 + time.minute)))
    assert reply[:1] == ACK
    assert crc_hqx(reply[1:], 0) == 0
    count, first = struct.unpack("<HH", reply[1:5])
    pages = [console.send(word) for _ in range(count)]
    assert all(len(page) == 267 and crc_hqx(page, 0) == 0 for page in pages)
    return first, pages


def times_of(pages: list[bytes]) -> list[int]:
    return [unpacked("H", page, 3 + 52 * record) for page in pages for record in range(5)]


def test_the_records_after_a_date_are_dumped_in_pages_of_five(console: Console) -> None:
    console.model.step(3600)
    console.send(b"\n")
    first, pages = dump(console, datetime(2026, 6, 15, 12, 30))
    assert [page[0] for page in pages] == [0, 1]
    assert times_of(pages)[first : first + 6] == [1235, 1240, 1245, 1250, 1255, 1300]
    assert console.send(ACK) == b""
    assert console.send(b"TEST\n") == b"\n\rTEST\n\r"


def test_a_record_has_what_was_felt_in_its_period(console: Console) -> None:
    console.set(outside_c=20, wind_m_s=10, wind_deg=90, pressure_hpa=1000, rain_mm_h=60)
    console.model.step(300)
    console.send(b"\n")
    _, [page] = dump(console, datetime(2026, 6, 15))
    assert unpacked("h", page, 5) == unpacked("h", page, 7) == unpacked("h", page, 9) == 680
    assert unpacked("H", page, 11) == 19
    assert unpacked("H", page, 15) == 29530
    assert page[1 + 24 : 1 + 28] == bytes([22, 22, 4, 4])


def test_nothing_is_dumped_when_there_is_nothing_newer(console: Console) -> None:
    assert dump(console, datetime(2026, 6, 15)) == (0, [])
    assert console.send(b"\n") == AWAKE


@pytest.mark.parametrize("nak", [b"\x15", b"\x21"])
def test_a_page_is_sent_again_when_it_is_not_acknowledged(console: Console, nak: bytes) -> None:
    console.model.step(3600)
    console.send(b"\n")
    assert console.send(b"DMPAFT\n") == ACK
    head = console.send(with_crc(struct.pack("<HH", 0, 0)))[1:]
    assert console.send(nak) == head
    page = console.send(ACK)
    assert console.send(nak) == page
    assert console.send(ACK)[0] == 1


@pytest.mark.parametrize(("end", "reply"), [(b"\x1b", b""), (b"\n", AWAKE)])
def test_a_dump_is_ended_by_anything_else(console: Console, end: bytes, reply: bytes) -> None:
    console.model.step(3600)
    console.send(b"\n")
    console.send(b"DMPAFT\n")
    console.send(with_crc(struct.pack("<HH", 0, 0)))
    assert len(console.send(ACK)) == 267
    assert console.send(end) == reply
    assert console.send(b"TEST\n") == b"\n\rTEST\n\r"


def test_a_full_archive_begins_anew_and_its_last_page_has_old_records(console: Console) -> None:
    console.set(sleep_after_s=0)
    console.model.eeprom.write(0x2D, b"\x01")
    console.model.step(60 * 2563)
    assert console.get("archive_records") == 2560
    assert console.packet()["next_record"] == 3
    _, pages = dump(console, datetime(2026, 6, 17, 6, 40))
    newest = console.model.clock.hour * 100 + console.model.clock.minute
    times = times_of(pages)
    assert newest in times
    assert times.index(newest) < len(times) - 1


# -- physics and supply --------------------------------------------------------------------------


@pytest.mark.parametrize(("collector", "clicks"), [(0, 78), (1, 100), (2, 200)])
def test_rain_is_counted_in_clicks_of_the_bucket(
    console: Console, collector: int, clicks: int
) -> None:
    console.set(rain_collector=collector, rain_mm_h=20)
    console.model.step(3600)
    for total in ("day", "month", "year"):
        assert console.get(f"rain_{total}_clicks") == pytest.approx(clicks, abs=1)


def test_totals_end_with_their_day_month_and_year(console: Console) -> None:
    console.model.eeprom.write(0x2C, b"\x07")
    console.set(rain_day_clicks=5, rain_month_clicks=6, rain_year_clicks=7)
    totals = []
    for day in (29, 30):
        console.model.clock = datetime(2026, 6, day, 23, 59, 50)
        console.model.step(0.1)
        console.set(rain_day_clicks=5)
        console.model.step(20)
        totals.append([console.get(f"rain_{each}_clicks") for each in ("day", "month", "year")])
    assert totals == [[0, 6, 7], [0, 0, 0]]


def test_the_trend_is_that_of_three_hours(console: Console) -> None:
    trends = []
    for hpa in (1013, 1016, 1016, 1015, 1010):
        console.set(pressure_hpa=hpa)
        console.model.step(3600)
        trends.append(int(console.get("trend")))
    assert trends[1] == 60
    assert trends[-1] == -60
    console.model.step(4 * 3600)
    assert console.get("trend") == 0


def test_a_lost_outdoor_unit_counts_no_rain(console: Console) -> None:
    console.set(rain_mm_h=50, iss_lost=1)
    console.model.step(3600)
    assert console.get("rain_day_clicks") == 0


def test_after_a_loss_of_supply_it_is_silent_and_has_its_totals(console: Console) -> None:
    console.set(rain_day_clicks=9)
    console.send(b"LOOP 100\n")
    console.model.step(5)
    console.model.power_off()
    console.model.step(60)
    assert console.model.take_unasked() == []
    console.model.power_on()
    assert console.send(b"\n") == AWAKE
    assert console.packet()["rain_day"] == 9


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(console: Console, dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        console.model.step(dt_s)


def test_random_bytes_spare_only_what_tells_where_a_reply_ends() -> None:
    model = DavisVantage()
    assert list(model.framing_bytes("tcp", b"\n\rTEST\n\r")) == [0, 1, 6, 7]
    assert list(model.framing_bytes("tcp", b"LOO" + b"\n" * 96)) == [95, 96]
    assert list(model.framing_bytes("tcp", ACK + b"\n\r\n")) == []
