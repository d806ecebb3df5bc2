"""Values on disk: what is there after a crash, damage, and files that are not ours."""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mktl
from mktl._persistence_carving import Row, carve
from mktl.persistence import PersistentValues

KEYS = [f"n{number}" for number in range(8)]


@contextlib.contextmanager
def opened(path: Path, reference: Path | None = None) -> Iterator[PersistentValues]:
    values = PersistentValues(path, reference)
    try:
        yield values
    finally:
        values.close()


def loaded(values: PersistentValues) -> dict[str, Any]:
    return {key: payload.value for key, payload in values.load()}


def copied(path: Path, folder: Path) -> Path:
    """Copy a database that is open: what a process leaves that ends without a word."""
    folder.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        shutil.copyfile(each, folder / each.name)
    return folder / path.name


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a killed daemon has left: values in the database, and later ones in its log."""
    folder = tmp_path_factory.mktemp("used")
    path = folder / "values.sqlite"
    with opened(path) as values:
        for key in KEYS:
            values.save(key, mktl.Payload(f"{key} 0", 1.0))
        values.save("large", mktl.Payload("0" * 9000, 1.0))
    with opened(path) as values:
        for count in range(1, 6):
            for key in KEYS:
                values.save(key, mktl.Payload(f"{key} {count}", 1.0))
        values.save("large", mktl.Payload("5" * 9000, 1.0))
        return copied(path, folder / "killed")


LATEST: dict[str, Any] = {**{key: f"{key} 5" for key in KEYS}, "large": "5" * 9000}
EVER = {key: {f"{key} {count}" for count in range(6)} for key in KEYS}
EVER["large"] = {digit * 9000 for digit in "05"}


def test_all_values_are_there_after_a_kill(used: Path, tmp_path: Path) -> None:
    with opened(copied(used, tmp_path / "copy")) as values:
        assert loaded(values) == LATEST
        assert not any(values.doubt_of(key) for key in LATEST)


def _damage(path: Path, how: str, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content))
    if how == "truncated":
        del content[at:]
    elif how == "zeros at the end":
        content[at:] = bytes(len(content) - at)
    elif how == "garbage":
        end = min(len(content), at + chance.randrange(1, 5000))
        content[at:end] = chance.randbytes(end - at)
    else:
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


@settings(max_examples=40)
@given(
    file=st.sampled_from(["", "-wal"]),
    how=st.sampled_from(["truncated", "zeros at the end", "garbage", "bits flipped"]),
    seed=st.integers(0, 10**6),
)
def test_no_damage_makes_a_value_that_was_not_set_last_look_like_it(
    used: Path, tmp_path_factory: pytest.TempPathFactory, file: str, how: str, seed: int
) -> None:
    path = copied(used, tmp_path_factory.mktemp("damaged") / "copy")
    _damage(Path(f"{path}{file}"), how, seed)
    with opened(path) as values:
        found = loaded(values)
        for key, value in LATEST.items():
            if values.doubt_of(key):
                assert key not in found or found[key] in EVER[key]
            else:
                assert found[key] == value
        assert not values.trouble
        doubted = {key for key in LATEST if values.doubt_of(key)}
        values.save("n0", mktl.Payload("new", 1.0))
    with opened(path) as values:
        assert loaded(values) == {**found, "n0": "new"}
        assert {key for key in LATEST if values.doubt_of(key)} == doubted - {"n0"}


def test_values_are_found_in_a_database_whose_first_page_is_gone(
    used: Path, tmp_path: Path
) -> None:
    path = copied(used, tmp_path / "copy")
    content = path.read_bytes()
    path.write_bytes(bytes(4096) + content[4096:])
    with opened(path) as values:
        assert loaded(values) == LATEST
        assert "found in values.sqlite.unreadable-" in values.doubt_of("n3")
    (aside,) = path.parent.glob("*.unreadable-*[0-9]")
    assert aside.read_bytes() == bytes(4096) + content[4096:]


def test_later_values_are_found_behind_a_bad_place_of_the_log(used: Path, tmp_path: Path) -> None:
    path = copied(used, tmp_path / "copy")
    log = Path(f"{path}-wal")
    content = bytearray(log.read_bytes())
    content[32 + 24 + 100] ^= 1
    log.write_bytes(content)
    with opened(path) as values:
        assert loaded(values) == LATEST
        assert "may not be the value that was set last" in values.doubt_of("n3")
    (aside,) = path.parent.glob("*-wal.unreadable-*")
    assert aside.read_bytes() == content


@pytest.mark.parametrize("missing", ["-wal", ""])
def test_a_file_that_is_missing_is_noticed(used: Path, tmp_path: Path, missing: str) -> None:
    path = copied(used, tmp_path / "copy")
    Path(f"{path}{missing}").unlink()
    with opened(path) as values:
        found = loaded(values)
        for key in LATEST:
            assert values.doubt_of(key)
            assert key not in found or found[key] in EVER[key]


def test_an_older_copy_of_the_database_is_noticed(used: Path, tmp_path: Path) -> None:
    path = copied(used, tmp_path / "copy")
    with opened(path):
        pass
    older = path.read_bytes()
    with opened(path) as values:
        values.save("n0", mktl.Payload("newer", 1.0))
    path.write_bytes(older)
    with opened(path) as values:
        assert loaded(values)["n0"] == "n0 5"
        assert "ends at change" in values.doubt_of("n0")


def test_a_doubt_lasts_over_restarts_until_the_value_is_saved(used: Path, tmp_path: Path) -> None:
    path = copied(used, tmp_path / "copy")
    Path(f"{path}-wal").unlink()
    for _restart in range(2):
        with opened(path) as values:
            list(values.load())
            assert values.doubt_of("n1")
    with opened(path) as values:
        values.save("n1", mktl.Payload(1, 2.0))
    with opened(path) as values:
        assert loaded(values)["n1"] == 1
        assert not values.doubt_of("n1")
        assert values.doubt_of("n2")


FOREIGN = {
    "empty": b"",
    "one byte": b"x",
    "text": b"# settings\ntemperature = 5\n" * 300,
    "short text": b"temperature\n",
    "zeros": bytes(20_000),
    "a header and nothing else": b"SQLite format 3\0\x10\x00\x02\x02",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_moved_aside_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "values.sqlite"
    path.write_bytes(content)
    with opened(path) as values:
        assert loaded(values) == {}
        values.save("n0", mktl.Payload(5, 1.0))
    with opened(path) as values:
        assert loaded(values) == {"n0": 5}
        assert bool(values.doubt_of("n1")) == bool(content)
    aside = [each.read_bytes() for each in tmp_path.glob("*.unreadable-*")]
    assert aside == ([content] if content else [])


def test_the_database_of_another_program_is_moved_aside_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (url)")
        database.execute("INSERT INTO bookmarks VALUES ('here')")
        database.commit()
    with opened(path) as values:
        assert loaded(values) == {}
        assert "not readable" in values.lost
    (aside,) = tmp_path.glob("*.unreadable-*")
    with contextlib.closing(sqlite3.connect(aside)) as database:
        assert database.execute("SELECT * FROM bookmarks").fetchall() == [("here",)]


def test_a_database_of_a_newer_version_is_moved_aside_and_its_values_are_kept(
    used: Path, tmp_path: Path
) -> None:
    path = copied(used, tmp_path / "copy")
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 77")
    with opened(path) as values:
        assert loaded(values) == LATEST
        assert values.doubt_of("n0")
    (aside,) = path.parent.glob("*.unreadable-*[0-9]")
    with contextlib.closing(sqlite3.connect(aside)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (77,)


def test_a_directory_in_the_place_of_the_database_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    path.mkdir()
    (path / "inside").write_text("kept")
    with opened(path) as values:
        values.save("n0", mktl.Payload(5, 1.0))
    (aside,) = tmp_path.glob("*.unreadable-*")
    assert (aside / "inside").read_text() == "kept"


def test_values_of_the_version_without_checksums_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(
            "CREATE TABLE persistent_values (key TEXT PRIMARY KEY, payload BLOB NOT NULL, "
            "bulk BLOB) WITHOUT ROWID"
        )
        database.execute("""INSERT INTO persistent_values VALUES ('good', x'7b2276616c7565223a357d',
            NULL), ('odd', 5, NULL), ('bulky', x'7b7d', 'text')""")
        database.execute("PRAGMA user_version = 1")
        database.commit()
    for _restart in range(2):
        with opened(path) as values:
            assert loaded(values) == {"good": 5}
            assert not values.doubt_of("good")
            assert "not of the kind" in values.doubt_of("odd")
            assert "not of the kind" in values.doubt_of("bulky")


def test_rows_that_somebody_changed_are_kept_named_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "values.sqlite"
    with opened(path) as values:
        for key in ("good", "changed", "odd"):
            values.save(key, mktl.Payload(1, 2.0))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE saved_values SET payload = x'7b7d' WHERE key = 'changed'")
        database.execute("UPDATE saved_values SET payload = 5 WHERE key = 'odd'")
        database.commit()
    for _restart in range(2):
        with opened(path) as values:
            assert loaded(values) == {"good": 1}
            assert "damaged" in values.doubt_of("changed")
            assert "not of the kind" in values.doubt_of("odd")
            assert not values.doubt_of("good")
    assert sum("the row of" in record.message for record in caplog.records) == 2
    with contextlib.closing(sqlite3.connect(path)) as database:
        kept = database.execute("SELECT key, payload FROM doubts ORDER BY key").fetchall()
    assert kept == [("changed", b"{}"), ("odd", 5)]


def test_a_database_that_another_process_holds_is_used_once_it_is_free(
    used: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied(used, tmp_path / "copy")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("SELECT * FROM saved_values").fetchall()
        with opened(path) as values:
            assert loaded(values) == {}
            assert "cannot be read" in values.doubt_of("n0")
            assert "locked" in values.doubt_of("n0")
            with pytest.raises(OSError, match="locked") as caught:
                values.save("n0", mktl.Payload(1, 2.0))
            assert isinstance(caught.value, mktl.MktlError)
            other.close()
            values._tried = 0.0
            assert values.reopen()
            assert loaded(values) == LATEST
            assert not values.doubt_of("n0")
            values.save("n0", mktl.Payload(1, 2.0))
    errors = [one.message for one in caplog.records if one.levelno >= logging.ERROR]
    assert len(errors) == 1


def test_what_is_removed_or_replaced_while_in_use_is_written_anew(
    used: Path, tmp_path: Path
) -> None:
    path = copied(used, tmp_path / "copy")
    with opened(path) as values:
        values.save("n0", mktl.Payload("before", 1.0))
        path.unlink()
        values.save("n1", mktl.Payload("database removed", 1.0))
        Path(f"{path}-wal").unlink()
        values.save("n2", mktl.Payload("log removed", 1.0))
        path.unlink()
        path.write_bytes(b"something else")
        values.save("n3", mktl.Payload("replaced", 1.0))
        shutil.rmtree(path.parent)
        values.save("n4", mktl.Payload("all removed", 1.0))
        again = copied(path, tmp_path / "again")
    with opened(again) as values:
        assert loaded(values) == LATEST | {
            "n0": "before",
            "n1": "database removed",
            "n2": "log removed",
            "n3": "replaced",
            "n4": "all removed",
        }
        assert not any(values.doubt_of(key) for key in LATEST)


def test_a_database_that_breaks_while_in_use_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    large = "1" * 4_000_000  # more than SQLite keeps in memory
    with opened(path) as values:
        values.save("n0", mktl.Payload("0", 1.0))
        values.save("n1", mktl.Payload(large, 1.0))
    with opened(path) as values:
        with path.open("r+b") as file:
            for page in range(path.stat().st_size // 4096):
                file.seek(4096 * page)
                file.write(b"\xff" * 50)
        values.save("n1", mktl.Payload("1", 1.0))
        values.save("n2", mktl.Payload("2", 1.0))
        assert loaded(values)["n2"] == "2"
        assert values.doubt_of("n0")
        assert not values.doubt_of("n2")


def test_arrays_come_back_and_are_found_in_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    image = np.arange(100_000, dtype="<u4").reshape(400, 250)
    with opened(path) as values:
        values.save("image", mktl.Payload(image, 1.0))
        values.save("image", mktl.Payload(image + 1, 1.0))
        left = copied(path, tmp_path / "killed")
    log = Path(f"{left}-wal").read_bytes()
    assert carve(left.read_bytes(), log)["image"].bulk == (image + 1).tobytes()
    with opened(path) as values:
        assert loaded(values)["image"].tolist() == (image + 1).tolist()
    assert carve(path.read_bytes(), b"")["image"].bulk == (image + 1).tobytes()


@settings(max_examples=200)
@given(data=st.binary(max_size=300), seed=st.integers(0, 10**6))
def test_nothing_is_found_in_what_is_none(used: Path, data: bytes, seed: int) -> None:
    chance = random.Random(seed)
    page = bytearray(chance.randbytes(4096))
    page[0], page[3:5] = 0x0D, b"\1\0"
    page[4096 - len(data) :] = data
    content = bytes(4096) + bytes(page)
    assert carve(content, bytes(32) + chance.randbytes(8000)) == {}


def test_what_is_found_is_what_was_saved(used: Path) -> None:
    found = carve(used.read_bytes(), Path(f"{used}-wal").read_bytes())
    assert found.keys() == LATEST.keys()
    assert found["n1"] == Row("n1", b'{"value":"n1 5","time":1.0}', None, found["n1"].serial)


def test_values_saved_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite"
    last = 30

    def save(values: PersistentValues, key: str) -> None:
        for count in range(last + 1):
            values.save(key, mktl.Payload(count, 1.0))

    with opened(path) as values:
        threads = [threading.Thread(target=save, args=(values, key)) for key in KEYS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = copied(path, tmp_path / "killed")
    with opened(left) as values:
        assert loaded(values) == dict.fromkeys(KEYS, last)


def test_closed_values_refuse_to_be_saved(tmp_path: Path) -> None:
    with opened(tmp_path / "values.sqlite") as values:
        pass
    with pytest.raises(mktl.NotSaved, match="closed"):
        values.save("n0", mktl.Payload(1, 1.0))
