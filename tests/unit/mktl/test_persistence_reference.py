"""Values that the reference package left are taken over once, and never over newer ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mktl
from mktl import config
from tests.unit.mktl.test_persistence import loaded, opened


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Return a directory with values in files as that package writes them."""
    folder = tmp_path / "d6a1"
    folder.mkdir()
    (folder / "setpoint").write_text('{"value": 42.5, "time": 1795469673.5}')
    (folder / "nothing").write_text('{"value": null, "time": 1795469673.5}')
    (folder / "image").write_text('{"shape": [2], "dtype": "uint8", "time": 1795469673.5}')
    (folder / "bulk:image").write_bytes(b"\1\2")
    return folder


def test_values_and_their_times_are_taken_over(left: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    with opened(tmp_path / "values.sqlite", left) as values:
        found = dict(values.load())
        assert found["setpoint"].value == 42.5
        assert found["setpoint"].time == 1795469673.5
        assert found["nothing"].value is None
        assert found["image"].value.tolist() == [1, 2]
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before


def test_nothing_is_taken_over_a_second_time(left: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    with opened(path, left) as values:
        values.save("setpoint", mktl.Payload(43, 1.0))
    (left / "setpoint").write_text('{"value": 44}')
    (left / "later").write_text('{"value": 1}')
    with opened(path, left) as values:
        assert loaded(values)["setpoint"] == 43
        assert "later" not in loaded(values)


def test_nothing_is_taken_over_newer_values(left: Path, tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    hidden = left.rename(tmp_path / "hidden")
    left.write_text("a file in the place of the directory")
    with opened(path, left) as values:
        values.save("setpoint", mktl.Payload(43, 1.0))
    left.unlink()
    hidden.rename(left)
    with opened(path, left) as values:
        assert loaded(values) == {"setpoint": 43}


def test_nothing_is_taken_over_in_place_of_values_that_were_lost(
    left: Path, tmp_path: Path
) -> None:
    path = tmp_path / "values.sqlite"
    with opened(path, left):
        pass
    path.write_bytes(b"damaged " * 4096)
    with opened(path, left) as values:
        assert loaded(values) == {}
        assert "not readable" in values.doubt_of("setpoint")


BROKEN = {
    "half": ('{"value": 42.', "not readable"),
    "empty": ("", "no value"),
    "list": ("[1, 2]", "must be a JSON object"),
    "other": ('{"colour": "red"}', "no value"),
    "binary": ("\0\1\2", "not readable"),
    "noarray": ('{"shape": [2], "dtype": "uint8"}', "not readable"),
    "shortarray": ('{"shape": [3], "dtype": "uint8"}', "not readable"),
}


def test_what_cannot_be_read_is_told_and_the_rest_is_taken_over(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, (text, _why) in BROKEN.items():
        (left / name).write_text(text)
    (left / "bulk:shortarray").write_bytes(b"\1\2")
    (left / "folder").mkdir()
    os.mkfifo(left / "pipe")
    (left / "dangling").symlink_to(left / "nowhere")
    for _restart in range(2):
        with opened(tmp_path / "values.sqlite", left) as values:
            assert loaded(values).keys() == {"setpoint", "nothing", "image"}
            for name, (_text, why) in BROKEN.items():
                assert why in values.doubt_of(name)
            for name in ("folder", "pipe", "dangling"):
                assert name in values.doubt_of(name)
            assert not values.doubt_of("setpoint")
    told = [one.message for one in caplog.records if "was not taken over" in one.message]
    assert len(told) == len(BROKEN) + 3


def test_foreign_files_are_left_out_and_told_in_one_line(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (".setpoint.swp", "setpoint~", "read me.txt", "sé", "bad\nname"):
        (left / name).write_text('{"value": 1}')
    with opened(tmp_path / "values.sqlite", left) as values:
        assert loaded(values).keys() == {"setpoint", "nothing", "image"}
    (told,) = [one.message for one in caplog.records if "are no values" in one.message]
    assert "5 files" in told
    assert "\n" not in told


def test_a_value_too_large_for_any_message_is_told(
    left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_MAX_MESSAGE", "100")
    (left / "large").write_text('{"value": "%s"}' % ("x" * 100))
    assert config.max_message() == 100
    with opened(tmp_path / "values.sqlite", left) as values:
        assert "large" not in loaded(values)
        assert "which no message can have" in values.doubt_of("large")


def test_the_name_in_lower_case_is_taken_where_two_differ_only_in_case(
    left: Path, tmp_path: Path
) -> None:
    (left / "SetPoint").write_text('{"value": 1}')
    (left / "OnlyUpper").write_text('{"value": 2}')
    with opened(tmp_path / "values.sqlite", left) as values:
        assert loaded(values)["setpoint"] == 42.5
        assert loaded(values)["onlyupper"] == 2


def test_old_bulk_data_beside_a_plain_value_are_ignored(left: Path, tmp_path: Path) -> None:
    (left / "bulk:setpoint").write_bytes(b"\1\2\3")
    with opened(tmp_path / "values.sqlite", left) as values:
        assert loaded(values)["setpoint"] == 42.5
