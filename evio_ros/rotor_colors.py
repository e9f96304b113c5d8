"""The colours in which rotors are shown, wherever they are drawn."""

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
"""Of rotors by their numbers, for dark grounds; the ninth has the first one's."""


def rotor_color(number: int) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of the rotor of a number."""
    red, green, blue = bytes.fromhex(ROTOR_COLORS[number % len(ROTOR_COLORS)][1:])
    return red, green, blue
