"""Where files are found: directories and archives, damaged and malicious ones among them."""

import errno
import zipfile

import pytest

from sales_assets.errors import SourceError
from sales_assets.sources import kaggle
from tests.sources.conftest import GOOD, HEADER, STORES, load, rows, write


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, **options)
    return path


@pytest.mark.parametrize(
    ("train", "store"),
    [
        ("train.csv", "store.csv"),
        ("rossmann/train.csv", "rossmann/Store.CSV"),
        ("./train.csv", "store.csv"),
    ],
)
def test_a_zip_may_hold_the_files_at_its_root_or_in_one_folder(con, tmp_path, train, store):
    members = [
        (train, HEADER + GOOD),
        (store, STORES),
        ("notes/readme.txt", "x"),
        ("rossmann/", ""),
    ]
    loads = load(con, zipped(tmp_path / "delivery.zip", members))

    assert [load.file for load in loads] == ["store.csv", "train.csv"]
    assert rows(con, "select file, line from raw.sales") == [("train.csv", 2)]


@pytest.mark.parametrize(
    "name", ["../train.csv", "/train.csv", "a/../../train.csv", "a/b/train.csv"]
)
def test_paths_of_an_archive_are_not_trusted(con, tmp_path, name):
    inner = tmp_path / "inner"
    inner.mkdir()
    source = zipped(inner / "delivery.zip", [(name, HEADER + GOOD), ("store.csv", STORES)])

    with pytest.raises(SourceError, match=r"delivery.zip has no train.csv; expected a directory"):
        load(con, source)
    assert not list(tmp_path.rglob("train.csv"))


def test_an_archive_that_unpacks_to_too_much_is_refused(con, tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "MAX_EXTRACTED_BYTES", 1_000_000)
    bomb = [("store.csv", STORES), ("train.csv", b"0" * 1_000_001)]

    with pytest.raises(
        SourceError, match=r"train.csv would unpack to 1,000,001 bytes, more than the"
    ):
        load(con, zipped(tmp_path / "bomb.zip", bomb))


def test_an_archive_that_lies_about_its_sizes_is_refused(con, tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle, "MAX_EXTRACTED_BYTES", 1_000_000)
    bomb = zipped(tmp_path / "bomb.zip", [("store.csv", STORES), ("train.csv", b"0" * 1_000_001)])
    size, lie = (1_000_001).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    bomb.write_bytes(bomb.read_bytes().replace(size, lie))

    with pytest.raises(SourceError, match="cannot be read: Bad CRC-32"):
        load(con, bomb)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "File is not a zip file"),
        (lambda data: b"", "File is not a zip file"),
        (lambda data: data.replace(STORES[:9].encode(), b"Stare,Sto"), "Bad CRC-32"),
        # Flag bit 0 of both headers says that the member needs a password.
        (
            lambda data: data.replace(b"PK\3\4\x14\0\0", b"PK\3\4\x14\0\1").replace(
                b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"
            ),
            "password required",
        ),
        # Method 99 is none that zipfile knows.
        (
            lambda data: data.replace(
                b"PK\1\2\x14\3\x14\0\0\0\0\0", b"PK\1\2\x14\3\x14\0\0\0\x63\0"
            ),
            "compression method is not supported",
        ),
    ],
    ids=["cut off", "no bytes", "changed", "locked", "unknown compression"],
)
def test_a_damaged_archive_is_told(con, tmp_path, damage, message):
    source = tmp_path / "delivery.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("store.csv", STORES)
        archive.writestr("train.csv", HEADER + GOOD)
    source.write_bytes(damage(source.read_bytes()))

    with pytest.raises(SourceError, match=rf"delivery.zip cannot be read: .*{message}.*; expected"):
        load(con, source)


def test_a_source_that_does_not_exist_is_named(con, tmp_path):
    with pytest.raises(SourceError) as error:
        load(con, tmp_path / "nowhere")

    assert str(error.value) == (
        f"{tmp_path / 'nowhere'} does not exist; expected a directory or .zip (at its root or in "
        "one folder) with train.csv, store.csv and, if there is a plan, test.csv."
    )


def test_a_source_that_is_neither_directory_nor_zip_is_named(con, tmp_path):
    source = tmp_path / "train.csv"
    source.write_text(HEADER + GOOD)

    with pytest.raises(SourceError, match=r"train.csv cannot be read: File is not a zip file"):
        load(con, source)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no store.csv and no train.csv; expected"),
        ({"store.csv": STORES}, "has no train.csv; expected"),
        ({"train.csv": HEADER + GOOD}, "has no store.csv; expected"),
        (
            {"train.csv": HEADER + GOOD, "store.csv": STORES, "Train.csv": HEADER},
            "has train.csv more than once",
        ),
    ],
)
def test_a_directory_without_the_files_is_told(con, tmp_path, files, message):
    write(tmp_path / "source", files)

    with pytest.raises(SourceError, match=message):
        load(con, tmp_path / "source")


def test_names_of_files_are_found_in_any_case(con, tmp_path):
    write(tmp_path / "source", {"TRAIN.CSV": HEADER + GOOD, "Store.csv": STORES})

    assert [load.file for load in load(con, tmp_path / "source")] == ["store.csv", "train.csv"]


def test_a_file_that_may_not_be_read_is_named(con, tmp_path):
    write(tmp_path / "source", {"store.csv": STORES})
    (tmp_path / "source" / "train.csv").mkdir()

    with pytest.raises(SourceError, match=r"train.csv cannot be read: Is a directory"):
        load(con, tmp_path / "source")


def test_a_disk_that_is_full_is_no_fault_of_the_archive(con, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kaggle.shutil, "copyfileobj", full)
    source = zipped(tmp_path / "delivery.zip", [("store.csv", STORES), ("train.csv", HEADER)])
    with pytest.raises(OSError, match="No space left on device") as error:
        load(con, source)
    assert not isinstance(error.value, SourceError)
