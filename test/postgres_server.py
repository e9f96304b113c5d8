"""A PostgreSQL server for tests, run from the binaries of Debian's package.

`EVIO_POSTGRES` is the folder of other binaries, e.g. with the extension timescaledb.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

__all__ = ["PostgresServer", "postgres_binaries"]


def postgres_binaries() -> Path | None:
    """The folder of the newest installed server's binaries; None if there is none."""
    chosen = os.environ.get("EVIO_POSTGRES")
    if chosen:
        return Path(chosen)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


class PostgresServer:
    """A server with its data in a folder; a context manager that stops it.

    The server refuses to run as root; it is then run as the user postgres of Debian's package.

    Args:
        folder: an empty folder.
        preloaded: libraries to preload.
    """

    def __init__(self, folder: Path, preloaded: str = "") -> None:
        binaries = postgres_binaries()
        assert binaries is not None
        self._binaries, self._folder = binaries, folder
        self._data = folder / "data"
        self._preloaded = preloaded
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            for parent in (folder, *folder.parents[:3]):
                if parent != Path("/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._run(
            "initdb", "-D", self._data, "-U", "evio", "-A", "trust", "-E", "UTF8", "--no-sync"
        )

    @property
    def url(self) -> str:
        """URL for clients."""
        return f"postgresql://evio@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self._folder} -c fsync=off -c listen_addresses=127.0.0.1"
        options += f" -c shared_preload_libraries={self._preloaded}"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()

    def _run(self, program: str, *arguments: object) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        command = [str(self._binaries / program), *map(str, arguments)]
        subprocess.run(
            command,
            check=True,
            user=user,
            extra_groups=[] if user else None,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
        )
