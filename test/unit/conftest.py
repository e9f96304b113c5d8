import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from small_fan import record_small_fan


@pytest.fixture(scope="session")
def fan_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAT file of `small_fan`, made once."""
    return record_small_fan(tmp_path_factory.mktemp("recordings") / "fan.dat")


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """A context in which the tests do not have root's permissions, if run by root."""

    @contextmanager
    def somebody_else() -> Iterator[None]:
        is_root = os.geteuid() == 0
        if is_root:
            try:
                os.seteuid(65534)
            except OSError as error:
                pytest.skip(f"root cannot give up its rights here: {error}")
        try:
            yield
        finally:
            if is_root:
                os.seteuid(0)

    return somebody_else
