from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("yaml")

from evio_ros.ros.parameters_file import written_parameters

GIVEN = {"driver": {"source": "fan.dat", "replay.rate": 1.0}, "fusion": {}}
WRITER = """
import sys
from evio_ros.ros.parameters_file import written_parameters
print(written_parameters({"driver": {"source": "fan.dat"}}), flush=True)
sys.stdin.read()
"""


def test_what_is_written_is_read_again_by_another_process():
    path = written_parameters(GIVEN)
    command = [sys.executable, "-c", "import sys, yaml; print(yaml.safe_load(open(sys.argv[1])))"]
    for _ in range(2):  # a node that has crashed reads it once more
        said = subprocess.run([*command, path], check=True, capture_output=True, text=True).stdout
        assert said.strip() == str(
            {
                "/**/driver": {"ros__parameters": {"replay.rate": 1.0, "source": "fan.dat"}},
                "/**/fusion": {"ros__parameters": {}},
            }
        )


@pytest.mark.skipif(sys.platform != "linux", reason="needs files without a name")
def test_nothing_is_left_of_a_process_that_is_killed(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        path = Path(writer.stdout.readline().strip())
        assert "fan.dat" in path.read_text(encoding="utf-8")
        writer.kill()
        writer.wait()
    assert not path.exists()
    assert not list(tmp_path.iterdir())
