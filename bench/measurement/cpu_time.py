"""Processor time of other processes."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cpu_s"]


def cpu_s(pid: int) -> float:
    """User and system time of a process in s; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
