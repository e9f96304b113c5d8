"""Compiling all kernels ahead of their first use, in several processes."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from evio_ros.compilation import report_compilation
from evio_ros.ellipse import Ellipse
from evio_ros.errors import EvioError
from evio_ros.event_columns import batch_of_columns
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.fusion.warm_up import warm_up as warm_up_fusion
from evio_ros.pipeline import measure_source
from evio_ros.playback.simulated_recording import played_path
from evio_ros.representations.base import RepresentationParameters, represent
from evio_ros.representations.registry import KINDS, make
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.tracking.disc_filter import DiscFilter
from evio_ros.rotation.tracking.likelihood import Score
from evio_ros.rotation.tracking.phase_filter import Motion, PhaseFilter
from evio_ros.rotation.warm_up import warm_up
from evio_ros.simulation.presets import preset
from evio_ros.simulation.simulator import simulate
from evio_ros.sources.registry import open_recording

__all__ = ["compile_kernels"]

_PROCESSES = (("detector",), ("filters", "messages", "simulation", "representations", "analysis"))
"""Jobs of each process. The detector uses the filters, and the analysis the detector, when these
have been compiled by the other process."""
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from evio_ros.kernels import _run; _run()"
)
_ROOT = str(Path(__file__).parents[1])
"""Folder of this package, from which the processes import it: numba caches kernels beside it."""
_SIZE = SensorSize(16, 16)
_ANALYSED_US = 600_000


def compile_kernels(report: Callable[[int], None]) -> int:
    """Compile the kernels of measurement, representations and simulation into numba's cache.

    The built-in recording is simulated as well.

    Args:
        report: called with the number of functions compiled so far.

    Returns:
        Number of functions that had to be compiled.

    Raises:
        EvioError: if a process fails, with the last line of its error output.
    """
    compiled = 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        parts = [stack.enter_context(_start(jobs)) for jobs in _PROCESSES]
        for part in parts:
            assert part.stdout is not None
            selector.register(part.stdout, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                marks = os.read(key.fd, 4096)
                if not marks:
                    selector.unregister(key.fileobj)
                compiled += len(marks)
                report(compiled)
        for part in parts:
            if part.wait():
                assert part.stderr is not None
                output = part.stderr.read().decode(errors="replace").strip()
                raise EvioError(f"kernels could not be compiled: {output.rpartition(chr(10))[2]}")
    return compiled


def _start(jobs: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _CHILD, _ROOT, *jobs]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _run() -> None:
    """Run the jobs named by the arguments; write a byte to the output per compiled function."""
    with report_compilation(lambda _: _mark()):
        for job in sys.argv[1:]:
            _JOBS[job]()


def _mark() -> None:
    os.write(sys.stdout.fileno(), b".")


def _detector() -> None:
    warm_up(RotationDetector(_SIZE))


def _filters() -> None:
    """Call the filters of tracking, with the tracker's argument types, and those of fusion."""
    phase = PhaseFilter(Motion(0, (0.0, 100.0, 0.0), (0.1, 1.0, 10.0)), 0.02, 10_000)
    disc = DiscFilter(Ellipse((8.0, 8.0), (6.0, 6.0), 0.0), 1.0, 1.0, 0.02)
    score = Score(np.ones(5), np.eye(5), 1.0, 9, 0.5)
    for _ in range(2):
        phase.update(5_000, 0.25, 1e-4)
        phase.predicted_phase_variance(5_000)
        disc.predict(0.005)
        disc.phase_given(score)
        disc.update(score, 0.0, 1e-4, 1.0)
    phase.window()
    warm_up_fusion()


def _messages() -> None:
    """Convert the events of a message."""
    pixels = np.zeros(1, np.uint16)
    batch_of_columns(1, 1, (0, 1), np.zeros(1, np.uint32), pixels, pixels, np.zeros(1, np.uint8))


def _representations() -> None:
    pixels = np.array([0, 3], np.uint16)
    events = EventBatch(_SIZE, np.array([0, 9]), pixels, pixels, np.array([False, True]))
    for kind, member in KINDS.items():
        parameters: RepresentationParameters = member.parameters()
        represent(make(kind, _SIZE, parameters), EventWindow(0, 10, events))


def _simulation() -> None:
    chosen = preset("fan_constant")
    list(simulate(chosen.scene, chosen.camera.replaced({"width": 16, "height": 16}), 10_000))
    played_path("scene:fan")


def _analysis() -> None:
    """Measure a recording as `evio analyze` does, with looking back."""
    with open_recording(played_path("scene:fan")) as source:
        end_us = source.start_us + _ANALYSED_US
        parameters = RotationDetectorParameters()
        for _ in measure_source(source, parameters, end_us=end_us, look_back=True):
            pass


_JOBS: dict[str, Callable[[], object]] = {
    "analysis": _analysis,
    "detector": _detector,
    "filters": _filters,
    "messages": _messages,
    "representations": _representations,
    "simulation": _simulation,
}
