"""Who measures many recordings: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from evio_ros.cli.recording_job import Outcome, RecordingJob, measure_recording
from evio_ros.errors import ParameterError

__all__ = ["outcomes_here", "outcomes_on_dask"]

_CONNECT_S = 10
_THREADS_OF_LINEAR_ALGEBRA = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One in each process: threads of several that wait for work would take the cores from each other.
"""


def outcomes_here(jobs: Sequence[RecordingJob], processes: int) -> Generator[Outcome, None, None]:
    """Measure recordings in processes of this machine.

    A process that dies, as of too little memory, fails its recording alone. Closing the iterator,
    or Ctrl-C, ends all processes at once.

    Args:
        jobs: the recordings.
        processes: how many are measured at a time, at least 1.

    Yields:
        Outcomes in the order in which they are ready.
    """
    # Libraries read these when a process loads them; what the user has set is kept.
    for name in _THREADS_OF_LINEAR_ALGEBRA:
        os.environ.setdefault(name, "1")
    waiting = list(reversed(jobs))
    idle = [_new_worker() for _ in range(min(processes, len(jobs)))]
    running: dict[Future[Outcome], tuple[ProcessPoolExecutor, RecordingJob]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                worker, job = idle.pop(), waiting.pop()
                running[worker.submit(measure_recording, job)] = worker, job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, job = running.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    outcome = Outcome(job.recording, error=_died(job))
                    worker.shutdown(wait=False)
                    worker = _new_worker()
                idle.append(worker)
                yield outcome
    finally:
        for process in multiprocessing.active_children():
            process.terminate()


def _new_worker() -> ProcessPoolExecutor:
    """One process in a pool of its own, so that its death is no other's."""
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=fresh, initializer=_follow_parent)


def _follow_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _died(job: RecordingJob) -> str:
    return f"{job.recording}: the process that measured it ended by itself; is there memory enough?"


def outcomes_on_dask(jobs: Sequence[RecordingJob], address: str) -> Generator[Outcome, None, None]:
    """Measure recordings on a Dask cluster whose workers can read them by the same paths.

    Args:
        jobs: the recordings.
        address: of the scheduler, as `tcp://host:8786`.

    Yields:
        Outcomes in the order in which they are ready.

    Raises:
        ParameterError: where Dask is not installed or no scheduler answers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ParameterError(
            f"--dask: needs Dask ({error}); install it by: pip install 'evio_ros[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ParameterError(f"--dask: no scheduler answers at {address}: {error}") from None
    with client:
        # Each is measured again in another run, whatever Dask remembers of the one before.
        futures = client.map(measure_recording, jobs, pure=False, retries=0)
        names = {future.key: job.recording for future, job in zip(futures, jobs, strict=True)}
        try:
            for future in as_completed(futures):
                lost = future.exception()
                yield Outcome(names[future.key], error=str(lost)) if lost else future.result()
                future.release()
        finally:
            client.cancel(futures)
