"""Invalid recordings: the command refuses them in one line with the file and the place."""

import os
import random
import re
import shutil

import numpy as np
import pytest

GOOD_HEADER = b"% Version 2\n% Width 64\n% Height 48\n% end\n"


def one_line(outcome, path):
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith(f"evio: {path}")
    return outcome.err


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.dat", b"", r", byte 0: is empty"),
        ("header.dat", GOOD_HEADER, rf", byte {len(GOOD_HEADER)}: has a header but no events"),
        ("type.dat", GOOD_HEADER + b"\x0c\x08", rf", byte {len(GOOD_HEADER)}: has a header but no"),
        ("part.dat", GOOD_HEADER + b"\x0c\x08\x00\x00\x00", r": has a header but no events"),
        ("size.dat", GOOD_HEADER + b"\x0c\x10" + bytes(64), r": is not a supported recording"),
        ("cut.dat", GOOD_HEADER[:-4], r", byte \d+: the header's last line does not end"),
        ("huge.dat", b"% Width 99999\n% Height 9\n% end\n" + bytes(64), r"geometry is impossible"),
        ("text.csv", b"1,2,3,1\n" * 50, r": is not a supported recording"),
        ("evt3.raw", b"% evt 3.0\n% end\n", r", byte 16: has a header but no events"),
        ("evt21.raw", b"% evt 2.1\n% end\n" + bytes(64), r", byte 16: has no events"),
        ("random.dat", random.Random(1).randbytes(4096), r": is not a supported recording"),
    ],
    ids=lambda value: value if str(value).endswith((".dat", ".csv", ".raw")) else "",
)
def test_a_bad_file_is_refused_in_one_line(evio, tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    for verb in ("info", "analyze"):
        assert re.search(reason, one_line(evio(verb, path), path))


@pytest.fixture
def in_fixed_point(tmp_path):
    """A recording of 640x480 pixels whose coordinates are in fixed point."""
    pixels = np.arange(4000)
    x, y = pixels % 640 * 32 + 3, pixels % 480 * 32 + 5
    np.savez(tmp_path / "fixed.npz", t=pixels * 100, x=x, y=y, p=pixels % 2)
    return tmp_path / "fixed.npz"


@pytest.mark.parametrize(
    "verb",
    [
        ["analyze"],
        ["analyze", "--plot", "a.png"],
        ["render", "--output", "a.png"],
        ["view", "--port", 0],
        ["detect"],
        ["convert", "--filter", "hot_pixels=learn", "a.dat"],
    ],
    ids=lambda verb: " ".join(map(str, verb)),
)
def test_more_pixels_than_sensors_have_are_refused_before_memory_is_taken_for_them(
    evio, in_fixed_point, tmp_path, monkeypatch, verb
):
    monkeypatch.chdir(tmp_path)
    error = one_line(evio(verb[0], in_fixed_point, *verb[1:]), in_fixed_point)
    assert "coordinates reach 20451 and 15333, more than sensors have" in error
    assert "convert x and y to pixels first" in error
    assert [path.name for path in tmp_path.iterdir()] == ["fixed.npz"]


def test_more_pixels_than_sensors_have_are_told_and_copied(evio, in_fixed_point, tmp_path):
    code, out, _ = evio("info", in_fixed_point)
    assert (code, "more than sensors have" in out) == (0, True)
    code, out, _ = evio("convert", in_fixed_point, tmp_path / "a.csv")
    assert (code, "4000 events" in out) == (0, True)


@pytest.mark.parametrize("event_format", ["2.0", "3.0"])
def test_random_words_after_a_good_header_are_refused(evio, tmp_path, event_format):
    header = f"% evt {event_format}\n% geometry 640x480\n% end\n".encode()
    path = tmp_path / "random.raw"
    path.write_bytes(header + random.Random(2).randbytes(1 << 18))
    error = one_line(evio("info", path), path)
    assert f"byte {len(header)}" in error


def test_the_process_itself_ends_with_2(evio_process, tmp_path):
    error = one_line(evio_process("analyze", tmp_path / "none.dat"), tmp_path / "none.dat")
    assert error.endswith(": cannot be opened: No such file or directory\n")


def test_a_directory_is_no_recording(evio, tmp_path):
    assert "is a directory" in one_line(evio("info", tmp_path), tmp_path)


def test_a_pipe_is_no_recording_and_does_not_block(evio, tmp_path):
    os.mkfifo(tmp_path / "pipe.dat")
    path = tmp_path / "pipe.dat"
    assert "is not a regular file" in one_line(evio("info", path), path)


def test_the_name_does_not_decide_what_a_file_is(evio, fan_recording, tmp_path):
    renamed = tmp_path / "fan.raw"
    shutil.copy(fan_recording, renamed)
    code, out, _ = evio("info", renamed)
    assert code == 0
    assert "Prophesee DAT" in out


def test_a_file_cut_in_mid_record_is_measured_and_the_cut_is_told(evio, fan_recording, tmp_path):
    cut = tmp_path / "cut.dat"
    cut.write_bytes(fan_recording.read_bytes()[:-3])
    code, out, _ = evio("analyze", cut, "--duration", 0.2)
    assert code == 0
    assert "5 bytes at the end that are not a whole record, left out." in " ".join(out.split())


def test_a_file_without_permission_is_refused(evio, tmp_path, monkeypatch, unprivileged):
    path = tmp_path / "secret.dat"
    path.write_bytes(GOOD_HEADER)
    path.chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    evio("info", path)  # imports must not need permissions
    with unprivileged():
        error = one_line(evio("info", path.name), path.name)
    assert "cannot be opened: Permission denied" in error
