"""Measuring many recordings in processes of this machine, or on a Dask cluster."""

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

__all__ = ["measure_locally", "measure_on_dask"]

_CONNECT_S = 10
_THREADS_OF_LINEAR_ALGEBRA = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to one thread in each process: waiting threads of several processes compete for the cores."""


def measure_locally(jobs: Sequence[RecordingJob], processes: int) -> Generator[Outcome, None, None]:
    """Measure recordings in processes of this machine.

    If a process dies, for example of too little memory, only its recording fails. Closing the
    iterator, or Ctrl-C, ends all processes at once.

    Args:
        jobs: the recordings.
        processes: number of recordings measured in parallel, at least 1.

    Yields:
        Outcomes as they become ready.
    """
    # Libraries read these when a process loads them; values set by the user are kept.
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
        for worker in (*idle, *(worker for worker, _ in running.values())):
            worker.shutdown(cancel_futures=True)  # else Python warns of its semaphores


def _new_worker() -> ProcessPoolExecutor:
    """A pool with a single process, so that its death does not affect others."""
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=fresh, initializer=_follow_parent)


def _follow_parent() -> None:
    """Ignore Ctrl-C, which the parent handles, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _died(job: RecordingJob) -> str:
    return f"{job.recording}: its process ended unexpectedly, possibly because of too little memory"


def measure_on_dask(jobs: Sequence[RecordingJob], address: str) -> Generator[Outcome, None, None]:
    """Measure recordings on a Dask cluster whose workers can read them under the same paths.

    Args:
        jobs: the recordings.
        address: of the scheduler, as `tcp://host:8786`.

    Yields:
        Outcomes as they become ready.

    Raises:
        ParameterError: if Dask is not installed or no scheduler answers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ParameterError(
            f"--dask: Dask is missing ({error}); install it by: pip install 'evio_ros[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ParameterError(f"--dask: no scheduler answers at {address}: {error}") from None
    with client:
        # Another run must measure again, even if Dask still has results of an earlier one.
        futures = client.map(measure_recording, jobs, pure=False, retries=0)
        names = {future.key: job.recording for future, job in zip(futures, jobs, strict=True)}
        try:
            for future in as_completed(futures):
                lost = future.exception()
                yield Outcome(names[future.key], error=str(lost)) if lost else future.result()
                future.release()
        finally:
            client.cancel(futures)
