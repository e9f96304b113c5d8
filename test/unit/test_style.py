"""What every file of the sources keeps to; each test lists all that breaks its rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from code_map import ROOT, CodeMap, offered, tree

CODE = CodeMap.of()
TALKING = {"cli", "nodes", "ros"}
"""Parts that may print and end the process."""
OUTPUT = {"exit", "input", "os._exit", "print", "quit", "sys.exit"}
SIZES_ARE_DATA = {"simulation.camera", "simulation.presets"}
"""What is simulated has a size that is named."""
VAGUE = {"common", "helper", "helpers", "manager", "misc", "tool", "util", "utils"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of every module's tree."""
    for name, path in CODE.modules.items():
        for node in ast.walk(tree(path)):
            yield name.removeprefix("evio_ros."), node


def test_the_library_neither_prints_nor_exits():
    wrong = [
        f"{name}:{node.lineno}"
        for name, node in nodes()
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in OUTPUT
        and name.partition(".")[0] not in TALKING
    ]
    assert wrong == []


def test_no_sensor_size_is_assumed():
    wrong = []
    for name, path in CODE.modules.items():
        if name.removeprefix("evio_ros.") in SIZES_ARE_DATA:
            continue
        table = {
            node
            for statement in tree(path).body
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            and "STANDARD_SIZES" in ast.unparse(statement)
            for node in ast.walk(statement)
        }
        wrong += [
            f"{name}:{node.lineno}"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Constant) and node.value in (1280, 720) and node not in table
        ]
    assert wrong == []


def test_all_but_compiled_kernels_is_annotated():
    wrong = []
    for name, node in nodes():
        if not isinstance(node, ast.FunctionDef):
            continue
        if any("njit" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [one.arg for one in given if one.annotation is None]
        if set(bare) - {"self", "cls"} or node.returns is None:
            wrong.append(f"{name}:{node.lineno} {node.name}")
    assert wrong == []


def test_every_module_says_what_it_is_and_what_it_offers():
    wrong = []
    for name, path in CODE.modules.items():
        if path.name != "__init__.py" and not ast.get_docstring(tree(path)):
            wrong.append(f"{name}: no docstring")
        names = offered(path)
        if names is None and path.name != "__init__.py":
            wrong.append(f"{name}: no __all__")
        if names is not None and not names <= defined(path):
            wrong.append(f"{name}: not defined: {', '.join(names - defined(path))}")
    assert wrong == []


def test_only_what_others_use_is_offered():
    """By other modules, scripts and tools, or by those who read the documentation."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    documented = set(re.findall(r"\w+", " ".join(page.read_text() for page in pages)))
    wrong = [
        f"{name}.{one}"
        for name, names in CODE.offered().items()
        for one in sorted(names - CODE.used_names[name] - documented)
        if CODE.modules[name].name != "__init__.py"
    ]
    assert wrong == []


def test_what_others_use_is_offered():
    wrong = [
        f"{name}.{one}"
        for name, names in CODE.offered().items()
        for one in sorted(CODE.used_names[name] - names)
        if CODE.modules[name].name != "__init__.py"
    ]
    assert wrong == []


def test_no_file_is_a_drawer_for_everything():
    folders = ("bench", "evio_ros", "launch", "test", "tools")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert [path.name for path in paths if path.stem in VAGUE] == []


def defined(path: Path) -> set[str]:
    """Names that a module defines or imports at its top."""
    found: set[str] = set()
    for statement in ast.walk(tree(path)):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(statement.name)
        elif isinstance(statement, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {ast.unparse(target) for target in targets}
    return found
