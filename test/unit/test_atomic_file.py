"""Files appear under their name complete, or not at all."""

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evio_ros.atomic_file import atomic_file, atomic_path
from evio_ros.errors import SourceError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_only_after_the_block(tmp_path):
    with atomic_file(tmp_path / "a.txt") as file:
        file.write("µs ")
        file.write(b"\x00\xff")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"\xc2\xb5s \x00\xff"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_older_file_survives_a_failure_and_nothing_else_is_left(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("older")

    def fail() -> None:
        with atomic_file(path) as file:
            file.write("newer")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "older"
    assert names(tmp_path) == ["a.txt"]


def test_an_older_file_is_replaced_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a longer older text")
    path.chmod(0o640)
    with atomic_file(path) as file:
        file.write("newer")
    assert path.read_text() == "newer"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "target.txt").write_text("older")
    (tmp_path / "link.txt").symlink_to("target.txt")
    (tmp_path / "dangling.txt").symlink_to("made.txt")
    for name in ("link.txt", "dangling.txt"):
        with atomic_file(tmp_path / name) as file:
            file.write("newer")
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "target.txt").read_text() == "newer"
    assert (tmp_path / "made.txt").read_text() == "newer"


def test_a_library_can_write_by_name(tmp_path):
    with atomic_path(tmp_path / "a.bin") as name:
        Path(name).write_bytes(b"1")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"1"
    assert names(tmp_path) == ["a.bin"]


def test_a_library_that_writes_nothing_is_an_error(tmp_path):
    refused = pytest.raises(SourceError, match=r"a\.bin: cannot be written: No such file")
    with refused, atomic_path(tmp_path / "a.bin"):
        pass


def test_a_device_is_written_directly_and_stays_a_device():
    with atomic_file("/dev/null") as file:
        file.write("gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("size", [10, 100_000], ids=["at closing", "at writing"])
def test_a_full_disk_is_one_error_with_the_offset(size):
    def fill() -> None:
        with atomic_file("/dev/full") as file:
            file.write(bytes(size))

    with pytest.raises(SourceError, match="/dev/full, byte 0: cannot be written: No space left"):
        fill()
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_names_the_offset_reached(tmp_path):
    def fill() -> None:
        with largest_file(35_000), atomic_file(tmp_path / "a.bin") as file:
            for _ in range(10):
                file.write(bytes(10_000))

    with pytest.raises(SourceError, match=r"a\.bin, byte 35000: cannot be written: File too large"):
        fill()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing/a.txt", "No such file or directory"), (".", "Is a directory")],
)
def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path, path, reason):
    refused = pytest.raises(SourceError, match=f"cannot be written: {reason}")
    with refused, atomic_file(tmp_path / path):
        pytest.fail("the block must not be entered")


def test_what_must_not_be_written_is_not_replaced(tmp_path, monkeypatch, unprivileged):
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "kept.txt").chmod(0o444)
    tmp_path.chmod(0o777)
    monkeypatch.chdir(tmp_path)
    refused = pytest.raises(SourceError, match=r"kept\.txt: cannot be written: Permission denied")
    with unprivileged(), refused, atomic_file("kept.txt"):
        pytest.fail("the block must not be entered")
    assert (tmp_path / "kept.txt").read_text() == "kept"


def test_a_folder_that_must_not_be_written_is_refused(tmp_path, monkeypatch, unprivileged):
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    refused = pytest.raises(SourceError, match=r"a\.txt: cannot be written: Permission denied")
    with unprivileged(), refused, atomic_file("a.txt"):
        pytest.fail("the block must not be entered")
