"""The map of the code sees imports wherever they are, on a small package made up by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from code_map import CodeMap, import_time_nodes, imported, top_level_names

FILES = {
    "evio_ros/__init__.py": """
        def __getattr__(name):
            from importlib import import_module
            return getattr(import_module(f"{__name__}.{WHERE[name]}"), name)
        WHERE = {"Last": "stage.last"}
    """,
    "evio_ros/first.py": """
        import json
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from evio_ros.stage.last import Last
        __all__ = ["early", "idle"]
        def early(): ...
        def idle(): ...
    """,
    "evio_ros/stage/__init__.py": "",
    "evio_ros/stage/last.py": """
        import numpy.typing
        __all__ = ["Last"]
        class Last:
            def begin(self):
                from evio_ros import first
                return first.early()
    """,
    "evio_ros/stage/registry.py": """
        from importlib import import_module
        from backports.zstd import open
        ENTRIES = {"raw": "dat:DatFile"}
        def make(name):
            return import_module(f"evio_ros.stage.formats.{name}")
    """,
    "evio_ros/stage/formats/__init__.py": "",
    "evio_ros/stage/formats/dat.py": """
        __all__ = ["DatFile", "Other"]
        class DatFile: ...
        class Other: ...
    """,
    "scripts/tool": "from evio_ros.stage import registry",
    "test/test_first.py": "from evio_ros.first import idle",
}


@pytest.fixture
def code(tmp_path) -> CodeMap:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix("        ") for line in text.splitlines()))
    return CodeMap.of(tmp_path)


def test_lazy_imports_and_those_for_types_count(code):
    assert code.graph["evio_ros.first"] == {"evio_ros.stage.last"}
    assert code.graph["evio_ros.stage.last"] == {"evio_ros.first"}
    assert code.cycles() == [["evio_ros.first", "evio_ros.stage.last"]]


def test_what_is_imported_by_name_counts(code):
    assert code.graph["evio_ros.stage.registry"] == {"evio_ros.stage.formats.dat"}
    assert code.graph["evio_ros"] == {"evio_ros.stage.last"}


def test_scripts_are_users_and_tests_are_not(code):
    assert code.importers["evio_ros.stage.registry"] == {"scripts/tool"}
    assert code.importers["evio_ros.first"] == {"evio_ros.stage.last"}


def test_names_are_used_where_they_are_imported_or_reached(code):
    assert code.used_names["evio_ros.first"] == {"early"}
    assert code.used_names["evio_ros.stage.formats.dat"] == {"DatFile"}
    assert code.offered()["evio_ros.stage.formats.dat"] == {"DatFile", "Other"}


def test_what_runs_at_import_is_told_apart(code):
    for name in ("first", "stage.last"):
        path = code.modules[f"evio_ros.{name}"]
        assert code.imports(path, import_time_nodes(path)) == set()
    tool = code.users["scripts/tool"]
    assert code.imports(tool, import_time_nodes(tool)) == {"evio_ros.stage.registry"}


def test_foreign_packages_are_known_by_their_first_name(code):
    names = top_level_names(code.modules.values())
    assert {"json", "numpy", "backports.zstd"} <= names


def test_relative_imports_are_refused():
    with pytest.raises(ValueError, match="line 1: relative import"):
        list(imported(ast.walk(ast.parse("from . import other"))))


def test_the_repository_itself_is_found():
    code = CodeMap.of()
    assert code.modules["evio_ros.events"] == Path(code.root, "evio_ros", "events.py")
