"""Opening recordings: options after a path, and refusals that describe the file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import lz4.frame
import pytest
from encoded_events import events_of, random_events
from generate_format_table import DOCUMENT, with_table
from recording_makers import MAKERS
from scipy.io import savemat

from evio_ros.errors import SourceError
from evio_ros.sources.registry import format_classes, open_source

zstd = pytest.importorskip("backports.zstd")

EVENTS = random_events(200, mean_step_us=50.0)


def archive(kind) -> bytes:
    whole = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=whole, mode="w") as made:
            made.addfile(tarfile.TarInfo("a.txt"))
    else:
        with zipfile.ZipFile(whole, "w") as made:
            for name in kind.split():
                made.writestr(name, b"0")
    return whole.getvalue()


def level_4(name) -> bytes:
    whole = io.BytesIO()
    savemat(whole, {name: list(range(9))}, format="4")
    return whole.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(99), "a JPEG picture"),
        (b"\0\0\0\x18ftypmp42" + bytes(99), "an MP4 or QuickTime video"),
        (b"RIFF\x10\0\0\0AVI LIST", "a RIFF file of AVI: video, sound or picture"),
        (b"\x1aE\xdf\xa3" + bytes(99), "a Matroska or WebM video"),
        (b"#!AER-DAT7.5\r\n" + bytes(99), "AEDAT 7.5, a version that is not supported"),
        (b"\x80\x04\x95\x10" + bytes(99), "a Python pickle, which is never read"),
        (archive("a.txt"), "text that begins with '0'"),
        (archive("model/data.pkl"), "pickled objects, which are never read"),
        (archive("tar"), "a tar archive; unpack it first"),
        (b"\xff\xfet\0,\0x\0", "text that begins with 't,x'"),
        (b'{"events": []}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"%PDF-1.7\n" + bytes(99), "a PDF document"),
        (b"#ROSRECORD V1.1\n" + bytes(99), "a bag of ROS before version 1.2"),
        (b"\x0e\x03\x13\x01" + bytes(99), "an HDF4 file"),
        (level_4("a") + bytes(99), "a MATLAB file of level 4; save it with -v7"),
        (b'<?xml version="1.0"?><events/>', "XML"),
        (b"Hello,\nworld\n", "text that begins with 'Hello,'"),
        (b"t,x,y,p\n2024-05-01T12:00:00.5,1,2,1\n", "text with dates, such as '2024-05-01T12:00"),
        (bytes(5000), "nothing but zeros"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_refusal_names_what_the_file_is(data, named, packed, tmp_path):
    if packed and data[:4] in (b"PK\3\4", b"\xff\xfet\0") and b".pkl" not in data:
        pytest.skip("what is packed twice is unpacked once")
    (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(SourceError, match="is not a supported recording: it is ") as error:
        open_source(str(tmp_path / "a"))
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["DAT", "EVT2", "EVT3", "NPZ", "NPY of records", "CSV", "AEDAT 2", "AEDAT 3"]
)
def test_files_packed_by_gzip_are_read(name, tmp_path):
    MAKERS[name](tmp_path / "a", EVENTS)
    (tmp_path / "b").write_bytes(gzip.compress((tmp_path / "a").read_bytes()))
    with open_source(str(tmp_path / "b")) as source:
        assert events_of(source.batches()) == EVENTS


PACKERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
}


def zipped(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return whole.getvalue()


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("name", ["DAT", "EVT3", "CSV", "NPZ", "HDF5 of a matrix"])
def test_packed_files_are_read(packing, name, tmp_path):
    MAKERS[name](tmp_path / "a", EVENTS)
    data = (tmp_path / "a").read_bytes()
    pack = PACKERS[packing]
    # Parallel tools write several consecutive streams.
    whole = pack(data[:1000]) + pack(data[1000:])
    (tmp_path / "b").write_bytes(whole)
    with open_source(str(tmp_path / "b")) as source:
        assert events_of(source.batches()) == EVENTS


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("cut", [40, -9, -1])
def test_a_broken_packed_file_is_one_error(packing, cut, tmp_path):
    MAKERS["CSV"](tmp_path / "a", EVENTS)
    (tmp_path / "b").write_bytes(PACKERS[packing]((tmp_path / "a").read_bytes())[:cut])
    with pytest.raises(SourceError, match=f"is compressed by {packing} and corrupt") as error:
        open_source(str(tmp_path / "b"))
    assert str(error.value).endswith(" may save its beginning")
    assert "\n" not in str(error.value)


def test_the_events_of_a_zip_archive_are_read(tmp_path):
    MAKERS["CSV"](tmp_path / "a", EVENTS)
    others = {"shapes/": b"", "shapes/images.txt": b"0 a.png\n", "__MACOSX/._events.txt": b"1"}
    files = others | {"shapes/events.txt": (tmp_path / "a").read_bytes()}
    (tmp_path / "b").write_bytes(zipped(files))
    with open_source(str(tmp_path / "b")) as source:
        assert events_of(source.batches()) == EVENTS


def test_a_zip_archive_of_several_files_names_them(tmp_path):
    (tmp_path / "b").write_bytes(zipped({"left.txt": b"1", "right.txt": b"1"}))
    with pytest.raises(SourceError, match=r"archive of 2 files, left.txt, right.txt; extract it"):
        open_source(str(tmp_path / "b"))


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_text_of_spreadsheets_in_utf_16(coding, tmp_path):
    text = "t [\u00b5s]\tx\ty\tp\r\n"
    text += "".join(f"{t}\t{x}\t{y}\t{p}\r\n" for t, x, y, p in EVENTS)
    mark = b"\xfe\xff" if coding == "utf-16-be" else b""
    (tmp_path / "a").write_bytes(mark + text.encode(coding))
    with open_source(str(tmp_path / "a")) as source:
        assert events_of(source.batches()) == EVENTS


def test_a_path_may_be_a_path_object_and_nothing_else(tmp_path):
    MAKERS["DAT"](tmp_path / "fan.dat", EVENTS)
    with open_source(tmp_path / "fan.dat") as source:
        assert events_of(source.batches()) == EVENTS
    with pytest.raises(SourceError, match="None: is NoneType, not the path or URI"):
        open_source(None)


def test_a_scene_is_no_recording_and_it_is_said_what_makes_one():
    with pytest.raises(
        SourceError, match="scene:fan: is a scene, not a recording; `evio simulate`"
    ):
        open_source("scene:fan")


def test_options_belong_to_formats(tmp_path):
    MAKERS["DAT"](tmp_path / "a", EVENTS)
    for option in ("stream=left", "time_unit=ns", "topic=/x"):
        with pytest.raises(
            SourceError, match=rf"is Prophesee DAT, which has no option \?{option[:4]}"
        ):
            open_source(f"{tmp_path}/a?{option}")
    with pytest.raises(SourceError, match="colour= is not an option"):
        open_source(f"{tmp_path}/a?colour=red")


def test_options_are_joined_and_a_path_may_hold_a_question_mark(tmp_path):
    MAKERS["HDF5 of MVSEC"](tmp_path / "a?stream=x", EVENTS)
    with open_source(f"{tmp_path}/a?stream=x") as source:
        assert events_of(source.batches()) == EVENTS
    with open_source(f"{tmp_path}/a?stream=x?stream=right&time_unit=ms") as source:
        assert [event[0] for event in events_of(source.batches())] == [
            round(event[0] / 1000) for event in EVENTS[::2]
        ]


def test_the_documentation_says_what_each_reader_keeps():
    assert with_table(DOCUMENT.read_text()) == DOCUMENT.read_text()
    for kind in format_classes():
        assert f"| {kind.format_name} | {kind.keeps} | {kind.loses} |" in DOCUMENT.read_text()


def test_a_folder_that_is_no_bag_is_told_by_its_files(tmp_path):
    with pytest.raises(SourceError, match="is a directory, not a recording; it is empty"):
        open_source(str(tmp_path))
    for name in ("1.png", "2.png", "a.raw"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"name one of its files, 2 of \.png, 1 of \.raw"):
        open_source(str(tmp_path))


def test_a_broken_link_says_where_it_leads(tmp_path):
    link = tmp_path / "a.raw"
    link.symlink_to(tmp_path / "moved.raw")
    with pytest.raises(SourceError, match="it is a link to "):
        open_source(str(link))


def test_an_option_that_is_none_is_refused_with_those_that_are(tmp_path):
    MAKERS["DAT"](tmp_path / "a", EVENTS)
    with pytest.raises(
        SourceError, match=r"\?camera= is not an option .* topic, stream, time_unit"
    ):
        open_source(f"{tmp_path}/a?camera=1")


def test_a_bags_metadata_file_is_refused_by_name(tmp_path):
    MAKERS["bag"](tmp_path / "a", EVENTS)
    with pytest.raises(SourceError, match="metadata of a rosbag2 bag; name the bag's folder"):
        open_source(f"{tmp_path}/a/metadata.yaml")
