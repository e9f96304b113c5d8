"""NPY and NPZ: records and matrices of several libraries, EVIMO2's columns, refusal of pickles."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest
from encoded_events import events_of, random_events
from field_cases import field_case

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source

EVENTS = random_events(3000, start_us=1000, mean_step_us=30.0)
T, X, Y, P = (np.array(column) for column in zip(*EVENTS, strict=True))
RECORDS = {
    "expelliarmus": [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")],
    "Metavision": [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")],
    "tonic": [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")],
    "faery": [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")],
    "dv": [("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1")],
    "big-endian": [("ts", ">i8"), ("x", ">u2"), ("y", ">u2"), ("pol", ">i2")],
    "unit in a name": [("t_us", "<f8"), ("x", "<f4"), ("y", "<f4"), ("p", "<f4")],
}


def records(kind):
    made = np.zeros(len(EVENTS), kind)
    roles = {"p": P, "on": P, "pol": P, "polarity": P, "x": X, "y": Y}
    for name in made.dtype.names:
        made[name] = roles.get(name, T)
    return made


def read(path, options=""):
    with open_source(f"{path}{options}") as source:
        return events_of(source.batches()), source


def saved(path, array):
    with path.open("wb") as file:
        np.save(file, array)
    return path


@pytest.mark.parametrize("kind", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("packed", [None, np.savez, np.savez_compressed])
def test_records_of_several_libraries(kind, packed, tmp_path):
    array = records(kind)
    if packed is None:
        saved(tmp_path / "a", array)
    else:
        with (tmp_path / "a").open("wb") as file:
            packed(file, events=array)
    assert read(tmp_path / "a")[0] == EVENTS


def test_records_may_stand_in_one_column(tmp_path):
    saved(tmp_path / "a", records(RECORDS["tonic"])[:, None])
    assert read(tmp_path / "a")[0] == EVENTS


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt", "ptxy"])
@pytest.mark.parametrize("kind", ["<i8", "<f8", "<u4", ">i4"])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("turned", [False, True])
def test_matrices(order, kind, layout, turned, tmp_path):
    values = {"t": T, "x": X, "y": Y, "p": P}
    matrix = np.stack([values[role] for role in order], axis=1).astype(kind)
    saved(tmp_path / "a", np.array(matrix.T if turned else matrix, order=layout))
    found, source = read(tmp_path / "a")
    assert found == EVENTS
    assert f"read as {' '.join(order)} by their values" in source.remarks[0]


def test_a_matrix_of_seconds_and_signs(tmp_path):
    saved(tmp_path / "a", np.stack((T * 1e-6, X, Y, 2 * P - 1), axis=1))
    assert read(tmp_path / "a")[0] == EVENTS


def test_evimo2(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        xy = np.stack((X, Y), axis=1).astype(np.uint16)
        np.savez(
            file,
            events_t=(T * 1e-6).astype(np.float32),
            events_xy=xy,
            events_p=P.astype(np.uint8),
            meta=np.array({"a": 1}, object),
        )
    found, _ = read(tmp_path / "a")
    times = [int(np.rint(np.float64(np.float32(t * 1e-6)) * 1e6)) for t in T]
    assert found == sorted(zip(times, X, Y, P, strict=True), key=lambda event: event[0])


@pytest.mark.parametrize(
    "geometry",
    [
        {"width": 1280, "height": 720},
        {"width": np.array([1280]), "height": np.array([720])},
        {"resolution": (1280, 720)},
        {"sensor_size": (720, 1280)},
        {"geometry": "1280x720"},
    ],
)
def test_the_geometry_of_an_npz_file(geometry, tmp_path):
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, events=records(RECORDS["tonic"]), **geometry)
    found, source = read(tmp_path / "a")
    assert (found, source.size) == (EVENTS, SensorSize(1280, 720))


@pytest.mark.parametrize(
    "names", [("t", "x", "y", "p"), ("ts", "xs", "ys", "ps"), ("timestamps", "x", "y", "polarity")]
)
def test_columns_by_any_name(names, tmp_path):
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, **dict(zip(names, (T, X, Y, P), strict=True)))
    assert read(tmp_path / "a")[0] == EVENTS


def test_what_the_user_says_of_the_unit_counts(tmp_path):
    saved(tmp_path / "a", np.stack((T, X, Y, P), axis=1))
    found, _ = read(tmp_path / "a", "?time_unit=ns")
    assert found[-1][0] == EVENTS[-1][0] // 1000


EVIMO2 = {
    "dataset_events_t": T * 1e-6,
    "dataset_events_xy": np.stack((X, Y), axis=1).astype(np.uint16),
    "dataset_events_p": P.astype(np.uint8),
}


def test_a_folder_of_arrays(tmp_path):
    (tmp_path / "notes.txt").write_text("a scene")
    for name, array in EVIMO2.items():
        np.save(tmp_path / f"{name}.npy", array)
    assert read(tmp_path)[0] == EVENTS
    middle_us = EVENTS[1500][0]
    with open_source(str(tmp_path)) as source:
        source.seek(middle_us)
        assert events_of(source.batches()) == [e for e in EVENTS if e[0] >= middle_us]


def test_a_folder_that_was_packed_as_a_whole(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, array in EVIMO2.items():
            with archive.open(f"scene_7/{name}.npy", "w") as file:
                np.save(file, array)
    assert read(tmp_path / "a.zip")[0] == EVENTS


def test_a_folder_of_other_arrays_is_refused(tmp_path):
    np.save(tmp_path / "depth.npy", np.zeros((4, 5, 6)))
    with pytest.raises(SourceError, match=r"has no arrays t, x, y, p .*; it has depth"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
@pytest.mark.parametrize("is_record", [False, True])
def test_dates_and_spans_have_their_unit(unit, kind, is_record, tmp_path):
    whole_us = {"s": 10**6, "ms": 1000}.get(unit, 1)
    stored = (T // whole_us * whole_us).astype(f"{kind}[us]").astype(f"{kind}[{unit}]")
    made = records([("t", stored.dtype), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    made["t"] = stored
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, **({"events": made} if is_record else {"t": stored, "x": X, "y": Y, "p": P}))
    assert read(tmp_path / "a")[0] == [(t // whole_us * whole_us, *rest) for t, *rest in EVENTS]


def test_dates_of_another_unit_are_refused(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, t=T.astype("datetime64[D]"), x=X, y=Y, p=P)
    with pytest.raises(
        SourceError, match=r"times are of type datetime64\[D\]; supported units are s, ms, us, ns"
    ):
        read(tmp_path / "a")


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("was unpickled",))


def test_pickles_are_refused_and_never_run(tmp_path):
    array = np.array([Trap()], object)
    for name, save in (("a.npy", np.save), ("a.npz", np.savez)):
        with (tmp_path / name).open("wb") as file:
            save(file, array)
        with pytest.raises(SourceError, match="Python objects, which are pickled and never read"):
            open_source(str(tmp_path / name))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SourceError, match="a Python pickle, which is never read"):
        open_source(str(tmp_path / "a.pkl"))


@pytest.mark.parametrize(
    ("kind", "shape", "reason"),
    [
        ("'<i8'", "(1000000000000, 4)", "is truncated or not"),
        ("'<i8'", "(-4, 4)", "cannot be read|no valid"),
        ("'<U9'", "(1, 1)", "not a table of events"),
        ("'|O'", "(4, 4)", "are pickled and never read"),
        ("'<i8'", "(3, 4)", "not a table of events"),
        ("'<i8'", "(4,)", "not a table of events"),
        ("[('t', '<i8', (1000,)), ('x', '<i8')]", "(1,)", "is truncated or not"),
        ("(" * 4000, "(1,)", "no valid NPY header"),
    ],
)
def test_hostile_headers_are_one_error(kind, shape, reason, tmp_path):
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}".encode()
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(128)
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(SourceError, match=reason) as error:
        open_source(str(tmp_path / "a"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["a_expelliarmus.npy", "b_record_npz.npz", "c_evimo2.npz", "d_matrix_txyp.npy"]
)
def test_the_field_cases_are_read(name):
    found, _ = read(field_case(f"33_numpy_files/{name}"))
    assert [event[0] for event in found] == list(range(1000, 100_981, 20))
    assert sum(event[3] for event in found) == 2576


@pytest.mark.parametrize(
    "kind",
    [
        [("t", "<i8"), ("xy", "<u2", (2,)), ("p", "u1")],
        [("t", "<i8"), ("pixel", [("x", "<u2"), ("y", "<u2")]), ("p", "u1")],
    ],
)
def test_records_in_which_x_and_y_lie_together(kind, tmp_path):
    made = np.zeros(len(EVENTS), kind)
    made["t"], made["p"] = T, P
    if "xy" in made.dtype.names:
        made["xy"] = np.stack((X, Y), axis=1)
    else:
        made["pixel"]["x"], made["pixel"]["y"] = X, Y
    saved(tmp_path / "a", made)
    assert read(tmp_path / "a")[0] == EVENTS


def test_numbered_rows_are_no_times(tmp_path):
    saved(tmp_path / "a", np.stack((np.arange(len(T)), T, X, Y, P), axis=1))
    assert read(tmp_path / "a")[0] == EVENTS


@pytest.mark.parametrize("order", ["txyp", "xypt"])
def test_arrays_without_names(order, tmp_path):
    values = {"t": T, "x": X, "y": Y, "p": P}
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, *(values[role] for role in order))
    found, source = read(tmp_path / "a")
    assert found == EVENTS
    assert f"read as {' '.join(order)} by their values" in source.remarks[0]


def test_polarities_that_are_no_numbers_are_off(tmp_path):
    polarity = np.where(P, 1.0, np.nan)
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, t=T, x=X, y=Y, p=polarity)
    assert read(tmp_path / "a")[0] == EVENTS


def test_a_matrix_whose_times_are_a_little_out_of_order(tmp_path):
    order = np.argsort(T + np.random.default_rng(0).integers(-2000, 2000, len(T)), kind="stable")
    matrix = np.stack((X, Y, P, T), axis=1)[order]
    found, _ = read(saved(tmp_path / "a", matrix))
    assert sorted(found) == sorted(EVENTS)


@pytest.mark.parametrize("row", [(639, 479, 1, 1012), (1012, 639, 479, 1), (639, 479, 1012, 1)])
def test_of_one_row_without_names_the_largest_number_is_the_time(row, tmp_path):
    found, _ = read(saved(tmp_path / "a", np.array([row], np.float64)))
    assert found == [(1012, 639, 479, 1)]


def test_an_npz_that_is_cut_off_says_so(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, t=T, x=X, y=Y, p=P)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceError, match="truncated, or still being written"):
        read(path)


def test_seeks_find_times_behind_a_wrap_of_the_columns_counter(tmp_path):
    path = tmp_path / "a.npz"
    t = 2**31 - 50_000 + 20 * np.arange(5_000)
    pixel = np.arange(5_000) % 200
    np.savez(path, t=t % 2**31, x=pixel, y=pixel, p=pixel % 2)
    with open_source(str(path)) as source:
        assert (source.start_us, source.end_us) == (t[0], t[-1] + 1)
        source.seek(int(t[4_000]))
        found = np.concatenate([batch.t for batch in source.batches()])
        assert found.tolist() == t[4_000:].tolist()
        assert source.statistics.clock_restarts == 0
