"""The table of a measurement, with estimates made by hand."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rotor_estimates import FAN

from evio_ros.cli.measurement_summary import MeasurementSummary
from evio_ros.estimate import Measurement, RotorEstimate
from evio_ros.events import SensorSize
from evio_ros.explanation import Explanation, Reason, Rejection


def estimate(identity: int, rpm: float, confidence: float, blades: int = 3) -> RotorEstimate:
    changed = {"id": identity, "rpm": rpm, "confidence": confidence, "blade_count": blades}
    return replace(FAN, rpm_std=0.25, center=(12.0, 34.0), **changed)


def printed(*windows: list[RotorEstimate], width: int = 100) -> str:
    summary = MeasurementSummary(SensorSize(64, 48))
    for rotors in windows:
        summary.add(Measurement(100_000, 100_000, None, rotors))
    text = io.StringIO()
    summary.print_rotors(Console(file=text, width=width))
    return text.getvalue()


def cells(text: str, identity: int) -> list[str]:
    for line in text.splitlines():
        row = [cell.strip() for cell in line.split("│")[1:-1]]
        if row and row[0] == str(identity):
            return row
    pytest.fail(f"no row of rotor {identity} in {text}")


def test_speeds_are_median_and_percentiles():
    # 0 to 100: the n-th percentile is n.
    text = printed(*([estimate(0, float(rpm), 0.9)] for rpm in range(101)))
    speeds = ["50.000", "5.000", "95.000", "0.250"]
    assert cells(text, 0) == ["0", *speeds, "3", "12.0 34.0", "101"]
    assert "1 rotor in 101 windows" in text


@pytest.mark.parametrize(("confidence", "is_counted"), [(0.0, False), (0.49, False), (0.5, True)])
def test_only_what_is_more_likely_right_than_wrong_counts(confidence, is_counted):
    sure = [estimate(0, 1100.0, 0.99), estimate(4, 200.0, 1.0)]
    text = printed(sure, sure, sure, [estimate(0, 0.0, confidence)])
    assert cells(text, 0)[1] == "1100.000"
    assert cells(text, 0)[2] == ("165.000" if is_counted else "1100.000")
    assert cells(text, 0)[-1] == ("4" if is_counted else "3")
    assert cells(text, 4)[-1] == "3"
    assert (": none." if is_counted else ": 1 of rotor 0.") in text


def test_a_rotor_of_which_nothing_is_sure_has_a_row_of_all_and_a_word_of_warning():
    text = printed([estimate(0, 900.0, 0.1)], [estimate(0, 800.0, 0.1)], [])
    row = cells(text, 0)
    assert (row[1], row[-1]) == ("850.000", "2")
    assert "Left out, for a confidence below 0.5: none." in text
    assert "Rotor 0: no speed reaches that confidence; its row includes all of them." in text


def test_what_was_measured_with_later_events_is_counted():
    later = replace(estimate(0, 900.0, 0.9), looked_back=True)
    doubtful = replace(estimate(0, 900.0, 0.1), looked_back=True)
    text = printed([later], [later], [doubtful], [estimate(0, 900.0, 0.9)])
    assert "2 of those seen were also measured with later events." in text
    assert "later events" not in printed([estimate(0, 900.0, 0.9)])


def test_blades_that_are_not_known():
    assert cells(printed([estimate(0, 900.0, 0.9, blades=0)]), 0)[5] == "unknown"


def test_no_rotor():
    assert printed([], []) == "No rotor seen in 2 windows.\n"


def test_no_rotor_has_its_most_likely_reason_on_one_line_however_long():
    rejection = Rejection(Reason.NO_HUB, 0.2, 0.45, line_hz=19.0)
    explanation = Explanation(rejection, 100_000, 100_000, (10, 20, 30, 40), 5000.0)
    summary = MeasurementSummary(SensorSize(64, 48))
    summary.add(Measurement(100_000, 100_000, None, [], (explanation,)))
    text = io.StringIO()
    summary.print_rotors(Console(file=text, width=40))
    assert text.getvalue().splitlines() == [
        "No rotor seen in 1 window.",
        f"Most likely because: {explanation}",
    ]


def test_no_number_is_cut_where_the_terminal_is_narrow():
    rotors = [estimate(0, -59_876.54, 0.9), estimate(1, 1100.125, 0.9)]
    text = printed(rotors, rotors, width=30)
    assert cells(text, 0)[1] == "-59876.54"
    assert cells(text, 1) == cells(printed(rotors, rotors), 1)


def test_four_fast_rotors_fit_a_usual_terminal():
    rotors = [estimate(n, -60_000.123, 0.9) for n in range(4)]
    summary = MeasurementSummary(SensorSize(64, 48))
    summary.add(Measurement(100_000, 100_000, None, rotors))
    text = io.StringIO()
    summary.print_rotors(Console(file=text, width=80))
    assert text.getvalue().count("-60000.12") == 12
