"""The routes of the history: decimated for plots, and complete as CSV and Parquet."""

from __future__ import annotations

import importlib.util
import io
import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from evio_ros.web.history import COLUMNS, History, HistoryPoint, HistoryRow

__all__ = ["history_routes"]

_SPAN_S = 600.0
_LATEST_S = 1e11
_LARGEST_ID = (1 << 32) - 1
_EXPORTS = 4

Seconds = Annotated[
    float | None, Query(ge=0.0, le=_LATEST_S, allow_inf_nan=False, description="Unix time [s].")
]
_PROBLEMS: dict[int | str, dict[str, object]] = {
    400: {"description": "The span ends before it begins."},
    503: {
        "description": "The history cannot be read now, Parquet needs pyarrow, or too many exports "
        "run already."
    },
}


class RotorHistoryModel(BaseModel):
    """One rotor's past, as columns of equal length."""

    id: int
    t_s: list[float] = Field(description="Unix time at which each point begins [s].")
    windows: list[int] = Field(description="Windows that each point stands for.")
    rpm: list[float | None] = Field(description="Mean [turns/min].")
    rpm_min: list[float | None]
    rpm_max: list[float | None]
    rpm_std: list[float | None]
    confidence: list[float | None]
    turns: list[float | None] = Field(description="The last.")


class HistoryModel(BaseModel):
    """The past of all rotors, decimated."""

    since_s: float
    until_s: float
    step_s: float = Field(description="Seconds of one point.")
    rotors: list[RotorHistoryModel]


def history_routes(history: History) -> APIRouter:
    """The routes of a history."""
    router = APIRouter(prefix="/api", tags=["history"], responses=_PROBLEMS)
    exports = threading.BoundedSemaphore(_EXPORTS)

    @router.get("/history")
    def past(
        since: Seconds = None,
        until: Seconds = None,
        points: Annotated[int, Query(ge=1, le=10_000, description="Most of a rotor.")] = 1000,
        rotor: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    ) -> HistoryModel:
        """Speed over time; by default of the last ten minutes, of all rotors."""
        since_s, until_s = _span(since, until)
        step_s, found = history.points(since_s, until_s, points, rotor)
        return HistoryModel(
            since_s=since_s, until_s=until_s, step_s=step_s, rotors=_by_rotor(found)
        )

    @router.get("/export.csv", response_class=StreamingResponse)
    def csv(since: Seconds = None, until: Seconds = None) -> StreamingResponse:
        """Every rotor of every window as CSV; by default of the last ten minutes."""
        rows = _limited(exports, history.rows(*_span(since, until)))
        return _file(_csv(rows), "text/csv; charset=utf-8", "rotors.csv")

    @router.get("/export.parquet", response_class=StreamingResponse)
    def parquet(since: Seconds = None, until: Seconds = None) -> StreamingResponse:
        """The same as Parquet."""
        if importlib.util.find_spec("pyarrow") is None:
            raise HTTPException(503, "Parquet needs pyarrow: pip install 'evio_ros[web]'")
        rows = _limited(exports, history.rows(*_span(since, until)))
        return _file(_parquet(rows), "application/vnd.apache.parquet", "rotors.parquet")

    return router


def _span(since_s: float | None, until_s: float | None) -> tuple[float, float]:
    """A span of time, by default the last ten minutes."""
    until_s = time.time() if until_s is None else until_s
    since_s = max(0.0, until_s - _SPAN_S) if since_s is None else since_s
    if since_s > until_s:
        raise HTTPException(400, f"since {since_s} is after until {until_s}")
    return since_s, until_s


def _by_rotor(points: Iterable[HistoryPoint]) -> list[RotorHistoryModel]:
    found: dict[int, list[HistoryPoint]] = {}
    for point in points:
        found.setdefault(point.rotor, []).append(point)
    names = [name for name in HistoryPoint._fields if name != "rotor"]
    return [
        RotorHistoryModel(
            id=rotor, **{name: [getattr(one, name) for one in these] for name in names}
        )
        for rotor, these in found.items()
    ]


def _limited(
    exports: threading.BoundedSemaphore, pages: Iterator[list[HistoryRow]]
) -> Iterator[list[HistoryRow]]:
    """The pages, unless too many exports are running."""
    if not exports.acquire(blocking=False):
        raise HTTPException(503, f"{_EXPORTS} exports run already; try again later")

    def giving() -> Iterator[list[HistoryRow]]:
        try:
            yield from pages
        finally:
            exports.release()

    # A generator gives the place back only where it has begun.
    given = giving()
    first = next(given, None)
    return itertools.chain([] if first is None else [first], given)


def _file(chunks: Iterator[bytes], media_type: str, name: str) -> StreamingResponse:
    disposition = f'attachment; filename="{name}"'
    return StreamingResponse(
        chunks, media_type=media_type, headers={"content-disposition": disposition}
    )


def _csv(pages: Iterable[list[HistoryRow]]) -> Iterator[bytes]:
    yield (",".join(COLUMNS) + "\n").encode()
    for page in pages:
        lines = (",".join("" if value is None else repr(value) for value in row) for row in page)
        yield ("\n".join(lines) + "\n").encode()


def _parquet(pages: Iterable[list[HistoryRow]]) -> Iterator[bytes]:
    """Row groups as they are read; only one is in memory."""
    import pyarrow
    from pyarrow import parquet

    whole = ("t_us", "rotor", "blade_count", "vehicle")
    schema = pyarrow.schema(
        [(name, pyarrow.int64() if name in whole else pyarrow.float64()) for name in COLUMNS]
    )
    written = _Pieces()
    with parquet.ParquetWriter(written, schema) as writer:
        for page in pages:
            columns = [list(column) for column in zip(*page, strict=True)]
            writer.write_table(pyarrow.table(columns, schema=schema))
            yield written.taken()
    yield written.taken()


class _Pieces(io.RawIOBase):
    """A file-like buffer that is emptied piece by piece while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """How much has been written."""
        return self._place

    def write(self, data: object) -> int:
        """Keep a piece."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        self._place += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        """What has been written since this was asked before."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
