"""Parsing of lines of numbers, several million per second.

Source of the fast path, eight digits at a time in one machine word: D. Lemire, "Quickly parsing
eight digits" (2018). Anything but a plain whole number, such as 2e-05, -1 or True, takes a slower
path. Numbers are read digit by digit as integers with a power of ten, so that no microsecond is
lost to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from evio_ros.sources.raw_columns import OUTSIDE

__all__ = ["PADDING_BYTES", "parse_lines"]

PADDING_BYTES = 16
"""Number of bytes that must be readable after a text, because words are read beyond its end."""
NUMBER, NO_NUMBER = 0, 1
_MOST_DIGITS = 18
_LARGEST_EXPONENT = 400
TAB, NEWLINE, RETURN, SPACE, QUOTE, HASH, PERCENT, MINUS, PLUS = b'\t\n\r "#%-+'
_BRACKETS = b"()[]{}"
LETTER_E, LETTER_T, LETTER_F, LETTER_O, LETTER_N, LETTER_P = b"etfonp"
_LOWER_CASE = 0x20
_MOST_SECONDS = 1 << 42
_BLANK = np.zeros(256, np.bool_)
_BLANK[: SPACE + 1] = True
_BLANK[NEWLINE] = False
for _mark in (QUOTE, *_BRACKETS):
    _BLANK[_mark] = True
_BLANK_BUT_TAB = _BLANK.copy()
_BLANK_BUT_TAB[TAB] = False
_UNSIGNED_MINUS_ONE = (255, (1 << 16) - 1, (1 << 32) - 1)
"""Polarities that are -1 without its sign, or 1 as a bright pixel."""
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_ROOM_FOR_A_DIGIT = (1 << 62) // 10
ZERO = ord("0")
_ASCII_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)


@intrinsic
def _word_at(typing_context: Any, address: Any) -> Any:
    """Eight bytes at an address, which need not be aligned."""
    signature = types.uint64(types.uintp)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        word = builder.load(pointer)
        word.align = 1
        return word

    return signature, generate


@intrinsic
def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits below the lowest one bit; 64 if there is none."""
    signature = types.uint64(types.uint64)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return signature, generate


@njit(inline="always")
def _eight_digits(word, count):
    """The number written in the first `count` (1 to 8) bytes of a word, the lowest byte first."""
    word <<= np.uint64(64) - (count << np.uint64(3))
    word = word * np.uint64(10) + (word >> np.uint64(8))
    low = (word & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
    high = ((word >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    return np.int64((low + high) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _number(text, position, end, point):
    """Read any number.

    Returns its first digits as an integer, the power of ten by which to multiply it, its end, and
    NUMBER or NO_NUMBER.
    """
    start, negative = position, text[position] == MINUS
    if negative or text[position] == PLUS:
        position += 1
    mantissa, exponent, digits, kept = np.int64(0), 0, 0, 0
    after_point = False
    while position < end:
        byte = text[position]
        if byte == point and not after_point:
            after_point = True
        elif 48 <= byte <= 57:
            digits += 1
            if kept < _MOST_DIGITS:
                mantissa = mantissa * 10 + (byte - 48)
                kept += mantissa != 0
                exponent -= after_point
            else:
                exponent += not after_point
        else:
            break
        position += 1
    if digits == 0:
        if position > start:
            return np.int64(-1 if negative else 1), 0, position, NUMBER
        return _word(text, position, end)
    if position < end and text[position] | _LOWER_CASE == LETTER_E:
        power, position = _exponent(text, position + 1, end)
        if position < 0:
            return np.int64(0), 0, end, NO_NUMBER
        exponent += power
    return -mantissa if negative else mantissa, exponent, position, NUMBER


@njit(cache=True, nogil=True)
def _exponent(text, position, end):
    """The power after an e, and its end; the end is -1 if it is not valid."""
    sign, power, start = 1, 0, position
    if position < end and (text[position] == MINUS or text[position] == PLUS):
        sign = -1 if text[position] == MINUS else 1
        position += 1
        start = position
    while position < end and 48 <= text[position] <= 57:
        power = min(power * 10 + text[position] - 48, _LARGEST_EXPONENT)
        position += 1
    return sign * power, position if position > start else -1


@njit(cache=True, nogil=True)
def _word(text, position, end):
    """Words for ON and OFF, in upper or lower case, as 1 and 0.

    They are true and false, on and off, t and f, positive and negative, pos and neg.
    """
    start = position
    while position < end and 97 <= text[position] | _LOWER_CASE <= 122:
        position += 1
    length = position - start
    value = -1
    if length > 0:
        first, second = text[start] | _LOWER_CASE, text[start + 1] | _LOWER_CASE
        if first == LETTER_T and (length == 4 or length == 1):
            value = 1
        elif first == LETTER_F and (length == 5 or length == 1):
            value = 0
        elif first == LETTER_O and second == LETTER_N and length == 2:
            value = 1
        elif first == LETTER_O and second == LETTER_F and length == 3:
            value = 0
        elif first == LETTER_P and second == LETTER_O and (length == 3 or length == 8):
            value = 1
        elif first == LETTER_N and second == LETTER_E and (length == 3 or length == 8):
            value = 0
    if value < 0:
        return np.int64(0), 0, end, NO_NUMBER
    return np.int64(value), 0, position, NUMBER


@njit(cache=True, nogil=True)
def _scaled(mantissa, exponent, exact):
    """Scale to mantissa * 10**exponent, rounded to the nearest; and whether that is possible.

    If `exact` is set, it is impossible for numbers with a fraction.
    """
    if exponent == 0 or mantissa == 0:
        return mantissa, True
    if exponent > 0:
        if exponent > _MOST_DIGITS or abs(mantissa) > (1 << 62) // _POWERS[exponent]:
            return np.int64(0), False
        return mantissa * _POWERS[exponent], True
    if exponent < -_MOST_DIGITS:
        return np.int64(0), not exact
    unit = _POWERS[-exponent]
    whole = (abs(mantissa) + unit // 2) // unit
    if exact and whole * unit != abs(mantissa):
        return np.int64(0), False
    return whole if mantissa > 0 else -whole, True


@njit(inline="always")
def _plain(text, base, position, delimiter, point, is_time):
    """Read a number of digits only, digits and .0, or a time with a fraction, as most are.

    Returns the same as `_number`, and whether it was such a number, ended by a delimiter or a
    blank.
    """
    word = _word_at(base + np.uintp(position)) ^ _ASCII_ZEROS  # type: ignore[call-arg]
    digits = _trailing_zeros(((word + _ABOVE_NINE) | word) & _HIGH_BITS) >> np.uint64(3)
    mantissa, exponent, after = np.int64(0), np.int64(0), np.int64(position)
    if digits > 0:
        mantissa = _eight_digits(word, digits)
        after += np.int64(digits)
        if digits == 8:
            word = _word_at(base + np.uintp(after)) ^ _ASCII_ZEROS
            digits = _trailing_zeros(((word + _ABOVE_NINE) | word) & _HIGH_BITS) >> np.uint64(3)
            if digits > 0:
                mantissa = mantissa * _POWERS[digits] + _eight_digits(word, digits)
                after += np.int64(digits)
        if is_time and text[after] == point and after - position <= 10:
            word = _word_at(base + np.uintp(after + 1)) ^ _ASCII_ZEROS
            digits = _trailing_zeros(((word + _ABOVE_NINE) | word) & _HIGH_BITS) >> np.uint64(3)
            if digits > 0:
                mantissa = mantissa * _POWERS[digits] + _eight_digits(word, digits)
                exponent = -np.int64(digits)
                after += 1 + np.int64(digits)
                # Up to ten digits before the point leave room for those of ns.
                if digits == 8 and mantissa < _ROOM_FOR_A_DIGIT and 48 <= text[after] <= 57:
                    mantissa = mantissa * 10 + (text[after] - 48)
                    exponent -= 1
                    after += 1
        elif text[after] == point and text[after + 1] == ZERO:
            # A whole number that was a float, such as 120.0.
            after += 2
    byte = text[after]
    return mantissa, exponent, after, after > position and (byte == delimiter or byte <= SPACE)


@njit(cache=True, nogil=True)
def _skip_blanks(text, position, blank):
    """End of blanks; newlines are not blanks."""
    while blank[text[position]]:
        position += 1
    return position


@njit(cache=True, nogil=True)
def _skip_field(text, position, delimiter, blank):
    """End of a field that is ignored."""
    position = _skip_blanks(text, position, blank)
    while text[position] != delimiter and text[position] != NEWLINE:
        if delimiter == SPACE and blank[text[position]]:
            break
        position += 1
    return position


@njit(cache=True, nogil=True)
def _next_field(text, position, delimiter, blank):
    """Start of the next field; -1 if there is none."""
    after = _skip_blanks(text, position, blank)
    if delimiter == SPACE:
        return -1 if after == position or text[after] == NEWLINE else after
    return after + 1 if text[after] == delimiter else -1


@njit(cache=True, nogil=True)
def _line_end(text, position, delimiter, blank):
    """Position of the line's newline, possibly after a final delimiter; -1 if a field follows."""
    position = _skip_blanks(text, position, blank)
    if text[position] == delimiter:
        position = _skip_blanks(text, position + 1, blank)
    return position if text[position] == NEWLINE else -1


@njit(cache=True, nogil=True)
def _first_line(text, position, length, blank):
    """Start of the next line that is neither empty nor a comment; at least `length` for none."""
    while position < length:
        after = _skip_blanks(text, position, blank)
        if text[after] in (HASH, PERCENT):
            while text[after] != NEWLINE:
                after += 1
        if text[after] != NEWLINE:
            return position
        position = after + 1
    return position


@njit(inline="always")
def _coordinate(value):
    return value if 0 <= value < OUTSIDE else OUTSIDE


@njit(cache=True, nogil=True)
def _parse_good_lines(text, position, length, layout, columns, count):
    """Parse lines from a position up to the first that is not an event, as `parse_lines` does.

    Args:
        text, length: as for `parse_lines`.
        position: start of the first line.
        layout: its places, delimiter, point, time_exponent and largest_sign.
        columns: its t, x, y and polarity.
        count: number of events in the columns before.

    Returns:
        The number of events in the columns now, and the start of the line that is not an event, or
        -1.
    """
    places, delimiter, point, time_exponent, largest_sign = layout
    t, x, y, polarity = columns
    base = text.ctypes.data
    blank = _BLANK_BUT_TAB if delimiter == TAB else _BLANK
    last = places.size - 1
    values = np.zeros(5, np.int64)
    position = _first_line(text, position, length, blank)
    while position < length:
        start = position
        for field in range(places.size):
            place = places[field]
            if place < 0:
                position = _skip_field(text, position, delimiter, blank)
            else:
                value, exponent, after, is_plain = _plain(
                    text, base, position, delimiter, point, place == 0
                )
                if not is_plain:
                    first = _skip_blanks(text, position, blank)
                    value, exponent, after, kind = _number(text, first, length, point)
                    # A sign alone is a polarity, and nothing else.
                    is_sign = after == first + 1 and text[first] in (MINUS, PLUS)
                    if kind == NO_NUMBER or (is_sign and place != 3):
                        return count, start
                exponent += time_exponent if place == 0 else 0
                if exponent != 0:
                    value, fits = _scaled(value, exponent, place != 0)
                    if not fits:
                        return count, start
                values[place] = value
                position = after
            if field < last:
                # Most fields are separated by a delimiter, possibly with one blank.
                if text[position] == delimiter and text[position + 1] > SPACE:
                    position += 1
                elif text[position] == delimiter != SPACE and text[position + 1] == SPACE:
                    position += 2
                else:
                    position = _next_field(text, position, delimiter, blank)
                    if position < 0:
                        return count, start
        if text[position] == RETURN and text[position + 1] == NEWLINE:
            position += 1
        elif text[position] != NEWLINE:
            position = _line_end(text, position, delimiter, blank)
        sign = values[3]
        if position < 0 or not (-1 <= sign <= largest_sign or sign in _UNSIGNED_MINUS_ONE):
            return count, start
        t[count], polarity[count] = values[0], sign
        if values[4] != 0:
            if abs(values[4]) > _MOST_SECONDS:
                return count, start
            t[count] += values[4] * 1_000_000
        x[count], y[count] = _coordinate(values[1]), _coordinate(values[2])
        count += 1
        position += 1
        if text[position] <= SPACE or text[position] in (HASH, PERCENT):
            position = _first_line(text, position, length, blank)
    return count, -1


@njit(cache=True, nogil=True)
def parse_lines(
    text, length, places, delimiter, point, time_exponent, t, x, y, polarity, largest_sign=1
):
    """Parse lines of numbers; lines that are not events are skipped.

    Args:
        text: uint8 array; `PADDING_BYTES` after `length` must exist, the first of them a newline.
        length: number of bytes of text.
        places: int64 (k,): for each field 0 to 3 for t, x, y, p, 4 for whole seconds to add to t,
            or -1 for a field to ignore.
        delimiter: byte between fields; blanks beside it are ignored. A space means any blanks.
        point: decimal separator.
        time_exponent: t is the time in the text times 10**time_exponent.
        t, polarity: int64 output columns with an element for each line.
        x, y: uint16 output columns, likewise.
        largest_sign: the largest polarity; 2 if polarities are 1 and 2.

    Returns:
        The number of events, the number of lines that are not events, and the starts of the first
        and the last of these, or -1.
    """
    layout = (places, delimiter, point, time_exponent, largest_sign)
    columns = (t, x, y, polarity)
    count, bad, first_bad, last_bad, position = 0, 0, -1, -1, 0
    while position < length:
        count, position = _parse_good_lines(text, position, length, layout, columns, count)
        if position < 0:
            break
        bad, last_bad = bad + 1, position
        first_bad = last_bad if first_bad < 0 else first_bad
        while text[position] != NEWLINE:
            position += 1
        position += 1
    return count, bad, first_bad, last_bad
