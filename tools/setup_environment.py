"""Create `.venv` at the repository's root: ROS 2, the project's dependencies and the built package.

If a ROS 2 environment is sourced, it is used, and the venv only adds what is missing. Otherwise ROS
2 Jazzy is installed from wheels. Colcon builds the package into the venv, which is the only install
prefix. Each step is skipped unless something it depends on has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from mend_wheels import mend_include_directories

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".evio_setup"
PYTHON = VENV / "bin" / "python"
WHEELS = Path(__file__).with_name("ros_wheels.txt")
INTERFACES = Path(__file__).with_name("interfaces")
WHEEL_VERSIONS = ((3, 11), (3, 12))
EXTRAS = "cameras,formats,postgres,reference,test,video,vision,web"
EXIT_ERROR = 2


class SetupError(Exception):
    """Something is missing or has failed; the text is one line for the user."""


def main() -> int:
    """Update the environment; returns 0 for success, 2 if something is missing or fails."""
    try:
        check_tools()
        uses_wheels = not ros_is_sourced()
        make_venv(uses_wheels)
        install_dependencies(uses_wheels)
        if uses_wheels:
            mend_include_directories(VENV, PYTHON)
        build(uses_wheels)
        share_caches()
        compile_kernels()
    except (SetupError, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("setup: interrupted; the next run continues where this one stopped", file=sys.stderr)
        return 130
    return 0


def check_tools() -> None:
    """Raise SetupError with one line that names the tools to install first."""
    wanted = {
        "a C++ compiler": ("c++", "g++", "clang++"),
        "cmake": ("cmake",),
        "make": ("make", "ninja"),
    }
    missing = [name for name, commands in wanted.items() if not any(map(shutil.which, commands))]
    try:
        import ensurepip  # noqa: F401 - in a separate package on Debian, python3-venv
        import venv  # noqa: F401
    except ImportError:
        missing.append("python3-venv")
    if missing:
        raise SetupError(
            f"missing: {', '.join(missing)}; on Debian and Ubuntu: "
            "apt install build-essential cmake python3-dev python3-venv"
        )


def ros_is_sourced() -> bool:
    """Whether the calling shell has a ROS 2 environment other than our own venv."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    foreign = [prefix for prefix in prefixes if prefix and Path(prefix) != VENV]
    if not (os.environ.get("ROS_DISTRO") and foreign):
        return False
    found = subprocess.run([base_python(), "-c", "import rclpy"], capture_output=True)
    return found.returncode == 0


def base_python() -> str:
    """The interpreter outside any venv that runs this script."""
    return getattr(sys, "_base_executable", sys.executable)


def wheel_python() -> str:
    """An interpreter of a version for which there are wheels."""
    if sys.version_info[:2] in WHEEL_VERSIONS:
        return base_python()
    for major, minor in reversed(WHEEL_VERSIONS):
        found = shutil.which(f"python{major}.{minor}")
        if found:
            return found
    names = " or ".join(f"{major}.{minor}" for major, minor in WHEEL_VERSIONS)
    raise SetupError(
        f"Python {names} is needed for the ROS 2 wheels, this is "
        f"{sys.version_info.major}.{sys.version_info.minor}; or source a ROS 2 environment first"
    )


def make_venv(uses_wheels: bool) -> None:
    """Create the venv, unless there is one for this interpreter and kind of ROS installation."""
    python = wheel_python() if uses_wheels else base_python()
    kind = f"{os.path.realpath(python)} wheels={uses_wheels}"
    if PYTHON.exists() and is_done("venv", kind):
        return
    options = [] if uses_wheels else ["--system-site-packages"]
    run(f"create {VENV.name}", [python, "-m", "venv", "--clear", *options, str(VENV)])
    STAMPS.mkdir(parents=True, exist_ok=True)
    mark_done("venv", kind)


def install_dependencies(uses_wheels: bool) -> None:
    """Install ROS 2 (if wheels are used), colcon and the dependencies in setup.cfg with extras."""
    digest = digest_of([WHEELS, ROOT / "setup.cfg", ROOT / "pyproject.toml"])
    if is_done("dependencies", digest):
        return
    pins = ["-r", str(WHEELS)] if uses_wheels else []
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", *pins, "--editable", f".[{EXTRAS}]"]
    run("install ROS 2 and the dependencies" if uses_wheels else "install dependencies", command)
    mark_done("dependencies", digest)


def build(uses_wheels: bool) -> None:
    """Build the package, and missing interface packages, into the venv."""
    environment = build_environment(uses_wheels)
    missing = missing_interfaces(environment)
    names = sorted(str(path.relative_to(ROOT)) for path in installed_files())
    digest = digest_of(built_files(missing), [*names, *map(str, missing)])
    if is_done("build", digest):
        return
    # Links to deleted modules must be removed.
    for stale in VENV.glob("lib/python3.*/site-packages/evio_ros"):
        shutil.rmtree(stale)
    colcon = shutil.which("colcon", path=environment["PATH"])
    if colcon is None:
        raise SetupError("missing: colcon; on Ubuntu: apt install python3-colcon-common-extensions")
    command = [colcon, "--log-base", "log", "build", "--merge-install", "--symlink-install"]
    command += ["--install-base", str(VENV), "--paths", ".", *map(str, missing)]
    command += ["--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF"]
    command.append("-DEVIO_COMPILE_KERNELS=OFF")  # a separate step, which shows its progress
    run("build the messages and the package", command, environment)
    mark_done("build", digest)


def share_caches() -> None:
    """Make the installed modules, which are links, share the numba caches of the checkout.

    Otherwise all kernels would be compiled twice: `python -m` uses the modules in the working
    folder, installed commands those in the venv.
    """
    for installed in VENV.glob("lib/python3.*/site-packages/evio_ros"):
        folders = [installed, *(path for path in installed.rglob("*") if path.is_dir())]
        for folder in folders:
            source = ROOT / "evio_ros" / folder.relative_to(installed)
            if folder.name == "__pycache__" or not source.is_dir():
                continue
            kept, link = source / "__pycache__", folder / "__pycache__"
            kept.mkdir(exist_ok=True)
            if link.is_dir() and not link.is_symlink():
                shutil.rmtree(link)
            if not link.is_symlink():
                link.symlink_to(kept, target_is_directory=True)


def compile_kernels() -> None:
    """Compile the kernels ahead of their first use."""
    modules = sorted((ROOT / "evio_ros").rglob("*.py"))
    digest = digest_of(modules)
    if is_done("kernels", digest):
        return
    print("setup: compile the kernels ...", flush=True)
    done = subprocess.run([str(VENV / "bin" / "evio"), "compile"], cwd=ROOT)
    if done.returncode:
        raise SetupError(f"failed to compile: evio compile ended with {done.returncode}")
    mark_done("kernels", digest)


def build_environment(uses_wheels: bool) -> dict[str, str]:
    """The environment in which colcon finds the venv and, if sourced, ROS."""
    environment = dict(os.environ)
    variables = ["PATH"]
    if uses_wheels:
        variables += ["AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"]
    for name in variables:
        first = str(VENV / "bin") if name == "PATH" else str(VENV)
        rest = [entry for entry in environment.get(name, "").split(os.pathsep) if entry != first]
        environment[name] = os.pathsep.join([first, *filter(None, rest)])
    return environment


def missing_interfaces(environment: dict[str, str]) -> list[Path]:
    """Interface packages in this repository that no prefix other than the venv provides."""
    prefixes = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    others = [Path(prefix) for prefix in prefixes if prefix and Path(prefix) != VENV]
    packages = sorted(path.parent for path in INTERFACES.glob("*/package.xml"))
    return [
        package
        for package in packages
        if not any((prefix / "share" / package.name / "package.xml").exists() for prefix in others)
    ]


def installed_files() -> list[Path]:
    """Files that the build links into the venv: only their names matter, not their contents."""
    folders = ("evio_ros", "scripts", "launch", "config")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in files if "__pycache__" not in path.parts]


def built_files(interfaces: Iterable[Path]) -> list[Path]:
    """Files whose contents affect the build."""
    files = [ROOT / "CMakeLists.txt", ROOT / "package.xml"]
    for folder in (ROOT / "msg", ROOT / "srv", *interfaces):
        files += sorted(path for path in folder.rglob("*") if path.is_file())
    return files


def digest_of(files: Iterable[Path], words: Iterable[str] = ()) -> str:
    """A digest of files and words."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() + b"\0")
    for word in words:
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()


def is_done(step: str, digest: str) -> bool:
    """Whether a step has been completed for this digest."""
    stamp = STAMPS / step
    return stamp.exists() and stamp.read_text() == digest


def mark_done(step: str, digest: str) -> None:
    """Record that a step has been completed."""
    (STAMPS / step).write_text(digest)


def run(what: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command and print its purpose and duration; show its output if it fails."""
    started = time.monotonic()
    print(f"setup: {what} ...", end="", flush=True)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f" {time.monotonic() - started:.1f} s", flush=True)
    if done.returncode:
        print(done.stdout[-6000:], file=sys.stderr)
        raise SetupError(
            f"failed to {what}: {' '.join(command[:4])} ... ended with {done.returncode}"
        )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
