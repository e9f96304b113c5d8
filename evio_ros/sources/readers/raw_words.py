"""Base of the readers of Prophesee's RAW formats, whose words need a decoder with a state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.word_decoder import NO_TIME, WordDecoder
from evio_ros.sources.event_clock import agreeing_share
from evio_ros.sources.raw_columns import RawColumns, Triggers
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.prophesee_header import read_header
from evio_ros.sources.readers.raw_format import format_of_words
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["RawWordFile"]

_PIECE_BYTES = 1 << 18
_SAMPLE_BYTES = 1 << 15
"""Number of bytes at the beginning that decide whether the file has the declared format."""
_INDEX_PIECES = 4
"""Number of pieces between entries of the time index."""
_MOST_INVALID = 0.1
"""Share of unknown words in the first piece above which its times are checked."""
_LEAST_AGREED = 0.5
"""Minimum share of events in such a piece that agree on the time."""


class RawWordFile(EventFile):
    """A recording in a RAW file, read piece by piece.

    A seek starts from a sparse index of decoder states. The index is made while the file is read
    and extended by skipping through the rest if a later time, or the end, is needed.

    Args:
        path: name of the file.
        size: geometry; None for the header's, or a guess if it has none.

    Raises:
        SourceError: if the file has no events, or words of no known type.
    """

    decoder_type: ClassVar[type[WordDecoder]]
    format_key: ClassVar[str]

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether a file has this format, by its header, or by its words if the header is wrong."""
        header = start.header
        if header is None or not header.fields:
            return False
        words = start.data[header.length : header.length + _SAMPLE_BYTES]
        return format_of_words(header.event_format, words, header.size) == cls.format_key

    def _prepare(self) -> SensorSize | None:
        self.header = read_header(self._file, self.path)
        named = self.header.event_format
        if named != self.format_key:
            said = "gives no format" if named is None else f"says {named.upper()}"
            self.remarks.append(
                f"the header {said}; the words are those of {self.format_key.upper()} and are read "
                "as such"
            )
        self._epoch_us = self.header.epoch_us(self.decoder_type.wrap_us, self.path)
        word_bytes = self.decoder_type.word_type.itemsize
        data_bytes = self._data_end(self.header.length) - self.header.length
        self.statistics.truncated_bytes = data_bytes % word_bytes
        self._words = data_bytes // word_bytes
        if not self._words:
            raise SourceError(self.path, "has a header but no events", self.header.length)
        self._events_at = self.header.length
        self._piece_words = _PIECE_BYTES // word_bytes
        self._index: list[tuple[int, int, NDArray[np.int64]]] = []
        self._go_to(None)
        self._check_first_piece()
        return self.header.size

    def _check_first_piece(self) -> None:
        """Refuse words of another format; a vendor's own words are accepted."""
        words = self._read_words(0)
        decoder = self._new_decoder()
        columns = decoder.decode(words)
        self._check_for_second_header(0, words, decoder, 0)
        if decoder.invalid <= _MOST_INVALID * len(words) + 64:
            return
        if agreeing_share(columns, REORDER_WINDOW_US) < _LEAST_AGREED:
            reason = (
                f"is not {self.format_name}: {decoder.invalid} of the first {len(words)} words are "
                f"of unknown type or precede any time, and the times of the {len(columns)} events "
                "are not plausible"
            )
            raise SourceError(self.path, reason, self.header.length)

    def _check_for_second_header(
        self,
        first: int,
        words: NDArray[np.unsignedinteger],
        decoder: WordDecoder,
        invalid_before: int,
    ) -> None:
        """Search for another recording's header among words, if the decoder found some invalid."""
        if decoder.invalid > invalid_before or decoder.continued:
            offset = self.header.length + first * self.decoder_type.word_type.itemsize
            self._refuse_second_recording(offset, words.tobytes())

    def _choose_epoch(self) -> None:
        """Count wraps of time from the first event that is not left from an earlier run."""
        first_us, dropped = self._first_accepted()
        if first_us is not None and dropped:
            wrap_us = self.decoder_type.wrap_us
            self._epoch_us -= (first_us - self.header.time_offset_us) // wrap_us * wrap_us
            self._index.clear()
            self._go_to(None)

    def _sampled_times(self) -> NDArray[np.int64]:
        self._extend_index(None)
        return np.array([time for _, time, _ in self._index if time != NO_TIME], np.int64)

    def _last_pieces(self) -> Iterator[RawColumns]:
        first, _, state = self._index[max(len(self._index) - 2, 0)]
        decoder = self._decoder_at(state)
        while first < self._words:
            words = self._read_words(first)
            yield decoder.decode(words)
            first += len(words)

    def _read_piece(self) -> RawColumns | None:
        if self._next >= self._words:
            return None
        self._note_index(self._next, self._decoder)
        words = self._read_words(self._next)
        invalid_before = self._decoder.invalid
        columns = self._decoder.decode(words)
        self._check_for_second_header(self._next, words, self._decoder, invalid_before)
        self.statistics.invalid += self._decoder.invalid - invalid_before
        self._next += len(words)
        return columns

    @property
    def _piece_triggers(self) -> Triggers:
        return self._decoder.triggers

    def _go_to(self, t_us: int | None) -> None:
        self._next, self._decoder = 0, self._new_decoder()
        if t_us is None:
            return
        self._extend_index(t_us)
        for first, time, state in reversed(self._index):
            if 0 <= time < t_us - REORDER_WINDOW_US:
                self._next, self._decoder = first, self._decoder_at(state)
                return

    def _read_words(self, first: int) -> NDArray[np.unsignedinteger]:
        word_type = self.decoder_type.word_type
        count = min(self._piece_words, self._words - first)
        offset = self.header.length + first * word_type.itemsize
        return np.frombuffer(self._read_at(offset, count * word_type.itemsize), word_type)

    def _new_decoder(self) -> WordDecoder:
        return self.decoder_type(self._epoch_us)

    def _decoder_at(self, state: NDArray[np.int64]) -> WordDecoder:
        decoder = self._new_decoder()
        decoder.state = state.copy()
        return decoder

    def _note_index(self, first: int, decoder: WordDecoder) -> None:
        """Add an index entry if the next one is due."""
        if first == len(self._index) * _INDEX_PIECES * self._piece_words:
            self._index.append((first, decoder.time_us, decoder.state.copy()))

    def _extend_index(self, t_us: int | None) -> None:
        """Skip through the file until the index reaches `t_us`; None for the end."""
        if not self._index:
            self._note_index(0, self._new_decoder())
        first, time, state = self._index[-1]
        decoder = self._decoder_at(state)
        while first < self._words and (t_us is None or time < t_us):
            words = self._read_words(first)
            decoder.skip(words)
            first += len(words)
            time = decoder.time_us
            if first < self._words:
                self._note_index(first, decoder)
