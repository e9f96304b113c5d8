"""Parameters: each check by itself, and generated wrong values for every set in the package."""

import dataclasses
import importlib
import math
import pkgutil
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evio_ros
from evio_ros.errors import EvioError, ParameterError
from evio_ros.parameters import ParameterDescription, Parameters, parameter

GENERATED = ("evio_ros.msg", "evio_ros.srv")
UNITS = {"us", "ms", "s", "px", "hz", "rad", "rpm"}


@dataclass(frozen=True)
class FanParameters(Parameters):
    """Some of everything."""

    window_us: int = parameter(100, unit="us", minimum=10, maximum=1000, doc="Window.")
    gain: float = parameter(1.0, minimum=0.0, maximum=2.5, doc="Gain.")
    side: str = parameter("left", choices=("left", "right"), doc="Side.")
    name: str = parameter("", doc="Any text.", read_only=True)
    wild: bool = parameter(False, doc="Whether it is wild.")

    def check_together(self) -> None:
        """Refuse what no single field can tell."""
        if self.wild and self.gain > 1:
            raise ParameterError(f"gain: {self.gain} is above 1, which wild does not allow")


def test_defaults_and_descriptions():
    fan = FanParameters()
    assert (fan.window_us, fan.gain, fan.side, fan.name, fan.wild) == (100, 1.0, "left", "", False)
    window, gain, side, name, wild = FanParameters.describe()
    assert window == ParameterDescription(
        "window_us", int, 100, "us", 10, 1000, (), "Window.", False
    )
    assert (gain.type, gain.unit, gain.maximum) == (float, "", 2.5)
    assert (side.choices, name.choices, name.read_only) == (("left", "right"), (), True)
    assert (wild.type, wild.minimum, wild.maximum) == (bool, None, None)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("window_us", 9, "window_us: 9 is below the minimum 10 us"),
        ("window_us", 1001, "window_us: 1001 is above the maximum 1000 us"),
        ("window_us", 100.0, "window_us: expected int, got float 100.0"),
        ("window_us", True, "window_us: expected int, got bool True"),
        ("window_us", "100", "window_us: expected int, got str '100'"),
        ("window_us", None, "window_us: expected int, got NoneType None"),
        ("gain", -0.001, "gain: -0.001 is below the minimum 0.0"),
        ("gain", 3, "gain: 3.0 is above the maximum 2.5"),
        ("gain", math.nan, "gain: nan is not a finite number"),
        ("gain", math.inf, "gain: inf is not a finite number"),
        ("gain", True, "gain: expected float, got bool True"),
        ("gain", [1.0], "gain: expected float, got list [1.0]"),
        ("side", "up", "side: 'up' is not one of left, right"),
        ("side", 1, "side: expected str, got int 1"),
        ("wild", 1, "wild: expected bool, got int 1"),
    ],
)
def test_a_wrong_value_is_refused_with_name_value_and_bound(name, value, message):
    for build in (
        lambda: FanParameters(**{name: value}),
        lambda: FanParameters.from_mapping({name: value}),
        lambda: FanParameters().replaced({name: value}),
    ):
        with pytest.raises(ParameterError) as refused:
            build()
        assert str(refused.value) == message


def test_an_integer_too_large_for_a_float_is_refused():
    with pytest.raises(ParameterError, match=r"gain: 1000000.* is too large for a float"):
        FanParameters(gain=10**400)


def test_bounds_themselves_are_allowed():
    assert FanParameters(window_us=10, gain=0.0).window_us == 10
    assert FanParameters(window_us=1000, gain=2.5).gain == 2.5


def test_a_whole_number_does_for_a_float():
    assert type(FanParameters(gain=2).gain) is float


TEXTS = st.sampled_from(FanParameters.describe()).flatmap(
    lambda description: st.tuples(
        st.just(description),
        {
            bool: st.booleans(),
            int: st.integers(),
            float: st.floats(allow_nan=False),
            str: st.text(),
        }[description.type],
    )
)


@given(TEXTS)
def test_a_value_is_read_from_its_text(given_value):
    description, value = given_value
    text = str(value).lower() if description.type is bool else str(value)
    assert description.from_text(text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("window_us", "2ms", "window_us: '2ms' is not a number"),
        ("window_us", "2.5", "window_us: '2.5' is not a number"),
        ("gain", "", "gain: '' is not a number"),
        ("wild", "1", "wild: '1' is neither true nor false"),
    ],
)
def test_a_text_that_is_no_value_is_refused(name, text, message):
    (description,) = (each for each in FanParameters.describe() if each.name == name)
    with pytest.raises(ParameterError) as refused:
        description.from_text(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("windows_us", "did you mean window_us?"),
        ("i", "did you mean gain or side or wild or window_us?"),
        ("zzz", "known are gain, name, side, wild, window_us"),
    ],
)
def test_names_that_no_field_has_are_refused_with_those_that_exist(name, hint):
    for build in (FanParameters.from_mapping, FanParameters().replaced):
        with pytest.raises(ParameterError) as refused:
            build({name: 20})
        assert str(refused.value) == f"{name}: no such parameter; {hint}"


def test_replaced_changes_a_copy_and_checks_it_as_a_whole():
    fan = FanParameters(gain=2.0)
    changed = fan.replaced({"window_us": 20, "gain": 1})
    assert (changed.window_us, changed.gain, changed.side) == (20, 1.0, "left")
    assert (fan.window_us, fan.gain) == (100, 2.0)
    with pytest.raises(ParameterError, match=r"gain: 2\.0 is above 1, which wild does not allow"):
        fan.replaced({"wild": True})
    assert fan.replaced({"wild": True, "gain": 0.5}).wild


def test_parameters_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FanParameters().gain = 2.0


def test_fields_that_are_not_declared_are_a_mistake_of_the_programmer():
    @dataclass(frozen=True)
    class Undeclared(Parameters):
        speed: int = 3

    with pytest.raises(TypeError, match=r"Undeclared\.speed is not declared by parameter\(\)"):
        Undeclared.describe()


def all_parameter_sets() -> list[type[Parameters]]:
    """Every set of the package whose imports this machine has."""
    for module in pkgutil.walk_packages(evio_ros.__path__, "evio_ros."):
        if module.name.startswith(GENERATED):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            # ROS and the extras may be missing, modules of our own may not.
            missing = error.name or ""
            if missing.startswith("evio_ros") and not missing.startswith(GENERATED):
                raise
    kinds, found = [Parameters], []
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind.__module__.startswith("evio_ros.") and kind is not Parameters:
            found.append(kind)
    return sorted(found, key=lambda kind: kind.__qualname__)


SETS = all_parameter_sets()
FIELDS = [(kind, description) for kind in SETS for description in kind.describe()]
each_set = pytest.mark.parametrize("kind", SETS, ids=lambda kind: kind.__name__)


def wrong_values(description: ParameterDescription) -> st.SearchStrategy[object]:
    """Values that a parameter must refuse."""
    wrong: dict[type, st.SearchStrategy[object]] = {
        bool: st.integers() | st.text(),
        int: st.booleans() | st.floats() | st.text(),
        float: st.booleans() | st.text() | st.sampled_from([math.nan, math.inf, -math.inf]),
        str: st.integers() | st.booleans() | st.binary(),
    }
    values = st.none() | st.lists(st.integers(), max_size=2) | wrong[description.type]
    numbers = st.integers if description.type is int else st.floats
    if description.minimum is not None:
        values |= numbers(max_value=description.minimum).filter(lambda v: v < description.minimum)
    if description.maximum is not None:
        values |= numbers(min_value=description.maximum).filter(lambda v: v > description.maximum)
    if description.choices:
        values |= st.text().filter(lambda v: v not in description.choices)
    return values


@given(st.data())
def test_every_parameter_refuses_every_wrong_value(data):
    kind, description = data.draw(st.sampled_from(FIELDS))
    value = data.draw(wrong_values(description))
    with pytest.raises(EvioError) as refused:
        kind.from_mapping({description.name: value})
    assert str(refused.value).startswith(f"{description.name}: ")


def test_the_package_has_parameter_sets():
    names = {kind.__name__ for kind in SETS}
    assert {"RotationDetectorParameters", "CameraParameters", "ReplayParameters"} <= names


@each_set
def test_every_default_is_in_its_own_range(kind):
    for description in kind.describe():
        assert description.check(description.default) == description.default


@each_set
def test_every_parameter_is_described_for_users(kind):
    assert kind.__doc__
    for description in kind.describe():
        assert description.doc[0].isupper(), description.name
        assert description.doc.endswith("."), description.name
        if description.name.rpartition("_")[2] in UNITS:
            # Hz is _hz, px/s is _px_s.
            suffix = description.unit.lower().replace("/", "_")
            assert description.name.endswith(f"_{suffix}"), f"in {description.unit!r}"


@each_set
def test_numbers_have_a_range_that_holds_its_own_bounds(kind):
    for description in kind.describe():
        bounds = [description.minimum, description.maximum]
        if description.type not in (int, float):
            assert bounds == [None, None], description.name
            continue
        assert any(bound is not None for bound in bounds), f"{description.name} has no bound"
        for bound in bounds:
            if bound is not None:
                assert description.check(description.type(bound)) == bound
