"""Which explanation of a place is kept, which comes first, and that each can be read."""

from __future__ import annotations

import math

import pytest

from evio_ros.explanation import (
    Box,
    Explanation,
    Reason,
    Rejection,
    furthest,
    in_order,
    with_explanation,
    without_place,
)

HERE, BESIDE = (100, 40, 140, 100), (200, 40, 260, 100)
SECOND_US = 1_000_000


def explanation(
    reason: Reason, box: Box = HERE, t_us: int = SECOND_US, rate_hz: float = 1000.0
) -> Explanation:
    return Explanation(Rejection(reason, 0.5, 2.0), t_us, 250_000, box, rate_hz)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("numbers", [(0.25, 3.0, 120.0, -19.5), (3.0, 1.0, math.nan, math.nan)])
def test_every_reason_is_a_sentence(reason, numbers):
    text = str(Explanation(Rejection(reason, *numbers), SECOND_US, 250_000, HERE, 12_345.0))
    assert "{" not in text
    assert "nan" not in text
    assert text.endswith((".", "?"))
    assert "40x60 px, 12.3 kev/s: " in text
    assert text.startswith("in the whole view, " if reason.is_of_view else "at (120, 70), ")


def test_numbers_are_those_that_decided():
    rejection = Rejection(Reason.NO_HUB, 0.3123, 0.45, line_hz=120.5)
    text = str(Explanation(rejection, SECOND_US, 250_000, HERE))
    assert text == (
        "at (120, 70), 40x60 px: its phases at 120.5 Hz do not wind about a hub: coherence 0.31, "
        "0.45 is needed."
    )


def test_what_is_missing_of_a_turn_is_told_in_seconds():
    # 0.4 turns in 0.25 s: a turn takes 0.625 s.
    rejection = Rejection(Reason.NOT_ROUND, 0.4, 1.0, speed_hz=-1.6)
    text = str(Explanation(rejection, SECOND_US, 250_000, HERE))
    assert "-96 rpm" in text
    assert "0.62 s" in text


@pytest.mark.parametrize(
    ("rate_hz", "text"),
    [(999.4, "999 ev/s"), (999.6, "1 kev/s"), (2.345e6, "2.35 Mev/s"), (1.2e9, "1.2 Gev/s")],
)
def test_rates_have_three_digits(rate_hz, text):
    assert f", {text}: " in str(explanation(Reason.NO_HUB, rate_hz=rate_hz))


def test_the_furthest_of_a_search_counts_and_of_alike_ones_the_last():
    early, late = Rejection(Reason.NO_HUB, 0.1, 0.45), Rejection(Reason.NO_HUB, 0.2, 0.45)
    far = Rejection(Reason.WRONG_DISC, 300.0, 200.0)
    assert furthest([far, early, late]) is far
    assert furthest([early, late]) is late


def test_a_later_search_of_a_place_says_what_holds_unless_it_came_less_far_soon_after():
    far, near = explanation(Reason.TOO_SLOW), explanation(Reason.NO_RHYTHM, t_us=2 * SECOND_US)
    assert with_explanation((near,), far) == (far,)
    assert with_explanation((far,), near) == (far,)
    much_later = explanation(Reason.NO_RHYTHM, t_us=4 * SECOND_US)
    assert with_explanation((far,), much_later) == (much_later,)


def test_places_are_kept_apart_and_old_ones_dropped():
    kept: tuple[Explanation, ...] = ()
    for place in range(20):
        box = (100 * place, 0, 100 * place + 50, 50)
        kept = with_explanation(kept, explanation(Reason.NO_HUB, box, t_us=place * SECOND_US))
    assert [each.box[0] for each in kept] == [100 * place for place in range(12, 20)]
    assert without_place(kept, (1510, 10, 1540, 40)) == kept[:3] + kept[4:]


def test_the_reason_that_most_events_share_comes_first():
    shaken = [explanation(Reason.BOTH_SENSES, (x, 0, x + 9, 9), rate_hz=500.0) for x in (0, 50, 90)]
    still = explanation(Reason.NO_RHYTHM, BESIDE, rate_hz=900.0)
    assert in_order([still, *shaken]) == (*shaken, still)
    # What turned for some time is worth more than what merely moves.
    turned = explanation(Reason.TOO_SLOW, HERE, rate_hz=600.0)
    assert in_order([still, *shaken, turned])[0] == turned
    view = explanation(Reason.FAINT, (0, 0, 640, 480), rate_hz=1e6)
    assert in_order([view, still]) == (still, view)
