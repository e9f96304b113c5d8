"""What errors say."""

from pathlib import Path

import pytest

from evio_ros.errors import EventError, EvioError, ParameterError, SourceError


def test_a_source_error_names_the_file_and_the_byte():
    error = SourceError(Path("a") / "fan.dat", "is cut off", 17)
    assert str(error) == "a/fan.dat, byte 17: is cut off"
    assert (error.path, error.reason, error.offset) == ("a/fan.dat", "is cut off", 17)


def test_byte_0_is_a_place_and_none_is_not():
    assert str(SourceError("fan.dat", "is empty", 0)) == "fan.dat, byte 0: is empty"
    assert str(SourceError("fan.dat", "is gone")) == "fan.dat: is gone"


def test_a_source_error_that_quotes_a_hostile_file_is_one_line():
    error = SourceError("a.npz", "x\n\x1b[2J\u2028y has no header")
    assert str(error) == "a.npz: x  [2J y has no header"


@pytest.mark.parametrize("kind", [EventError, ParameterError, SourceError])
def test_one_except_catches_all_that_a_user_can_mend(kind):
    assert issubclass(kind, EvioError)


@pytest.mark.parametrize("kind", [EventError, ParameterError])
def test_wrong_values_are_value_errors_as_elsewhere(kind):
    assert issubclass(kind, ValueError)
