"""`evio info` against numbers known from how the recording was made."""

import json

import numpy as np
import pytest
from small_fan import DURATION_US

from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.writers.dat import DatWriter

SIZE = SensorSize(64, 48)
RECORD_BYTES = 8
COUNTERS = {
    *("reordered", "late", "outliers", "outside", "invalid", "truncated_bytes", "lost_packets"),
    *("repeated_packets", "overflows", "device_errors", "clock_restarts", "triggers"),
}


def write(path, t, x=1, y=2, on=True):
    t = np.asarray(t, np.int64)
    columns = (np.full(len(t), x, np.uint16), np.full(len(t), y, np.uint16))
    with DatWriter(path, SIZE) as writer:
        writer.append(EventBatch(SIZE, t, *columns, np.full(len(t), on)))
    return path


def facts(evio, path):
    code, out, err = evio("info", path, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_json_tells_what_was_written(evio, tmp_path):
    path = write(tmp_path / "a.dat", np.arange(50_000, 150_000, 10))
    told = facts(evio, path)
    assert told == {
        "file": str(path),
        "format": "Prophesee DAT",
        "width": 64,
        "height": 48,
        "geometry_declared": True,
        "start_us": 50_000,
        "duration_us": 99_991,
        "events": 10_000,
        "on": 10_000,
        "off": 0,
        "time_unit": "us",
        "polarity": "one bit",
        "counted": dict.fromkeys(COUNTERS, 0),
        "triggers": 0,
        "lost_packets": 0,
        "dropped": 0,
        "clock_restarts": [],
        "gaps": [],
        "missing": [],
        "hot_pixels": [[1, 2, 10_000]],
        "mean_rate_hz": pytest.approx(10_000 / 0.099991),
        # The last bin ends just after the last event: 1000 events in 9.991 ms.
        "peak_rate_hz": pytest.approx(1000 / 0.009991),
        "suspicious": ["1 hot pixels; hottest: (1, 2) 10000 events"],
    }


def test_the_table_tells_the_same(evio, fan_recording):
    told = facts(evio, fan_recording)
    code, out, err = evio("info", fan_recording)
    assert (code, err) == (0, "")
    table = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert table["format"].strip() == "Prophesee DAT"
    assert table["geometry"].strip() == "100x80"
    assert table["events"].strip() == f"{told['events']:,}"
    assert DURATION_US - 1000 < told["duration_us"] <= DURATION_US
    assert told["on"] + told["off"] == told["events"]


def test_a_single_time_stamp_for_all_events_is_suspicious(evio, tmp_path):
    path = tmp_path / "a.npz"
    ones = np.ones(500, np.int64)
    np.savez(path, t=1_600_000_000 * ones, x=np.arange(500), y=ones, p=ones)
    told = facts(evio, path)["suspicious"]
    assert told[-1].startswith("all events have the same time stamp")


def test_gaps_cuts_and_stray_events_are_suspicious(evio, tmp_path):
    path = write(tmp_path / "a.dat", [0, 10, 300_010, 300_020])
    with path.open("ab") as file:
        stray = np.array([300_030, 70 | 3 << 14 | 1 << 28], "<u4")  # x = 70 is outside
        file.write(stray.tobytes() + b"\x01\x02\x03")
    told = facts(evio, path)
    assert told["events"] == 4
    assert told["suspicious"] == [
        "1 events outside the geometry dropped",
        "3 bytes at the end that are not a whole record, left out",
        "no event for 300 ms at 0.000 s",
    ]


def test_events_out_of_order_are_put_right_or_dropped_and_told(evio, tmp_path):
    path = write(tmp_path / "a.dat", [0, 30_000])
    with path.open("ab") as file:
        # 5 ms and 20 ms behind the newest; up to 10 ms is sorted.
        for t in (25_000, 30_010, 10_000):
            file.write(np.array([t, 1 << 28], "<u4").tobytes())
    told = facts(evio, path)
    assert told["events"] == 4
    assert told["suspicious"] == [
        "1 events out of order, sorted",
        "1 events too far out of order, dropped",
    ]


def test_a_geometry_that_is_guessed_is_told(evio, tmp_path):
    records = np.array([[0, 300 | 5 << 14], [7, 10 | 200 << 14]], "<u4")
    path = tmp_path / "old.dat"
    path.write_bytes(b"% Data file\n% end\n" + bytes((0, 8)) + records.tobytes())
    told = facts(evio, path)
    assert (told["width"], told["height"], told["geometry_declared"]) == (304, 240, False)
    assert told["suspicious"][0].startswith("the header gives no geometry; 304x240 is guessed")


def test_a_name_with_brackets_is_shown_as_it_is(evio, tmp_path):
    folder = tmp_path / "[red]x[" / "b]"
    folder.mkdir(parents=True)
    path = write(folder / "[bold]a[ ].dat", [0, 1])
    code, out, _ = evio("info", path)
    assert code == 0
    assert "[red]x[/b]/[bold]a[ ].dat" in out


def test_the_unit_of_time_may_be_given(evio, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{1000 + 20 * i} {i % 64} {i % 48} {i % 2}\n" for i in range(500)))
    for options, duration_us in (([], 9981), (["--time-unit", "ms"], 9_980_001)):
        code, out, _ = evio("info", path, "--json", *options)
        assert code == 0
        assert json.loads(out)["duration_us"] == duration_us
    code, _, err = evio("info", path, "--time-unit", "h")
    assert code != 0
    assert "time_unit 'h' is not one of s, ms, us, ns" in err


def test_the_geometry_may_be_given(evio, tmp_path):
    path, picture = tmp_path / "a.txt", tmp_path / "a.png"
    path.write_text("".join(f"{1000 + 20 * i} {i % 64} {i % 48} {i % 2}\n" for i in range(500)))
    for recording, options in ((path, ["--size", "70x50"]), (f"{path}?size=70x50", [])):
        code, out, _ = evio("info", recording, "--json", *options)
        told = json.loads(out)
        assert (code, told["width"], told["height"]) == (0, 70, 50)
        assert told["geometry_declared"]
        assert not any("geometry" in remark for remark in told["suspicious"])
        assert evio("render", recording, "-o", picture, *options).out.endswith(", 70x50\n")
        copy = tmp_path / "b.dat"
        assert "at 70x50" in evio("convert", recording, copy, "--overwrite", *options).out
    _, _, err = evio("render", path, "-o", picture)
    assert "128x128 is guessed from the events (--size WIDTHxHEIGHT" in err


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("640", "--size: '640' is not WIDTHxHEIGHT, as 640x480"),
        ("64x48x2", "is not WIDTHxHEIGHT"),
        ("-64x48", "is not WIDTHxHEIGHT"),
        ("0x48", "--size: sensor width 0 is not in 1 to 65536 pixels"),
        ("60000x60000", "the geometry 60000x60000 has more pixels than sensors have"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(evio, tmp_path, size, words):
    path = write(tmp_path / "a.dat", [0, 100])
    code, _, err = evio("render", path, "-o", tmp_path / "a.png", "--size", size)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err


def test_x_and_y_of_a_usual_sensor_the_wrong_way_round_are_told(evio, tmp_path):
    path = tmp_path / "a.txt"
    lines = [f"{1000 + 20 * i} {i % 260} {i % 346} {i % 2}\n" for i in range(500)]
    path.write_text("t x y p\n" + "".join(lines))
    told = facts(evio, path)
    assert (told["width"], told["height"]) == (260, 346)
    assert "x and y fit a 346x260 sensor if they are exchanged" in told["suspicious"]


def test_what_was_wrong_is_said_alike_by_every_verb(evio, tmp_path):
    times = 5_000_000 + np.arange(0, 300_000, 10)
    path = write(tmp_path / "a.dat", times)
    records = np.zeros((30_001, 2), "<u4")
    records[0, 0] = 9_000_000  # an event whose time contradicts all others
    records[1:, 0] = np.arange(0, 300_000, 10)  # then the clock restarts
    with path.open("ab") as file:
        file.write(records.tobytes())
    told = facts(evio, path)
    assert told["events"] == 60_000
    assert told["clock_restarts"] == [{"t_us": int(times[-1]) + 10_000_000, "gap_us": None}]
    remarks = [
        "1 events whose time contradicts the others, dropped",
        f"the sensor's clock restarts; time continues at {times[-1] + 10_000_000} us, "
        "after a gap of unknown length, shown as 10 s",
    ]
    assert told["suspicious"][:2] == remarks
    _, _, err = evio("convert", path, tmp_path / "b.npz")
    assert all(remark in err for remark in remarks)
    _, out, _ = evio("analyze", path)
    assert all(f"{remark[0].upper()}{remark[1:]}." in out.splitlines() for remark in remarks)


def test_lost_packets_are_suspicious(evio, tmp_path):
    from encoded_events import SIZE as LARGE
    from encoded_events import batch_of, random_events
    from rosbags.rosbag2 import Reader, StoragePlugin, Writer

    from evio_ros.sources.codecs.bag_messages import message_types
    from evio_ros.sources.writers.registry import open_writer

    with open_writer(str(tmp_path / "a"), LARGE, "bag") as writer:
        writer.append(batch_of(random_events(20_000, mean_step_us=10.0)))
    with (
        Reader(tmp_path / "a") as reader,
        Writer(tmp_path / "b", version=8, storage_plugin=StoragePlugin.MCAP) as target,
    ):
        (found,) = reader.connections
        kept = target.add_connection(found.topic, found.msgtype, typestore=message_types())
        for number, (_, stamp, raw) in enumerate(reader.messages()):
            if number not in (3, 4):
                target.write(kept, stamp, raw)
    assert "2 packets were lost during the recording" in facts(evio, tmp_path / "b")["suspicious"]


def test_triggers_are_listed(evio, tmp_path):
    words = [0x8001, 0x6005, 0xA101, 7, 0x2001, 0x6009, 0xA100]
    path = tmp_path / "a.raw"
    path.write_bytes(
        b"% format EVT3;width=64;height=48\n% end\n" + np.array(words, "<u2").tobytes()
    )
    code, out, _ = evio("info", path, "--triggers", "--json")
    assert code == 0
    assert json.loads(out) == [
        {"edge": "rising", "channel": 1, "t_us": 4101},
        {"edge": "falling", "channel": 1, "t_us": 4105},
    ]
    _, out, _ = evio("info", path, "--triggers")
    assert [line.split() for line in out.splitlines()][1:] == [
        ["rising", "1", "4101"],
        ["falling", "1", "4105"],
    ]
    assert facts(evio, path)["triggers"] == 2


def test_json_tells_gaps_and_every_counter(evio, tmp_path):
    path = write(tmp_path / "a.dat", [0, 10, 300_010, 300_020])
    with path.open("ab") as file:
        stray = np.array([300_030, 70 | 3 << 14 | 1 << 28], "<u4")  # x = 70 is outside
        file.write(stray.tobytes() + b"\x01\x02\x03")
    told = facts(evio, path)
    assert told["gaps"] == [{"t_us": 10, "length_us": 300_000}]
    counted = {name: number for name, number in told["counted"].items() if number}
    assert counted == {"outside": 1, "truncated_bytes": 3}


def test_what_a_file_leaves_open_is_told(evio, tmp_path):
    rows = [f"{k * 1000},{k % 7},{k % 5},{255 * (k % 2)}" for k in range(3000)]
    (tmp_path / "a.csv").write_text("\n".join(["t_ns,x,y,p", *rows]))
    told = facts(evio, tmp_path / "a.csv")
    assert (told["time_unit"], told["polarity"]) == ("ns", "0, 255")
    assert (told["events"], told["on"], told["duration_us"]) == (3000, 1500, 3000)
    out = evio("info", tmp_path / "a.csv").out
    assert "0, 255" in out


def test_fixed_point_coordinates_are_suspicious(evio, tmp_path):
    x, y = np.arange(4000) % 640 * 32 + 3, np.arange(4000) % 480 * 32 + 5
    columns = {"t": np.arange(4000) * 10, "x": x, "y": y, "p": x % 64 > 32}
    np.savez(tmp_path / "a.npz", **columns)
    (told,) = [text for text in facts(evio, tmp_path / "a.npz")["suspicious"] if "reach" in text]
    assert told.endswith("more than sensors have; they may be in fixed point")
    np.savez(tmp_path / "b.npz", **columns, width=640, height=480)
    (told,) = [text for text in facts(evio, tmp_path / "b.npz")["suspicious"] if "reach" in text]
    assert told.endswith("they may be in fixed point, with 32 steps per pixel of 640x480")


def test_biases_of_a_file_beside_are_told(evio, tmp_path):
    path = write(tmp_path / "a.dat", np.arange(50_000, 150_000, 10))
    assert "biases" not in facts(evio, path)
    text = "0     % bias_diff\r\n-20\t%bias_diff_off\n# 5 % other\nnone % bias_fo\n"
    (tmp_path / "a.bias").write_text(text)
    assert facts(evio, path)["biases"] == ["bias_diff 0", "bias_diff_off -20"]
    code, out, _ = evio("info", path)
    assert (code, "biases" in out, "bias_diff 0, bias_diff_off -20" in out) == (0, True, True)
