"""`import evio_ros` and `evio_ros.measure`: light, and the same from whatever holds the events."""

from __future__ import annotations

import ast
import gc
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from small_fan import BLADES, RPM
from whole_recordings import all_events

import evio_ros
from evio_ros import measuring
from evio_ros.errors import EventError, ParameterError, SourceError
from evio_ros.events import EventBatch, RegionOfInterest, SensorSize
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.registry import open_source

LONGEST_IMPORT_S = 0.05
SOURCE = Path(evio_ros.__file__)


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def told(measurements) -> list[tuple]:
    """All that is measured, as plain values."""
    return [
        (m.t_us, m.window_us, [(r.id, r.rpm, r.rpm_std, r.center, r.events) for r in m.rotors])
        for m in measurements
    ]


@pytest.fixture(scope="module")
def fan(fan_recording) -> EventBatch:
    return all_events(fan_recording)


@pytest.fixture(scope="module")
def measured(fan_recording) -> list[tuple]:
    return told(evio_ros.measure(str(fan_recording), window_us=100_000))


@pytest.fixture
def opened(monkeypatch) -> list:
    """The sources that `measure` opens by itself, which note that they were closed."""
    sources = []

    def open_noted(path, size=None):
        source = open_source(path, size=size)
        close = source.close
        source.closed = False

        def close_noted():
            source.closed = True
            close()

        source.close = close_noted
        sources.append(source)
        return source

    monkeypatch.setattr(measuring, "open_source", open_noted)
    return sources


def test_the_import_is_quick_and_loads_nothing_heavy():
    code = (
        "import time; start = time.perf_counter(); import evio_ros, sys; "
        "print(time.perf_counter() - start, *sys.modules)"
    )
    seconds, *modules = python(code).split()
    assert not {"numpy", "numba", "scipy", "h5py"} & set(modules)
    assert [name for name in modules if name.startswith("evio_ros")] == ["evio_ros"]
    # A busy machine may be slow now and then.
    assert (
        min(float(seconds), *(float(python(code).split()[0]) for _ in range(4))) < LONGEST_IMPORT_S
    )


def test_every_name_is_that_of_its_module():
    for module, names in evio_ros._MODULES.items():
        for name in names:
            defined = getattr(importlib.import_module(f"evio_ros.{module}"), name)
            assert getattr(evio_ros, name) is defined
            assert defined.__module__ == f"evio_ros.{module}"


def test_type_checkers_see_the_same_names():
    (block,) = [
        node
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        node.module.removeprefix("evio_ros."): tuple(alias.name for alias in node.names)
        for node in block.body
    }
    assert seen == evio_ros._MODULES
    names = [name for group in seen.values() for name in group]
    assert sorted(evio_ros.__all__) == sorted(names)
    assert set(evio_ros.__all__) <= set(dir(evio_ros))


def test_mypy_knows_the_types(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    user = tmp_path / "user.py"
    user.write_text(
        "import evio_ros\n"
        "for m in evio_ros.measure('fan.raw', window_us=20_000):\n"
        "    reveal_type(m)\n"
        "evio_ros.measurre\n"
    )
    # At the package's root, where what it has seen of the package before is of use.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(user)]
    found = subprocess.run(command, cwd=SOURCE.parents[1], capture_output=True, text=True).stdout
    assert 'Revealed type is "evio_ros.estimate.Measurement"' in found
    assert 'Module has no attribute "measurre"' in found


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'evio_ros' has no attribute 'measurre'"):
        _ = evio_ros.measurre
    with pytest.raises(ImportError):
        from evio_ros import nothing  # noqa: F401


def test_submodules_and_star_imports_work():
    assert python("import evio_ros.events; print(evio_ros.events.SensorSize(3, 2))") == "3x2\n"
    assert python("from evio_ros import *; print(SensorSize(3, 2), measure.__name__)").startswith(
        "3x2"
    )


def test_the_fan_is_measured(measured):
    rotors = [rotor for _, _, found in measured for rotor in found]
    assert len(rotors) >= 6
    assert [rpm for _, rpm, *_ in rotors] == pytest.approx([RPM] * len(rotors), rel=1e-3)
    assert BLADES == 3


def test_every_form_of_the_events_gives_the_same(fan_recording, fan, measured):
    forms = {
        "path": fan_recording,
        "uri": f"file://{fan_recording}",
        "batch": fan,
        "array": evio_ros.events_to_array(fan),
        "columns": evio_ros.events_to_columns(fan),
    }
    for name, form in forms.items():
        assert told(evio_ros.measure(form, window_us=100_000, size=fan.size)) == measured, name


def test_a_polars_frame_gives_the_same(fan, measured):
    pytest.importorskip("polars", reason="Polars is not installed")
    frame = evio_ros.events_to_polars(fan)
    for each in (frame, frame.lazy()):
        assert told(evio_ros.measure(each, window_us=100_000, size=fan.size)) == measured


def test_an_open_source_stays_open(fan_recording, measured):
    with open_source(str(fan_recording)) as source:
        assert told(evio_ros.measure(source, window_us=100_000)) == measured
        assert told(evio_ros.measure(source, window_us=100_000)) == measured


def test_what_was_opened_is_closed_at_the_end(fan_recording, opened):
    assert list(evio_ros.measure(fan_recording))
    assert [source.closed for source in opened] == [True]


@pytest.mark.parametrize("how", ["break", "close", "delete", "throw"])
def test_what_was_opened_is_closed_where_the_iterator_is_abandoned(fan_recording, opened, how):
    measurements = evio_ros.measure(fan_recording)
    next(measurements)
    assert [source.closed for source in opened] == [False]
    if how == "break":
        for _ in measurements:
            break
    elif how == "close":
        measurements.close()
    elif how == "throw":
        with pytest.raises(KeyboardInterrupt):
            measurements.throw(KeyboardInterrupt)
    del measurements
    gc.collect()
    assert [source.closed for source in opened] == [True]


def test_what_was_opened_is_closed_where_nothing_can_be_measured(fan_recording, opened):
    with pytest.raises(ParameterError, match="window_us: 1000000 us is longer than the 5"):
        list(evio_ros.measure(fan_recording, window_us=1_000_000))
    assert [source.closed for source in opened] == [True]


def test_nothing_is_opened_before_the_first_measurement(fan_recording, opened):
    evio_ros.measure(fan_recording)
    assert opened == []


def test_a_recording_that_is_not_there():
    with pytest.raises(SourceError, match=r"nowhere\.raw: "):
        next(evio_ros.measure("nowhere.raw"))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"windw_us": 20_000}, "windw_us: no such parameter; did you mean window_us?"),
        ({"paticence": 3}, "paticence: no such parameter; did you mean patience?"),
        ({"regoin": None}, "regoin: no such parameter; did you mean region?"),
        ({"end": 5}, "end: no such parameter; did you mean end_us?"),
        ({"qqq": 5}, "qqq: no such parameter; known are acquisition.certain_coherence, "),
        ({"window_us": 20}, "window_us: 20 is below the minimum 5000 us"),
        ({"window_us": 20_000.0}, "window_us: expected int, got float 20000.0"),
        ({"window_us": True}, "window_us: expected int, got bool True"),
        ({"window_us": 100_000, "step_us": 30_000}, "window_us: 100000 is not a multiple of"),
        ({"maximum_rotors": 0}, "maximum_rotors: 0 is below the minimum 1"),
        ({"parameters": RotationDetectorParameters(), "blades": 2}, "blades: no such parameter"),
    ],
)
def test_a_wrong_parameter_is_refused_at_once(keywords, message):
    with pytest.raises(ParameterError) as refused:
        evio_ros.measure("nowhere.raw", **keywords)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("window_us", "measured_us", "step_us"),
    [
        (100_000, 100_000, 50_000),
        (120_000, 120_000, 40_000),
        (20_000, 20_000, 20_000),
        (100_001, 99_999, 33_333),
    ],
)
def test_the_step_is_the_longest_even_part_of_at_most_50_ms(fan, window_us, measured_us, step_us):
    found = list(evio_ros.measure(fan, window_us=window_us))
    assert {m.window_us for m in found} == {measured_us}
    assert {m.step.length_us for m in found} == {step_us}
    assert found[0].t_us == fan.t[0] + measured_us
    assert found[-1].t_us <= fan.t[-1] + 1 < found[-1].t_us + step_us


def test_parameters_as_an_object_and_changes_to_it(fan):
    parameters = RotationDetectorParameters(window_us=50_000, step_us=25_000)
    assert {m.step.length_us for m in evio_ros.measure(fan, parameters)} == {25_000}
    changed = list(evio_ros.measure(fan, parameters, step_us=10_000))
    assert {(m.window_us, m.step.length_us) for m in changed} == {(50_000, 10_000)}


def test_parameters_of_every_group(fan):
    slower = {"acquisition.maximum_speed_hz": 5.0}
    assert not any(m.rotors for m in evio_ros.measure(fan, window_us=100_000, **slower))
    with pytest.raises(ParameterError, match=r"did you mean acquisition\.minimum_hz"):
        evio_ros.measure(fan, **{"acquisition.minimum": 5.0})


def test_a_classical_method(fan):
    pytest.importorskip("cv2", reason="the outlines of the classical methods need OpenCV")
    from evio_ros.rotation.classical.detector import ClassicalDetectorParameters

    parameters = ClassicalDetectorParameters(method="autocorrelation", blades=BLADES)
    speeds = [rotor.rpm for m in evio_ros.measure(fan, parameters) for rotor in m.rotors]
    assert speeds
    assert speeds == pytest.approx([RPM] * len(speeds), rel=0.05)


def test_looking_back_measures_windows_before_the_fan_was_found(fan_recording, fan, measured):
    first_us = next(t_us for t_us, _, rotors in measured if rotors)
    every = [
        list(evio_ros.measure(form, window_us=100_000, look_back=True))
        for form in (str(fan_recording), fan)
    ]
    assert told(every[0]) == told(every[1])
    added = [m.t_us for m in every[0] if any(rotor.looked_back for rotor in m.rotors)]
    assert min(added) < first_us
    # The first windows are measured anew, and what was measured without is the same in the others.
    assert max(added) < measured[-1][0]
    assert [m for m in told(every[0]) if m[0] not in added] == [
        m for m in measured if m[0] not in added
    ]


def test_a_section_and_a_region(fan_recording, fan):
    start_us = int(fan.t[0])
    options = {"start_us": start_us + 100_000, "end_us": start_us + 320_000, "window_us": 100_000}
    for form in (fan_recording, fan):
        ends = [m.t_us - start_us for m in evio_ros.measure(form, **options)]
        assert ends == [200_000, 250_000, 300_000]
        region = RegionOfInterest(85, 0, 100, 80)
        for m in evio_ros.measure(form, region=region, **options):
            assert m.step.events.x.min() >= 85
            assert m.rotors == []


def test_no_window_reaches_past_the_events(fan_recording, fan):
    after_us = int(fan.t[-1]) + 1
    for form in (fan_recording, fan):
        found = list(evio_ros.measure(form, start_us=0, end_us=10 * after_us))
        assert found[0].t_us - found[0].window_us == fan.t[0]
        assert after_us - found[0].step.length_us < found[-1].t_us <= after_us


@pytest.mark.parametrize("events", [EventBatch.empty(SensorSize(3, 2)), None], ids=["none", "few"])
def test_events_shorter_than_a_window_are_refused(events, fan):
    few = fan.slice(0, 10) if events is None else events
    with pytest.raises(ParameterError, match=r"window_us: 100000 us is longer than the \d+ us"):
        evio_ros.measure(few)


def test_what_holds_no_events_is_refused():
    with pytest.raises(EventError, match="a list holds no events"):
        evio_ros.measure([1, 2, 3])


class LiveFan:
    """A camera that sends a fan's events and then ends."""

    is_live = True
    statistics = SourceStatistics()

    def __init__(self, events: EventBatch) -> None:
        self.size = events.size
        self._events = events

    def batches(self):
        for start in range(0, len(self._events), 1000):
            yield self._events.slice(start, start + 1000)

    def close(self) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


def test_a_live_source_is_measured_as_it_comes(fan, measured):
    assert told(evio_ros.measure(LiveFan(fan), window_us=100_000)) == measured
    with pytest.raises(ParameterError, match="not possible with a live source"):
        evio_ros.measure(LiveFan(fan), start_us=5)
    with pytest.raises(ParameterError, match="only possible with a recording"):
        evio_ros.measure(LiveFan(fan), look_back=True)
