"""HDF5: layouts of makers, simulators and data sets, their geometry, and several cameras."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from encoded_events import SIZE, events_of, random_events
from field_cases import field_case

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source

EVENTS = random_events(3000, start_us=1000, mean_step_us=30.0)
T, X, Y, P = (np.array(column) for column in zip(*EVENTS, strict=True))
SECONDS = 1_506_117_890.0


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as made:
        yield made


def read(file, options=""):
    path = file.filename
    file.close()
    with open_source(path + options) as source:
        return events_of(source.batches()), source


def columns(group, names="txyp", t=T, p=P):
    values = t, X.astype(np.uint16), Y.astype(np.uint16), p
    for name, column in zip(names, values, strict=True):
        group.create_dataset(name, data=column)


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt", "ptxy", "tpxy"])
@pytest.mark.parametrize("kind", [np.uint32, np.int64, np.float64])
def test_matrices_in_any_order(file, order, kind):
    values = {"t": T, "x": X, "y": Y, "p": P}
    file["events"] = np.stack([values[role] for role in order], axis=1).astype(kind)
    found, source = read(file)
    assert found == EVENTS
    assert f"read as {' '.join(order)} by their values" in " ".join(source.remarks)


def test_a_matrix_that_lies_on_its_side(file):
    file["events"] = np.stack((X, Y, T, P))
    assert read(file)[0] == EVENTS


@pytest.mark.parametrize("said", ["y,x,p,t", "yxpt", ["y", "x", "p", "t_us"], "y x polarity time"])
def test_attributes_name_the_columns_of_a_matrix(file, said):
    file["events"] = np.stack((Y, X, P, T), axis=1)
    file["events"].attrs["columns"] = said
    assert read(file)[0] == EVENTS


def test_mvsec_has_seconds_and_two_cameras(file):
    for side, part in (("left", slice(None)), ("right", slice(0, 9))):
        matrix = np.stack((X, Y, SECONDS + T * 1e-6, 2 * P - 1), axis=1)[part]
        file[f"davis/{side}/events"] = matrix
        file[f"davis/{side}/imu"] = np.zeros((7, 6))
        file[f"davis/{side}/image_raw"] = np.zeros((2, 4, 5), np.uint8)
        file[f"davis/{side}/image_raw_event_inds"] = np.arange(2)
    path = file.filename
    found, source = read(file)
    start_us = int(SECONDS) * 10**6
    # The resolution of a float of this size is half a microsecond.
    assert [event[1:] for event in found] == [event[1:] for event in EVENTS]
    assert np.abs(np.array([event[0] for event in found]) - start_us - T).max() <= 1
    assert "others with ?stream=davis/right/events" in source.remarks[-1] + source.remarks[0]
    for wanted in ("right", "davis/right", "davis/right/events"):
        with open_source(f"{path}?stream={wanted}") as source:
            assert len(events_of(source.batches())) == 9
    with pytest.raises(SourceError, match="has no stream 'middle'; it has davis/left/events"):
        open_source(f"{path}?stream=middle")


def test_m3ed(file):
    for side in ("left", "right"):
        group = file.create_group(f"prophesee/{side}")
        columns(group, p=P.astype(np.int8))
        group["ms_map_idx"] = np.arange(5)
        group["calib/resolution"] = np.array([1280, 720])
        group["calib/intrinsics"] = np.zeros(4)
    found, source = read(file, "?stream=right")
    assert found == EVENTS
    assert source.size == SensorSize(1280, 720)


def test_dsec_has_an_offset_and_a_map_that_is_not_applied(file, tmp_path):
    columns(file.create_group("events"), t=T - 1000)
    file["ms_to_idx"], file["t_offset"] = np.arange(9, dtype=np.uint64), np.int64(1000)
    (tmp_path / "rectify_map.h5").write_bytes(b"")
    found, source = read(file)
    assert found == EVENTS
    assert "rectify_map.h5 is not applied" in source.remarks[-1] + source.remarks[0]


@pytest.mark.parametrize(
    ("t", "offset"),
    [
        ({"t_ns": T * 1000}, np.int64(16 * 10**17)),
        ({"time_sec": T * 1e-6}, np.int64(16 * 10**8)),
        ({"t": T * 1e-6}, np.float64(16e8)),
        ({"t": T}, np.int64(16 * 10**14)),
    ],
)
def test_the_offset_is_in_the_unit_of_times_where_that_is_told(file, t, offset):
    ((name, values),) = t.items()
    columns(file.create_group("events"), (name, *"xyp"), values)
    file["t_offset"] = offset
    assert read(file)[0] == [(t_us + 16 * 10**14, *rest) for t_us, *rest in EVENTS]


def test_rvt_has_its_geometry_beside_the_columns(file):
    columns(file.create_group("events"), p=P.astype(np.uint8))
    file["events/height"], file["events/width"] = 720, 1280
    file["events/divider"] = 1
    found, source = read(file)
    assert (found, source.size) == (EVENTS, SensorSize(1280, 720))


def test_what_is_made_of_events_is_refused_by_name(file):
    file["data"] = np.zeros((2, 20, 8, 9), np.uint8)
    with pytest.raises(SourceError, match=r"data \(2, 20, 8, 9\) contains pictures or histograms"):
        read(file)


@pytest.mark.parametrize("names", ["txyp", ("ts", "xs", "ys", "ps"), ("timestamps", *"xyp")])
@pytest.mark.parametrize("place", ["", "events", "CD", "a/b/c"])
def test_columns_by_any_name_anywhere(file, names, place):
    columns(file.require_group(place) if place else file, tuple(names))
    assert read(file)[0] == EVENTS


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (np.uint32, [4294967295, 1]),
        (np.uint8, [255, 1]),
        (np.int8, [-1, 1]),
        (bool, [False, True]),
        (np.float32, [0, 1]),
    ],
)
def test_polarity_of_every_type(file, kind, values):
    columns(file, p=np.array(values, kind)[P])
    assert read(file)[0] == EVENTS


@pytest.mark.parametrize(
    ("t", "said"),
    [
        (T * 1000, "times are read as ns"),
        (T.astype(np.float64), None),
        (T * 1e-6, None),
        (T * 1e-3, "times are read as ms"),
    ],
)
def test_units_of_time(file, t, said):
    columns(file, t=t)
    found, source = read(file)
    assert found == EVENTS
    text = " ".join(source.remarks)
    assert said is None or said in text


@pytest.mark.parametrize("where", ["group", "column"])
def test_an_attribute_names_the_unit(file, where):
    columns(file.create_group("events"), t=T // 1000)
    (file["events"] if where == "group" else file["events/t"]).attrs["units"] = "ms"
    assert [event[0] for event in read(file)[0]] == (T // 1000 * 1000).tolist()


@pytest.mark.parametrize(
    "name",
    [
        lambda file: file.attrs.update(geometry="640x480"),
        lambda file: file["events"].attrs.update(geometry=b"640x480"),
        lambda file: file.attrs.update(sensor_resolution=(480, 640)),
        lambda file: file["events"].attrs.update(sensor_resolution=np.array([640, 480, 1])),
        lambda file: file.attrs.update(width=640, height=480),
        lambda file: (
            file.create_dataset("width", data=[640]) and file.create_dataset("height", data=480)
        ),
        lambda file: file["events"].attrs.update(width=640, height=480),
        lambda file: file.create_dataset("resolution", data=(480, 640)),
        lambda file: file.attrs.update(Width=640, Height=480),
        lambda file: file.attrs.update(width="640", height=b"480"),
        lambda file: file.attrs.update({"Image Size": (480, 640)}),
    ],
)
def test_geometry_wherever_it_is_named(file, name):
    x, y = X % 100, Y % 90
    group = file.create_group("events")
    for role, values in {"t": T, "x": x, "y": y, "p": P}.items():
        group[role] = values
    name(file)
    _, source = read(file)
    assert source.size == SIZE
    assert source.size_is_declared


def test_coordinates_with_fractions_are_told(file):
    for name, values in {"t": T, "x": X + 0.25, "y": Y, "p": P}.items():
        file[name] = values
    found, source = read(file)
    assert found == EVENTS
    assert "coordinates have fractions, which are truncated" in source.remarks


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda file: file.create_group("a"), "has no event columns t, x, y, p; it has nothing"),
        (lambda file: columns(file, p=P[:5]), "columns differ in length or are not flat"),
        (lambda file: columns(file, t=T.astype("S9")), "is of type .S9, which is not numeric"),
        (lambda file: file.create_dataset("events", data=np.zeros((9, 4))), "has no event columns"),
        (lambda file: file.create_dataset("events", data=np.zeros((9, 3))), "has no event columns"),
        (
            lambda file: [
                file.create_dataset(n, (1 << 40,), "i8", chunks=(1 << 26,)) for n in "txyp"
            ],
            "has chunks of 536870912 bytes",
        ),
        (lambda file: file.attrs.update(geometry="0x9") or columns(file), "geometry is impossible"),
    ],
)
def test_what_cannot_be_read_is_one_error(file, make, reason):
    make(file)
    with pytest.raises(SourceError, match=reason) as error:
        read(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "attributes",
    [{"width": 0, "height": 0}, {"geometry": "0x0"}, {"sensor_resolution": (0, 0)}],
)
def test_a_geometry_of_0_is_none(file, attributes):
    file.attrs.update(attributes)
    columns(file)
    events, source = read(file)
    assert events == EVENTS
    assert not source.size_is_declared


def test_a_file_whose_writer_was_killed_in_swmr_mode_is_read(tmp_path):
    with h5py.File(tmp_path / "a", "w", libver="latest") as file:
        columns(file.create_group("events"))
        file.swmr_mode = True
        data = (tmp_path / "a").read_bytes()
    (tmp_path / "b").write_bytes(data)
    with open_source(str(tmp_path / "b")) as source:
        assert events_of(source.batches()) == EVENTS
        assert "its writer has not closed it" in source.remarks[0]


def test_loops_and_links_to_other_files_are_left_out(file, tmp_path):
    columns(file.create_group("events"))
    file["events/loop"] = file["/"]
    file["elsewhere"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/x")
    file["nowhere"] = h5py.SoftLink("/not/there")
    assert read(file)[0] == EVENTS


@pytest.mark.parametrize("name", ["a_v2e.h5", "b_mvsec.hdf5", "e_metavision_plain.hdf5"])
def test_the_field_cases_are_read(name):
    with open_source(field_case(f"02_hdf5_layouts/{name}")) as source:
        found = events_of(source.batches())
    first = found[0][0]
    assert [event[0] - first for event in found] == pytest.approx(list(range(0, 99_981, 20)), abs=1)
    assert sum(event[3] for event in found) == 2576


def test_the_field_case_of_a_wrapped_polarity():
    with open_source(field_case("03_polarity_wrapped/off_is_minus_one_u4.h5")) as source:
        assert sum(event[3] for event in events_of(source.batches())) == 2576


def test_a_text_names_the_width_first(file):
    columns(file)
    file.attrs["geometry"] = "720x1280"
    assert read(file)[1].size == SensorSize(720, 1280)


@pytest.mark.parametrize("is_row", [False, True])
def test_matlab_has_columns_and_rows_behind_a_block_of_its_own(is_row, tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        for name, values in {"ts": T, "x": X, "y": Y, "pol": P}.items():
            column = values.astype(np.float64)[:, None]
            file[f"TD/{name}"] = column.T if is_row else column
        assert read(file)[0] == EVENTS


def test_the_fixed_form_of_pandas(file):
    # Columns of one type are one matrix, whose names are beside it.
    group = file.create_group("frame")
    group["axis0"] = np.array([b"t", b"x", b"y", b"p"])
    group["axis1"] = np.arange(len(EVENTS))
    group["block0_items"], group["block0_values"] = np.array([b"t"]), T[:, None]
    group["block1_items"] = np.array([b"y", b"x", b"p"])
    group["block1_values"] = np.stack((Y, X, P), axis=1).astype(np.int16)
    assert read(file)[0] == EVENTS


def test_the_table_form_of_pandas(file):
    kind = [("index", "<i8"), ("values_block_0", "<i8", (4,))]
    rows = np.zeros(len(EVENTS), kind)
    rows["index"] = np.arange(len(EVENTS))
    rows["values_block_0"] = np.stack((T, X, Y, P), axis=1)
    file["frame/table"] = rows
    found, source = read(file)
    assert found == EVENTS
    assert "by their values" in source.remarks[0]


@pytest.mark.parametrize(
    ("names", "pixels"),
    [
        (("t", "xy", "p"), np.stack((X, Y), axis=1)),
        (("times", "coords", "polarity"), np.stack((X, Y))),
        (("ts", "event_locations", "pol"), np.stack((X, Y), axis=1)),
    ],
)
def test_x_and_y_in_one_array(file, names, pixels):
    for name, values in zip(names, (T, pixels, P), strict=True):
        file[f"events/{name}"] = values
    assert read(file)[0] == EVENTS


def test_times_in_two_columns(file):
    t = T + 1_573_195_687_900_000
    for name, values in {"secs": t // 10**6, "nsecs": t % 10**6 * 1000, "x": X, "y": Y}.items():
        file[name] = values
    file["polarity"] = P
    assert read(file)[0] == list(zip(t, X, Y, P, strict=True))


def test_a_camera_without_events_is_left_out(file):
    for name, values in {"t": T, "x": X, "y": Y, "p": P}.items():
        file[f"cam0/{name}"], file[f"cam1/{name}"] = values[:0], values
    found, source = read(file)
    assert (found, source.details["stream"]) == (EVENTS, "cam1")


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_polarities_counted_from_1(file, kind):
    columns(file, p=(P + 1).astype(kind))
    assert read(file)[0] == EVENTS


def test_unknown_polarities_are_told(file):
    columns(file, p=np.where(P, 7, -7))
    found, source = read(file)
    assert found == EVENTS
    said = "polarities are -7, 7, which is unusual; those above 0 are read as ON"
    assert said in source.remarks


@pytest.mark.parametrize("order", ["shuffled", "reversed", "by frames"])
def test_events_in_no_order_are_sorted(file, order):
    # Some simulators write the events of each frame pixel by pixel.
    chance = np.random.default_rng(0)
    places = {
        "shuffled": chance.permutation(len(T)),
        "reversed": np.arange(len(T))[::-1],
        "by frames": np.lexsort((chance.random(len(T)), T // 33_000)),
    }[order]
    for name, values in {"t": T, "x": X, "y": Y, "p": P}.items():
        file[name] = values[places]
    found, source = read(file)
    # Events at the same time stay in the file's order.
    assert sorted(found) == sorted(EVENTS)
    assert [event[0] for event in found] == T.tolist()
    assert source.statistics.dropped == 0
    assert "events are not in time order; all 3000 were sorted in memory" in source.remarks


def test_a_clock_that_starts_anew_is_not_sorted(file):
    for name, values in {"t": T, "x": X, "y": Y, "p": P}.items():
        file[name] = np.r_[values + 5_000_000, values] if name == "t" else np.r_[values, values]
    found, source = read(file)
    assert found[:3000] == [(t + 5_000_000, x, y, p) for t, x, y, p in EVENTS]
    assert (len(found), source.statistics.clock_restarts) == (6000, 1)
