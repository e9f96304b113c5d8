"""Noticing that a node's input stays away."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["InputWatch"]


@dataclass(slots=True)
class InputWatch:
    """Knows since when input is missing.

    Attributes:
        what: what the node waits for, e.g. "events".
        is_first: while input is missing, whether none has come since `begin`.
    """

    what: str
    is_first: bool = False
    _begun_s: float = 0.0
    _missing_since_s: float | None = None

    def begin(self) -> None:
        """From now on input is expected."""
        self._begun_s = time.monotonic()
        self._missing_since_s = None

    @property
    def is_stale(self) -> bool:
        """Whether input is missing."""
        return self._missing_since_s is not None

    def text(self) -> str:
        """How long input has been missing, in words; empty if it is not missing."""
        if self._missing_since_s is None:
            return ""
        return f"no {self.what} for {time.monotonic() - self._missing_since_s:.1f} s"

    def look(self, last_s: float | None, limit_s: float) -> str:
        """Compare the time of the newest input with now.

        Args:
            last_s: when input last came, by `time.monotonic`; 0.0 for never, None if none is
                due.
            limit_s: time without input after which it counts as missing.

        Returns:
            A line for the log when input goes missing or returns, else an empty one.
        """
        now_s = time.monotonic()
        since_s = now_s if last_s is None else max(last_s, self._begun_s)
        if now_s - since_s >= limit_s:
            if self._missing_since_s is not None:
                return ""
            self._missing_since_s = since_s
            self.is_first = since_s == self._begun_s
            return (
                f"waiting for {self.what}"
                if self.is_first
                else f"{self.text()}: the state is stale"
            )
        if self._missing_since_s is None:
            return ""
        missing_s, self._missing_since_s = since_s - self._missing_since_s, None
        if self.is_first:
            return f"{self.what} come"
        return f"{self.what} again, after {missing_s:.1f} s" if last_s is not None else "ended"
