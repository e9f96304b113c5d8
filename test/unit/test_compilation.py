from __future__ import annotations

import threading

from numba import njit

from evio_ros.compilation import interrupt_compilation, report_compilation


@njit
def _doubled(x):
    return 2 * x


@njit
def _tripled(x):
    return 3 * x


def test_what_is_compiled_is_told():
    told: list[int] = []
    with report_compilation(told.append):
        assert _doubled(4) == 8
    assert told == list(range(1, len(told) + 1))
    assert told


def test_a_thread_that_comes_to_a_new_kernel_is_interrupted_and_numba_still_works():
    raised: list[BaseException] = []

    def work() -> None:
        try:
            _tripled(4)
        except BaseException as error:
            raised.append(error)

    with interrupt_compilation():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert _doubled(4) == 8  # compiled before
    assert [type(error) for error in raised] == [KeyboardInterrupt]
    # The lock is free, for this thread and any other.
    assert _tripled(4) == 12
    thread = threading.Thread(target=_tripled, args=(4.0,), daemon=True)
    thread.start()
    thread.join(60.0)
    assert not thread.is_alive()
