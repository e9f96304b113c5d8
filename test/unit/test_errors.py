"""What errors say."""

from pathlib import Path

import pytest

from evio_ros.errors import (
    EventError,
    EvioError,
    ParameterError,
    SourceError,
    content_error,
    reason_of,
)


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


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "b"), "No such file or directory"),
        (OSError("is no picture"), "is no picture"),
        (ValueError("is no number"), "is no number"),
    ],
)
def test_the_reason_of_an_error_has_neither_number_nor_type(error, text):
    assert reason_of(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (IsADirectoryError(21, "Is a directory", "a"), "a: cannot be read: Is a directory"),
        (KeyError("version"), "a: is no table: no field 'version'"),
        (ParameterError("rpm: is 'x'"), "a: is no table: rpm: is 'x'"),
        (SourceError("a", "unknown version 9"), "a: unknown version 9"),
    ],
)
def test_what_a_file_has_wrong_is_one_kind_of_error(error, text):
    found = content_error("a", "is no table", error)
    assert isinstance(found, SourceError)
    assert str(found) == text
