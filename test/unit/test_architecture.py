"""Who may import whom, and other promises of the package's shape, read from the syntax trees."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "evio_ros"

BASE = {
    *("atomic_file", "cell_counts", "crop", "ellipse", "errors", "estimate", "event_formats"),
    *("events", "parameters", "windowing"),
}
STAGES = {
    *("detection", "fusion", "motion", "representations", "rotation", "simulation", "sources"),
}
SKIN = {"cli", "nodes", "ros"}
GENERATED = {"msg", "srv"}
"""Built from msg/ and srv/, never in the sources."""

BETWEEN_STAGES = {"evio_ros.estimate"}
"""The result of a stage that others take: plain values."""

ROS = {
    *("ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs"),
    *("event_camera_msgs", "launch", "launch_ros", "lifecycle_msgs", "rcl_interfaces", "rclpy"),
    *("rosidl_runtime_py", "sensor_msgs", "geometry_msgs", "std_msgs", "std_srvs", "vision_msgs"),
}
HEAVY = {"cv2", "evlib", "h5py", "matplotlib", "numba", "rclpy", "scipy", "sklearn", "torch"}
OUTPUT = {"print", "exit", "quit", "input"}

MODULES = sorted(PACKAGE.rglob("*.py"))
PUBLIC = [path for path in MODULES if path.name != "__init__.py"]
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
each_public_module = pytest.mark.parametrize(
    "path", PUBLIC, ids=lambda p: str(p.relative_to(PACKAGE))
)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(path: Path) -> str:
    """The package's part that a module belongs to: the folder's or, at the top, its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, nodes: Iterator[ast.AST] | None = None) -> set[str]:
    """Full names of all that is imported anywhere in a module, also within functions."""
    found = set()
    for node in ast.walk(tree(path)) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = (ROOT / f"{name.replace('.', '/')}.py").exists()
                found.add(name if is_module else node.module)
    return found


def parts_imported(names: set[str]) -> set[str]:
    """The parts of the package among imported names."""
    ours = [name.split(".") for name in names if name.startswith("evio_ros")]
    return {name[1] for name in ours if len(name) > 1}


def shared_with(part: str) -> set[str]:
    """Modules of stages that a part may use without depending on the stages themselves."""
    if part == "ros":
        # What a stage's base says of its results is what messages are made of.
        return {f"evio_ros.{stage}.base" for stage in STAGES}
    return set()


def allowed_parts(part: str) -> set[str]:
    compositions = {part_of(path) for path in MODULES} - BASE - STAGES - SKIN
    if part in BASE:
        return BASE
    if part in STAGES:
        return BASE | {part}
    if part == "ros":
        return BASE | GENERATED | {"ros"}
    if part == "nodes":
        return BASE | STAGES | compositions | GENERATED | {"ros", "nodes"}
    if part == "cli":
        return BASE | STAGES | compositions | {"cli", "ros"}
    return BASE | STAGES | compositions


@each_module
def test_parts_import_only_what_lies_below_them(path):
    part = part_of(path)
    assert parts_imported(imports(path) - shared_with(part)) <= allowed_parts(part)


def test_events_know_nothing_but_errors():
    assert parts_imported(imports(PACKAGE / "events.py")) == {"errors"}


@each_module
def test_ros_appears_in_ros_and_nodes_alone(path):
    names = {name.partition(".")[0] for name in imports(path)}
    if part_of(path) not in ("ros", "nodes"):
        assert not names & ROS
        assert not parts_imported(imports(path)) & GENERATED


@each_module
def test_the_command_line_needs_ros_only_where_it_is_asked_for(path):
    if part_of(path) == "cli":
        at_the_top = imports(path, iter(tree(path).body))
        assert "ros" not in parts_imported(at_the_top)


def test_the_rules_see_lazy_imports():
    analyze = PACKAGE / "cli" / "analyze.py"
    assert "evio_ros.sources.registry" in imports(analyze)
    assert "evio_ros.sources.registry" not in imports(analyze, iter(tree(analyze).body))


@each_module
def test_the_library_neither_prints_nor_exits(path):
    if part_of(path) in SKIN:
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in OUTPUT | {"sys.exit", "os._exit"}, f"line {node.lineno}: {name}"


@each_module
def test_no_sensor_size_is_assumed(path):
    if path.relative_to(PACKAGE).as_posix() in ("simulation/presets.py", "simulation/camera.py"):
        return
    table = {
        node
        for statement in tree(path).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and "STANDARD_SIZES" in ast.unparse(statement)
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and node.value in (1280, 720):
            assert node in table, f"line {node.lineno}: {node.value}"


@each_module
def test_all_but_compiled_kernels_is_annotated(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and not any(
            "njit" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [
                argument.arg
                for argument in arguments
                if argument.annotation is None and argument.arg not in ("self", "cls")
            ]
            assert not bare, f"line {node.lineno}: {node.name}: {bare}"
            assert node.returns is not None, f"line {node.lineno}: {node.name}: no return type"


def test_the_generated_messages_are_not_in_the_sources():
    for name in GENERATED:
        assert not (PACKAGE / name).exists()


@each_public_module
def test_every_module_says_what_it_is_and_what_it_offers(path):
    assert ast.get_docstring(tree(path)), "no docstring"
    defined: set[str] = set()
    offered: set[str] | None = None
    for statement in tree(path).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            defined.add(statement.name)
        elif isinstance(statement, ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = {ast.unparse(target) for target in targets}
            defined |= names
            if names == {"__all__"}:
                assert statement.value is not None
                offered = set(ast.literal_eval(statement.value))
    assert offered is not None, "no __all__"
    assert offered <= defined


def source_files() -> list[Path]:
    folders = ("bench", "evio_ros", "launch", "test", "tools")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_files_are_short_enough_to_be_read_at_one_go():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in source_files()
    }
    most = {name: 200 if name.startswith("evio_ros/nodes/") else 400 for name in lengths}
    assert {name: lines for name, lines in lengths.items() if lines > most[name]} == {}


def test_no_file_is_a_drawer_for_everything():
    vague = {"common", "helper", "helpers", "manager", "misc", "tool", "util", "utils"}
    assert [path.name for path in source_files() if path.stem in vague] == []


def test_evio_starts_without_what_is_slow_to_load():
    ask = f"import sys, evio_ros.cli.main; print(*sorted({HEAVY} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_measuring_needs_neither_ros_nor_plots_nor_the_extras():
    ask = "import sys, evio_ros.pipeline; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert {"numba", "numpy"} <= set(loaded.stdout.split())
    assert not {"cv2", "evlib", "matplotlib", "rclpy", "torch"} & set(loaded.stdout.split())
