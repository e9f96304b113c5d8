"""Training a network on simulated sequences, resumable at any step.

Sequences run in parallel streams; a stream keeps the network's state from one chunk of windows to
the next, as at work, and gradients reach back over a chunk (truncated back-propagation through
time). AdamW (Loshchilov and Hutter, ICLR 2019) under a one-cycle schedule (Smith and Topin, 2018),
as the published networks were trained; the weights that are kept are their exponential average.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
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
from evio_ros.training.sequences import Sequence, kept_sequence

__all__ = ["Trainer", "TrainingParameters"]

_MOST_BOXES = 16
_LONGEST_GRADIENT = 1.0
_WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True)
class TrainingParameters(Parameters):
    """How a network is trained."""

    steps: int = parameter(6000, minimum=1, doc="Steps of the optimiser.")
    streams: int = parameter(4, minimum=1, maximum=256, doc="Sequences that run in parallel.")
    chunk: int = parameter(
        5, unit="windows", minimum=1, maximum=100, doc="Gradients reach back so far."
    )
    length: int = parameter(
        20, unit="windows", minimum=1, maximum=1000, doc="Length of a sequence."
    )
    sequences: int = parameter(
        1000, minimum=1, doc="Different sequences; they are simulated once and kept."
    )
    learning_rate: float = parameter(1e-3, minimum=0.0, doc="The highest of the cycle.")
    weight_decay: float = parameter(0.01, minimum=0.0, doc="Of AdamW.")
    average: float = parameter(
        0.998, minimum=0.0, maximum=1.0, doc="Share of the averaged weights that a step leaves."
    )
    seed: int = parameter(0, minimum=0, doc="Seed of scenes, weights and their order.")
    simulators: int = parameter(
        1, minimum=0, maximum=256, doc="Processes that simulate sequences ahead; 0 for none."
    )


class Trainer:
    """A training that can be stopped and taken up again.

    Args:
        configuration: of the network.
        parameters: how.
        folder: where sequences and the training's state are kept.
        device: of PyTorch.
    """

    def __init__(
        self,
        configuration: RvtConfiguration,
        parameters: TrainingParameters,
        folder: str | PathLike[str],
        device: str = "cpu",
    ) -> None:
        self.configuration = configuration
        self.parameters = p = parameters
        self.step = 0
        self._folder = Path(folder)
        self._device = device
        torch.manual_seed(p.seed)
        self.network = RvtNetwork(configuration).to(device)
        self._average = {k: v.clone() for k, v in self.network.state_dict().items()}
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=p.learning_rate, weight_decay=p.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, p.learning_rate, total_steps=p.steps + 1, pct_start=_WARM_UP
        )
        self._resume()

    @property
    def _state_file(self) -> Path:
        return self._folder / "training.pt"

    def run(self) -> Iterator[float]:
        """Train to the end; yields the loss of each step.

        Raises:
            SourceError: where the folder cannot be written.
        """
        with _pool_of(self.parameters.simulators) as pool:
            streams = [_Stream(self, number, pool) for number in range(self.parameters.streams)]
            self.network.train()
            while self.step < self.parameters.steps:
                loss = self._train(streams)
                self.step += 1
                yield loss
        self.network.eval()

    def averaged_weights(self) -> dict[str, Tensor]:
        """The averaged weights by their published names."""
        network = RvtNetwork(self.configuration)
        network.load_state_dict(self._average)
        return network.published_weights()

    def save(self) -> None:
        """Keep all that a later run needs to go on."""
        state = {
            "parameters": asdict(self.parameters),
            "configuration": self.configuration.to_text(),
            "step": self.step,
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
        self.network.load_state_dict(state["network"])
        self._average = state["average"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])

    def _train(self, streams: list[_Stream]) -> float:
        """One step: a chunk of every stream."""
        chunks = [stream.next() for stream in streams]
        inputs = torch.stack([chunk[0] for chunk in chunks], dim=1).to(self._device).float()
        rows = zip(*(chunk[1] for chunk in chunks), strict=True)
        labels = [torch.stack(row).to(self._device) for row in rows]
        states = [torch.cat(parts) for parts in zip(*(s.states for s in streams), strict=True)]
        loss, after = self.network.loss(inputs, labels, states)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
        self._optimiser.step()
        self._schedule.step()
        for i, stream in enumerate(streams):
            stream.states = [state[i : i + 1].detach() for state in after]
        self._take_average()
        return float(loss.detach())

    def _take_average(self) -> None:
        # At first the average follows more quickly: it would remember random weights.
        kept = min(self.parameters.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self._average[name].lerp_(value.detach(), 1 - kept)
            else:
                self._average[name].copy_(value)


class _AtOnce(Executor):
    """Does what is asked for at once."""

    def submit(self, function: Callable[..., Any], /, *values: Any, **named: Any) -> Future[Any]:
        """The result of a call."""
        done: Future[Any] = Future()
        done.set_result(function(*values, **named))
        return done


def _pool_of(simulators: int) -> Executor:
    # A fork would take PyTorch's threads for its own.
    return ProcessPoolExecutor(simulators, get_context("spawn")) if simulators else _AtOnce()


class _Stream:
    """One sequence after the other, chunk by chunk, with the network's state."""

    def __init__(self, trainer: Trainer, number: int, pool: Executor) -> None:
        p = trainer.parameters
        self._trainer, self._pool = trainer, pool
        chunks = p.length // p.chunk
        # Where the training stood when it was stopped.
        done, self._place = divmod(trainer.step, chunks)
        order = np.random.default_rng((p.seed, 1, number))
        self._numbers = (int(order.integers(p.sequences)) for _ in count())
        self._flips = np.random.default_rng((p.seed, 2, number))
        for _ in range(done):
            next(self._numbers)
            self._flips.random(2)
        self._ahead = self._submit()
        self._take_next()

    def next(self) -> tuple[Tensor, list[Tensor]]:
        """Inputs (windows, channels, rows, columns) and labels of each window of a chunk."""
        p = self._trainer.parameters
        if self._place == p.length // p.chunk:
            self._place = 0
            self._take_next()
        part = slice(self._place * p.chunk, (self._place + 1) * p.chunk)
        self._place += 1
        inputs, boxes = self._inputs[part], self._boxes[part]
        return torch.from_numpy(inputs.copy()), [_labels(found) for found in boxes]

    def _submit(self) -> Future[Sequence]:
        trainer = self._trainer
        return self._pool.submit(
            kept_sequence,
            trainer._folder,
            trainer.parameters.seed,
            next(self._numbers),
            trainer.configuration,
            trainer.parameters.length,
        )

    def _take_next(self) -> None:
        sequence = self._ahead.result()
        self._ahead = self._submit()
        mirrored = self._flips.random(2) < 0.5
        self._inputs, self._boxes = _mirrored(sequence, *mirrored.tolist())
        self.states = self._trainer.network.first_states()


def _mirrored(sequence: Sequence, across: bool, down: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """The sequence as seen in a mirror."""
    inputs, boxes = sequence.inputs, [found.copy() for found in sequence.boxes]
    rows, columns = inputs.shape[2:]
    if across:
        inputs = inputs[..., ::-1]
        for found in boxes:
            found[:, [1, 3]] = columns - found[:, [3, 1]]
    if down:
        inputs = inputs[..., ::-1, :]
        for found in boxes:
            found[:, [2, 4]] = rows - found[:, [4, 2]]
    return inputs, boxes


def _labels(found: np.ndarray) -> Tensor:
    labels = torch.zeros(_MOST_BOXES, 5)
    for row, (kind, x0, y0, x1, y1) in enumerate(found[:_MOST_BOXES].tolist()):
        values = (kind, 0.5 * (x0 + x1), 0.5 * (y0 + y1), x1 - x0, y1 - y0)
        labels[row] = torch.tensor(values)
    return labels
