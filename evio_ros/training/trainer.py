"""Training a network on simulated sequences; can be resumed at any step.

Sequences run in parallel streams. A stream keeps the network's recurrent state from one chunk of
windows to the next, as in inference, and gradients reach back over one chunk (truncated
back-propagation through time). AdamW (Loshchilov and Hutter, ICLR 2019) with a one-cycle schedule
(Smith and Topin, 2018), as for the published networks; the resulting weights are their exponential
moving average.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evio_ros.atomic_file import atomic_path
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.detection.rvt_network import RvtNetwork
from evio_ros.errors import SourceError
from evio_ros.parameters import Parameters, parameter
from evio_ros.training.augmentation import augmented, overlaid
from evio_ros.training.sequences import Sequence, kept_sequence

__all__ = ["Trainer", "TrainingParameters"]

_MOST_BOXES = 16
_LONGEST_GRADIENT = 1.0
_WARM_UP = 0.05
"""Share of the steps during which the learning rate increases."""


@dataclass(frozen=True)
class TrainingParameters(Parameters):
    """How a network is trained."""

    steps: int = parameter(6000, minimum=1, doc="Number of optimiser steps.")
    streams: int = parameter(6, minimum=1, maximum=256, doc="Sequences that run in parallel.")
    chunk: int = parameter(
        2,
        unit="windows",
        minimum=1,
        maximum=100,
        doc="Length of a chunk: gradients reach back this far.",
    )
    length: int = parameter(
        5,
        unit="windows",
        minimum=1,
        maximum=1000,
        doc="Length of a sequence; windows left over after the last whole chunk are not used.",
    )
    sequences: int = parameter(
        1000, minimum=1, doc="Number of different sequences; each is simulated once and kept."
    )
    first_sequences: int = parameter(
        200,
        minimum=1,
        doc="Number of sequences in use from the start; the others are added gradually.",
    )
    reuse: int = parameter(
        8, minimum=1, doc="A further sequence is added each time this many have been used."
    )
    disc_every: int = parameter(
        6, minimum=0, doc="One sequence in this many shows a disc that turns slowly; 0 for none."
    )
    lamps_every: int = parameter(
        4,
        minimum=0,
        doc="One in this many of the other sequences shows only clutter and flickering lamps; 0 "
        "for none.",
    )
    textures_every: int = parameter(
        3,
        minimum=0,
        doc="One in this many of the remaining sequences shows only clutter of moving textures; "
        "0 for none.",
    )
    overlaid: float = parameter(
        0.3, minimum=0.0, maximum=1.0, doc="Share of sequences that are overlaid with another one."
    )
    carried: float = parameter(
        0.5,
        minimum=0.0,
        maximum=1.0,
        doc="Share of sequences that start with the recurrent state that the sequence before has "
        "left.",
    )
    learning_rate: float = parameter(1e-3, minimum=0.0, doc="Peak of the one-cycle schedule.")
    weight_decay: float = parameter(0.01, minimum=0.0, doc="Weight decay of AdamW.")
    average: float = parameter(
        0.998,
        minimum=0.0,
        maximum=1.0,
        doc="Decay per step of the exponential moving average of the weights.",
    )
    seed: int = parameter(
        0, minimum=0, doc="Seed of the scenes, the initial weights and the order of sequences."
    )


class Trainer:
    """A training run that can be stopped and resumed.

    Args:
        configuration: configuration of the network.
        parameters: parameters of the training.
        folder: folder for sequences and the state of the training.
        device: PyTorch device.
        simulators: number of processes that simulate sequences in advance; 0 for none. The result
            does not depend on it.
        first_weights: initial weights by their published names; None for random ones.

    Raises:
        SourceError: if the folder contains a training with other parameters.
        ParameterError: if the initial weights do not fit.
    """

    def __init__(
        self,
        configuration: RvtConfiguration,
        parameters: TrainingParameters,
        folder: str | PathLike[str],
        device: str = "cpu",
        simulators: int = 1,
        first_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.configuration = configuration
        self.parameters = p = parameters
        self.step = 0
        self._folder = Path(folder)
        self._device = device
        self._simulators = simulators
        torch.manual_seed(p.seed)
        self.network = RvtNetwork(configuration).to(device)
        if first_weights is not None:
            self.network.load_published(first_weights)
        self._average = {k: v.clone() for k, v in self.network.state_dict().items()}
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=p.learning_rate, weight_decay=p.weight_decay, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, p.learning_rate, total_steps=p.steps + 1, pct_start=_WARM_UP
        )
        self._states = [self.network.first_states() for _ in range(p.streams)]
        self._resume()

    @property
    def _state_file(self) -> Path:
        return self._folder / "training.pt"

    def run(self) -> Iterator[float]:
        """Train to the end; yields the loss of each step.

        Raises:
            SourceError: if the folder cannot be written.
        """
        p = self.parameters
        pool = _pool_of(self._simulators)
        try:
            streams = [
                _Stream(p, self.configuration, self._folder, number, self.step, pool)
                for number in range(p.streams)
            ]
            self.network.train()
            while self.step < p.steps:
                loss = self._train(streams)
                self.step += 1
                yield loss
        finally:
            pool.shutdown(cancel_futures=True)
        self.network.eval()

    def averaged_weights(self) -> dict[str, Tensor]:
        """The averaged weights by their published names."""
        network = RvtNetwork(self.configuration)
        network.load_state_dict(self._average)
        return network.published_weights()

    def save(self) -> None:
        """Save the state of the training, from which a later run resumes."""
        state = {
            "parameters": asdict(self.parameters),
            "configuration": self.configuration.to_text(),
            "step": self.step,
            "memories": self._states,
            "network": self.network.state_dict(),
            "average": self._average,
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._state_file) as path:
            torch.save(state, fspath(path))

    def _resume(self) -> None:
        if not self._state_file.exists():
            return
        state: dict[str, Any] = torch.load(
            self._state_file, map_location=self._device, weights_only=True
        )
        same = state["configuration"] == self.configuration.to_text()
        if not same or state["parameters"] != asdict(self.parameters):
            raise SourceError(
                self._state_file,
                "is of a training with other parameters; name another folder or the same ones",
            )
        self.step = state["step"]
        self._states = state["memories"]
        self.network.load_state_dict(state["network"])
        self._average = state["average"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])

    def _train(self, streams: list[_Stream]) -> float:
        """One step: a chunk of every stream."""
        chunks = [stream.next() for stream in streams]
        for number, chunk in enumerate(chunks):
            if chunk.resets_state:
                self._states[number] = self.network.first_states()
        inputs = torch.stack([chunk.inputs for chunk in chunks], dim=1).to(self._device).float()
        rows = zip(*(chunk.labels for chunk in chunks), strict=True)
        labels = [torch.stack(row).to(self._device) for row in rows]
        states = [torch.cat(parts) for parts in zip(*self._states, strict=True)]
        loss, after = self.network.loss(inputs, labels, states)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
        self._optimiser.step()
        self._schedule.step()
        self._states = [
            [state[i : i + 1].detach().clone() for state in after] for i in range(len(streams))
        ]
        self._take_average()
        return float(loss.detach())

    def _take_average(self) -> None:
        # At first the average decays faster, to forget the random initial weights.
        kept = min(self.parameters.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self._average[name].lerp_(value.detach(), 1 - kept)
            else:
                self._average[name].copy_(value)


class _SynchronousExecutor(Executor):
    """An executor that runs each call immediately."""

    def submit(self, function: Callable[..., Any], /, *values: Any, **named: Any) -> Future[Any]:
        """Run a call and return its result as a finished future."""
        done: Future[Any] = Future()
        done.set_result(function(*values, **named))
        return done


def _pool_of(simulators: int) -> Executor:
    if not simulators:
        return _SynchronousExecutor()
    # Forked processes would break PyTorch's threads.
    return ProcessPoolExecutor(simulators, get_context("spawn"), _ignore_interrupts)


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C, which all processes of a terminal receive: the training process handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Consecutive windows of one stream.

    Attributes:
        inputs: uint8 (windows, channels, rows, columns).
        labels: for each window (most, 5), see `RvtNetwork.loss`.
        resets_state: whether the recurrent state is reset before them.
    """

    inputs: Tensor
    labels: list[Tensor]
    resets_state: bool


class _Stream:
    """One sequence after the other, in chunks; its position depends on the step alone."""

    def __init__(
        self,
        parameters: TrainingParameters,
        configuration: RvtConfiguration,
        folder: Path,
        number: int,
        step: int,
        pool: Executor,
    ) -> None:
        self._parameters, self._configuration = parameters, configuration
        self._folder, self._number, self._pool = folder, number, pool
        self._index, self._place = divmod(step, parameters.length // parameters.chunk)
        self._waiting = self._submit(self._index)
        self._take()

    def next(self) -> _Chunk:
        """The next chunk."""
        p = self._parameters
        if self._place == p.length // p.chunk:
            self._index, self._place = self._index + 1, 0
            self._take()
        part = slice(self._place * p.chunk, (self._place + 1) * p.chunk)
        resets_state = self._resets_state and not self._place
        self._place += 1
        inputs = torch.from_numpy(np.ascontiguousarray(self._sequence.inputs[part]))
        return _Chunk(
            inputs, [_labels(found) for found in self._sequence.boxes[part]], resets_state
        )

    def _take(self) -> None:
        found = [future.result() for future in self._waiting]
        self._waiting = self._submit(self._index + 1)
        random = self._random(2, self._index)
        self._sequence = augmented(found[0], random)
        for other in found[1:]:
            self._sequence = overlaid(
                self._sequence, augmented(other, random), self._configuration.cutoff
            )
        kept = random.random() < self._parameters.carried
        self._resets_state = not kept or not self._index

    def _submit(self, index: int) -> list[Future[Sequence]]:
        """Request one of the sequences in use by now, or two to be overlaid."""
        p = self._parameters
        random = self._random(1, index)
        known = min(p.sequences, p.first_sequences + index * p.streams // p.reuse)
        size = 2 if random.random() < p.overlaid else 1
        return [
            self._pool.submit(
                kept_sequence,
                self._folder,
                p.seed,
                number,
                self._configuration,
                p.length,
                _kind_of(number, p),
            )
            for number in random.integers(known, size=size).tolist()
        ]

    def _random(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng((self._parameters.seed, purpose, self._number, index))


def _kind_of(number: int, parameters: TrainingParameters) -> str | None:
    """Kind of scene of a sequence, see `random_scene`; None for a random kind."""
    p = parameters
    rules = (("disc", p.disc_every), ("lamps", p.lamps_every), ("textures", p.textures_every))
    for kind, every in rules:
        if every and number % every == every - 1:
            return kind
    return None


def _labels(found: np.ndarray) -> Tensor:
    labels = torch.zeros(_MOST_BOXES, 5)
    for row, (kind, x0, y0, x1, y1) in enumerate(found[:_MOST_BOXES].tolist()):
        values = (kind, 0.5 * (x0 + x1), 0.5 * (y0 + y1), x1 - x0, y1 - y0)
        labels[row] = torch.tensor(values)
    return labels
