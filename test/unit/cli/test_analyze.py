"""`evio analyze` on a simulated fan: the rows, the files and the options."""

import csv
import itertools
import json
import math

import numpy as np
import pytest
from PIL import Image
from small_fan import BLADES, CAMERA, DISC, DURATION_US, RPM

from evio_ros.simulation.truth import Truth, truth_path

KEYS = {
    *("t_us", "window_us", "id", "rpm", "rpm_std", "blade_count", "angle_rad", "turns"),
    *("center", "axes", "tilt_rad", "confidence", "events", "looked_back"),
}


def no_constant(name: str) -> None:
    pytest.fail(f"{name} is no JSON")


def lines(text: str) -> list[dict]:
    return [json.loads(line, parse_constant=no_constant) for line in text.splitlines()]


@pytest.fixture(scope="module")
def analyzed(fan_recording, tmp_path_factory):
    """All outputs of one run."""
    from evio_ros.cli.analyze import analyze

    folder = tmp_path_factory.mktemp("analyzed")
    analyze(
        [str(fan_recording)],
        json_path=str(folder / "fan.jsonl"),
        csv_path=folder / "fan.csv",
        plot_path=folder / "fan.png",
    )
    return folder


@pytest.fixture(scope="module")
def rows(analyzed):
    return lines((analyzed / "fan.jsonl").read_text())


def test_one_row_for_each_window_and_rotor(rows):
    first_us = rows[0]["t_us"] - 100_000
    assert 0 <= first_us < 1_000
    ends = [row["t_us"] for row in rows]
    # 100 ms windows, a result every 50 ms, as many as the recording covers.
    assert ends == [first_us + 100_000 + 50_000 * index for index in range(10)]
    assert DURATION_US - 51_000 < ends[-1] < DURATION_US


def test_rows_have_the_documented_keys(rows):
    for row in rows:
        if row["id"] is None:
            assert row == {"t_us": row["t_us"], "window_us": 100_000, "id": None}
        else:
            assert set(row) == KEYS
    assert sum(row["id"] is not None for row in rows) >= 7


def test_rows_agree_with_the_truth(rows, fan_recording):
    truth = Truth.read(truth_path(fan_recording)).rotors[0]
    seen = [row for row in rows if row["id"] is not None]
    assert {row["id"] for row in seen} == {seen[0]["id"]}
    for row in seen:
        assert row["rpm"] == pytest.approx(RPM, rel=1e-3)
        assert 0 < row["rpm_std"] < 1e-3 * RPM
        assert row["blade_count"] == BLADES
        assert 0 <= row["angle_rad"] < 2 * math.pi
        blades_off = (row["angle_rad"] - truth.angle_rad(row["t_us"])) / (2 * math.pi / BLADES)
        # Which blade is the reference blade is free, how far it has turned is not.
        assert abs(blades_off - round(float(blades_off))) < 0.15
        assert row["center"] == pytest.approx(DISC.center, abs=1.0)
        assert row["axes"] == pytest.approx(DISC.axes, rel=0.05)
        assert row["axes"][0] >= row["axes"][1]
        assert 0 < row["confidence"] <= 1
    for before, after in itertools.pairwise(seen):
        turned = after["turns"] - before["turns"]
        assert turned == pytest.approx(RPM / 60e6 * (after["t_us"] - before["t_us"]), abs=0.02)


def test_the_csv_holds_the_same(analyzed, rows):
    with (analyzed / "fan.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows)
    for cells, row in zip(table, rows, strict=True):
        if row["id"] is None:
            assert {name for name, cell in cells.items() if cell} == {"t_us", "window_us"}
            continue
        flat = {name: value for name, value in row.items() if name not in ("center", "axes")}
        flat["center_x"], flat["center_y"] = row["center"]
        flat["axis_a"], flat["axis_b"] = row["axes"]
        assert {name: float(cell) for name, cell in cells.items()} == flat


def test_the_plot_is_a_picture(analyzed):
    with Image.open(analyzed / "fan.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
        low, high = picture.convert("L").getextrema()
    assert (low, high) != (255, 255)


def test_a_dash_prints_rows_and_nothing_else(evio, fan_recording):
    code, out, err = evio("analyze", fan_recording, "--json", "-", "--duration", 0.25)
    assert code == 0
    assert [row["window_us"] for row in lines(out)] == [100_000] * 4
    assert "4 windows" in err


def test_a_dash_prints_the_table_and_nothing_else(evio, analyzed, fan_recording):
    code, out, err = evio("analyze", fan_recording, "--csv", "-")
    assert code == 0
    assert list(csv.reader(out.splitlines())) == list(
        csv.reader((analyzed / "fan.csv").read_text().splitlines())
    )
    assert "1 rotor in" in err


def test_what_was_guessed_of_the_recording_is_said(evio, fan_recording, tmp_path):
    assert evio("convert", fan_recording, tmp_path / "fan.csv", "--duration", 0.3)[0] == 0
    bare = tmp_path / "bare.txt"
    lines_of_text = (tmp_path / "fan.csv").read_text().splitlines(keepends=True)
    bare.write_text("".join(line for line in lines_of_text if line[0].isdigit()))
    code, out, _ = evio("analyze", bare)
    assert code == 0
    assert "Times are read as us" in out
    assert "is guessed from the events" in out
    code, out, _ = evio("analyze", bare, "--size", CAMERA.size)
    assert code == 0
    assert "is guessed" not in out


def test_causal_gives_only_what_a_live_camera_would(evio, fan_recording, rows):
    code, out, _ = evio("analyze", fan_recording, "--json", "-", "--causal")
    assert code == 0
    live = [row for row in lines(out) if row["id"] is not None]
    assert not any(row["looked_back"] for row in live)
    of_both = {row["t_us"]: row for row in rows if row["id"] is not None}
    assert min(of_both) < live[0]["t_us"]
    replaced = [row for row in live if row != of_both[row["t_us"]]]
    assert len(replaced) < len(live)
    for row in replaced:
        better = of_both[row["t_us"]]
        assert better["looked_back"]
        assert better["rpm_std"] < row["rpm_std"]


def test_without_outputs_a_summary_is_printed(evio, fan_recording):
    code, out, err = evio("analyze", fan_recording)
    assert code == 0
    assert "1150.0" in out
    assert "1 rotor in 10 windows" in out
    assert err == ""


def test_a_window_that_the_recording_does_not_fill_is_not_measured(evio, fan_recording):
    # 10 ms of the last step have events; a window that took the rest for silence would be slower.
    _, out, _ = evio("analyze", fan_recording, "--json", "-", "--duration", 0.51)
    found = lines(out)
    assert found[-1]["t_us"] - found[0]["t_us"] == 400_000
    speeds = [row["rpm"] for row in found if row["id"] is not None]
    assert speeds == pytest.approx([RPM] * len(speeds), rel=1e-3)


def test_start_and_duration_count_from_the_recordings_start(evio, fan_recording, rows):
    options = ("--start", 0.1, "--duration", 0.2)
    _, out, _ = evio("analyze", fan_recording, "--json", "-", *options)
    begin_us = rows[0]["t_us"]  # the end of the first window of 100 ms
    assert [row["t_us"] - begin_us for row in lines(out)] == [100_000, 150_000, 200_000]


def test_roi_leaves_out_all_other_pixels(evio, fan_recording):
    # The fan reaches from 20 to 80; right of it there is noise alone.
    _, out, _ = evio("analyze", fan_recording, "--json", "-", "--roi", 85, 0, 100, 80)
    assert [row["id"] for row in lines(out)] == [None] * 10


def test_no_rotor_is_explained_in_one_line(evio, fan_recording):
    beside = ("--roi", 85, 0, 100, 80)
    _, out, _ = evio("analyze", fan_recording, *beside)
    first, why = out.splitlines()
    assert first == "No rotor seen in 10 windows."
    assert why.startswith("Most likely because: in the whole view, 100x80 px, ")


@pytest.mark.parametrize("start", [0.3, 0.49])
def test_why_so_short_a_part_has_no_rotor_is_always_told(evio, fan_recording, start):
    _, out, _ = evio("analyze", fan_recording, "--start", start, "--duration", 0.1)
    first, why = out.splitlines()
    assert first == "No rotor seen in 1 window."
    assert "0.1 s of events, 0.25 s are needed" in why


def test_every_place_without_a_rotor_is_explained_where_that_is_asked_for(evio, fan_recording):
    _, out, _ = evio("analyze", fan_recording, "--explain", "--roi", 85, 0, 100, 80)
    assert "where no rotor was found" in out
    assert "what stopped the search" in out
    _, out, _ = evio("analyze", fan_recording, "--explain")
    assert "1 rotor in 10 windows" in out
    assert "No other place was searched." in out


@pytest.mark.parametrize("method", ["welch", "autocorrelation", "period_filter"])
def test_a_classical_method_can_be_chosen(evio, fan_recording, method):
    pytest.importorskip("cv2", reason="the outlines of the classical methods need OpenCV")
    _, out, _ = evio("analyze", fan_recording, "--json", "-", "--method", method, "--blades", 3)
    speeds = [row["rpm"] for row in lines(out) if row["id"] is not None]
    assert np.median(speeds) == pytest.approx(abs(RPM), rel=0.02)


@pytest.mark.parametrize(
    ("options", "window_us", "step_us"),
    [
        (("--window-ms", 120), 120_000, 40_000),
        (("--window-ms", 20), 20_000, 20_000),
        (("--window-ms", 100, "--step-ms", 25), 100_000, 25_000),
        (("--window-ms", 33.3), 33_300, 33_300),
    ],
)
def test_window_and_step(evio, fan_recording, options, window_us, step_us):
    _, out, _ = evio("analyze", fan_recording, "--json", "-", "--duration", 0.2, *options)
    rows = lines(out)
    assert {row["window_us"] for row in rows} == {window_us}
    ends = [row["t_us"] for row in rows]
    assert {after - before for before, after in itertools.pairwise(ends)} == {step_us}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "fft"), "--method: 'fft' is not one of phase, welch, autocorrelation"),
        (
            ("--explain", "--method", "welch"),
            "--explain: welch has no explanations; use --method phase",
        ),
        (("--blades", 3), "--blades: only for the classical methods"),
        (("--window-ms", 100, "--step-ms", 30), "window_us: 100000 is not a multiple of step_us"),
        (("--window-ms", 1), "window_us: 1000 is below the minimum 5000 us"),
        (("--window-ms", 0), "window_us: 0 is below the minimum 5000 us"),
        (("--window-ms", -100), "window_us: -100000 is below the minimum 5000 us"),
        (("--window-ms", 1e9), "is above the maximum 2000000 us"),
        (("--window-ms", "nan"), "--window-ms: nan ms is not a finite time"),
        (("--step-ms", "inf"), "--step-ms: inf ms is not a finite time"),
        (("--step-ms", 0), "step_us: 0 is below the minimum 1000 us"),
        (("--window-ms", 1000), "--window-ms: 1000 ms is longer than the 599"),
        (("--duration", 0.05), "--window-ms: 100 ms is longer than the 50 ms to measure"),
        (("--duration", 0), "--duration: 0 s is not positive"),
        (("--duration", "nan"), "--duration: nan s is not a finite time"),
        (("--duration", 1e305), "--duration: 1e+305 s is not a finite time"),
        (("--start", -1), "--start: -1 s is negative"),
        (("--start", 5), "--start: 5 s is past the recording's end"),
        (("--start", "nan"), "--start: nan s is not a finite time"),
        (("--roi", 0, 0, 101, 80), "--roi: (101, 80) is outside the sensor of 100x80 pixels"),
        (("--roi", 10, 10, 10, 20), "region (10, 10)-(10, 20) is empty or negative"),
        (("--roi", -5, 0, 10, 20), "region (-5, 0)-(10, 20) is empty or negative"),
        (("--plot", "fan.xyz"), "fan.xyz: unknown kind of picture; the name must end in one of"),
        (("--plot", "fan.raw"), "fan.raw: unknown kind of picture; the name must end in one of"),
        (("--plot", "fan"), "fan: unknown kind of picture; the name must end in one of"),
    ],
)
def test_an_option_out_of_range_is_refused_in_one_line(evio, fan_recording, options, message):
    code, out, err = evio("analyze", fan_recording, *options)
    assert (code, out) == (2, "")
    assert err.startswith("evio: ")
    assert err.count("\n") == 1
    assert message in err


def test_parameters_of_the_detector_are_set_by_name(evio, fan_recording):
    slower = f"acquisition.maximum_speed_hz={RPM / 60 / 2}"
    _, out, _ = evio("analyze", fan_recording, "--causal", "--set", slower)
    assert "No rotor seen" in out
    assert "Raise the parameter acquisition.maximum_speed_hz" in out
    options = ("--set", slower, "--set", "acquisition.maximum_speed_hz=2000", "--json", "-")
    code, out, _ = evio("analyze", fan_recording, "--causal", *options)
    assert code == 0
    assert any(row["id"] is not None for row in lines(out))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "patience"], "--set: 'patience' is not NAME=VALUE"),
        (["--set", "patience=x"], "patience: 'x' is not a number"),
        (["--set", "window_us=20000"], "--set: window_us has an option of its own"),
        (["--set", "acquisition.line=3"], "did you mean acquisition.lines?"),
        (["--method", "welch", "--set", "patience=3"], "--set: welch has no such parameters"),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(evio, fan_recording, options, message):
    code, _, err = evio("analyze", fan_recording, *options)
    assert code != 0
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_recording_is_never_overwritten(evio, fan_recording, tmp_path):
    before = fan_recording.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(fan_recording)
    uri = fan_recording.as_uri().replace("fan", "f%61n")
    for name, output in itertools.product(
        (fan_recording, uri), (fan_recording, tmp_path / "link.jsonl")
    ):
        code, _, err = evio("analyze", name, "--json", output)
        assert code == 2
        assert f"{output}: would overwrite the recording or another output" in err
    assert fan_recording.read_bytes() == before


def test_two_outputs_of_one_name_are_refused(evio, fan_recording, tmp_path):
    output = tmp_path / "fan.csv"
    code, _, err = evio("analyze", fan_recording, "--json", output, "--csv", output)
    assert code == 2
    assert "another output" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--json", "--csv", "--plot"])
def test_a_folder_that_is_not_there_is_told_before_the_work(evio, fan_recording, option, tmp_path):
    output = tmp_path / "missing" / "fan.png"
    code, out, err = evio("analyze", fan_recording, option, output)
    assert (code, out) == (2, "")
    assert err == f"evio: {output}: cannot be written: No such file or directory\n"
