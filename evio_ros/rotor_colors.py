"""The colours of rotors in all displays."""

from __future__ import annotations

__all__ = ["ROTOR_COLORS", "rotor_color"]

ROTOR_COLORS = (
    "#22b573",
    "#e8a317",
    "#e8559f",
    "#1fa8cf",
    "#9277f2",
    "#ef6a3c",
    "#84a92c",
    "#5b86f7",
)
"""Colours for dark backgrounds by the rotor's number, modulo their count."""


def rotor_color(number: int) -> tuple[int, int, int]:
    """The colour of a rotor: red, green and blue, 0 to 255."""
    red, green, blue = bytes.fromhex(ROTOR_COLORS[number % len(ROTOR_COLORS)][1:])
    return red, green, blue
