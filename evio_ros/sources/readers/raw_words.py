"""What Prophesee's RAW formats share: words that only a decoder's state makes sense of."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.word_decoder import WordDecoder
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.prophesee_header import read_header
from evio_ros.sources.readers.recording import REORDER_WINDOW_US
from evio_ros.sources.time_order import RawColumns

__all__ = ["RawWordFile"]

PIECE_BYTES = 1 << 18
INDEX_PIECES = 4
"""Pieces between entries of the time index."""
MOST_INVALID = 0.1
"""Share of unknown words in the first piece above which a file is not what its header says."""


class RawWordFile(EventFile):
    """A recording in a RAW file, read piece by piece.

    A seek starts from a sparse index of decoder states. The index is made while the file is read
    and completed by skipping through the rest when a later time, or the end, is asked for.

    Args:
        path: name of the file.
        size: geometry; None for the header's, or where it has none, a guess.

    Raises:
        SourceError: where the file holds no event, or words of no known type.
    """

    decoder_type: ClassVar[type[WordDecoder]]
    format_key: ClassVar[str]

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether a file's header names this format."""
        return start.header is not None and start.header.event_format == cls.format_key

    def _prepare(self) -> SensorSize | None:
        self.header = read_header(self._file, self.path)
        self._epoch_us = self.header.epoch_us(self.decoder_type.wrap_us, self.path)
        word_bytes = self.decoder_type.word_type.itemsize
        data_bytes = self._file_bytes() - self.header.length
        self.statistics.truncated_bytes = data_bytes % word_bytes
        self._words = data_bytes // word_bytes
        if not self._words:
            raise SourceError(self.path, "has a header but no events", self.header.length)
        self._piece_words = PIECE_BYTES // word_bytes
        self._index: list[tuple[int, int, NDArray[np.int64]]] = []
        self._go_to(None)
        self._check_first_piece()
        return self.header.size

    def _check_first_piece(self) -> None:
        words = self._read_words(0)
        decoder = self._new_decoder()
        decoder.decode(words)
        if decoder.invalid > MOST_INVALID * len(words) + 64:
            reason = (
                f"is not {self.format_name}: {decoder.invalid} of the first {len(words)} words "
                "are of no known type or come before any time"
            )
            raise SourceError(self.path, reason, self.header.length)

    @cached_property
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""
        decoder, first = self._new_decoder(), 0
        while first < self._words:
            words = self._read_words(first)
            columns = decoder.decode(words)
            if len(columns):
                return int(columns.t[0])
            first += len(words)
        raise SourceError(self.path, "holds no events", self.header.length)

    @cached_property
    def end_us(self) -> int:
        """Sensor time just after the last event in µs; skips through what was not read yet."""
        self._extend_index(None)
        for first, _, state in reversed(self._index):
            newest = -1
            decoder = self._decoder_at(state)
            while first < self._words:
                words = self._read_words(first)
                columns = decoder.decode(words)
                newest = max(newest, int(columns.t.max(initial=-1)))
                first += len(words)
            if newest >= 0:
                return newest + 1
        raise SourceError(self.path, "holds no events", self.header.length)

    def _read_piece(self) -> RawColumns | None:
        if self._next >= self._words:
            return None
        self._note_index(self._next, self._decoder)
        words = self._read_words(self._next)
        invalid_before = self._decoder.invalid
        columns = self._decoder.decode(words)
        self.statistics.invalid += self._decoder.invalid - invalid_before
        self._next += len(words)
        return columns

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
        """Add an index entry where the next one is due."""
        if first == len(self._index) * INDEX_PIECES * self._piece_words:
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
