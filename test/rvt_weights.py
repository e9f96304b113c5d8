"""Reproducible weights and inputs, computed from integers by a hash."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def patterned(names: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights with the published names and shapes, float64 except counters, of usual magnitude."""
    return {
        name: _patterned(name, shape, number)
        for number, (name, shape) in enumerate(sorted(names.items()))
    }


def _patterned(name: str, shape: tuple[int, ...], number: int) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    wave = _mixed(int(np.prod(shape)), number).reshape(shape)
    if name.endswith("running_var"):
        return 1 + 0.5 * wave
    if name.endswith("gamma"):
        return 0.5 + 0.3 * wave
    if len(shape) == 1 and name.endswith("weight"):
        return 1 + 0.3 * wave
    if len(shape) == 1:
        return 0.2 * wave
    strength = 3.0 if "_preds." in name else 1.0
    return strength * np.sqrt(3 / np.prod(shape[1:])) * wave


def _mixed(n: int, number: int) -> np.ndarray:
    """Pseudo-random numbers from -1 to 1: the finaliser of xxHash on 0 to n - 1."""
    mask = np.uint64(0xFFFFFFFF)
    mixed = (
        np.arange(n, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(974711 * number)
    ) & mask
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        mixed ^= mixed >> np.uint64(shift)
        mixed = (mixed * np.uint64(factor)) & mask
    return (mixed ^ (mixed >> np.uint64(16))).astype(np.float64) / 2**31 - 1


def counts(channels: int, rows: int, columns: int, step: int) -> np.ndarray:
    """uint8 (channels, rows, columns): a moving pattern of counts, most of them 0."""
    c, y, x = np.meshgrid(*map(np.arange, (channels, rows, columns)), indexing="ij")
    pattern = (7 * c + 3 * y + 5 * x + 13 * step + y * x) % 37
    return np.where(pattern < 11, pattern, 0).astype(np.uint8)
