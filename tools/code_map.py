"""Analysis of the sources' syntax trees: modules, imports and public names.

python tools/code_map.py            a line for each part: modules, lines, names
python tools/code_map.py --names    in addition, offered names that no other module uses

"Public" are functions, classes and methods without an underscore; "offered" are the names in
__all__.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "evio_ros"
FOLDERS = (PACKAGE, "bench", "launch", "scripts", "tools")
"""Folders whose files count as users of the package's modules; tests do not."""
LOADERS = ("find_spec", "import_module", "importorskip", "optional_library")
"""Functions that import the module named by their first argument."""


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Module and name of each import; the name is empty if the module itself is imported.

    Raises:
        ValueError: if an import is relative.
    """
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"line {node.lineno}: relative import")
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and _called(node) in LOADERS:
            (first, *_) = node.args
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, ""


def import_time_nodes(path: Path) -> list[ast.AST]:
    """Nodes that run when a module is imported: without function bodies and TYPE_CHECKING."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree(path)]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def top_level_names(paths: Iterable[Path]) -> set[str]:
    """Names of the packages that files import anywhere; `backports.zstd` with both its parts."""
    names = {module for path in paths for module, _ in imported(ast.walk(tree(path)))}
    return {".".join(name.split(".")[: 2 if name.startswith("backports") else 1]) for name in names}


@dataclass(frozen=True)
class CodeMap:
    """The package's modules and all Python files that may use them.

    Attributes:
        root: the repository.
        modules: path of each module by its full name; a folder's __init__ has the folder's name.
        users: path of every file that may use them, by module name or, outside the package, by
            path.
    """

    root: Path
    modules: dict[str, Path]
    users: dict[str, Path]

    @classmethod
    def of(cls, root: Path = ROOT) -> CodeMap:
        """Read a repository."""
        paths = sorted((root / PACKAGE).rglob("*.py"))
        modules = {_module_name(path.relative_to(root)): path for path in paths}
        others = [
            path
            for folder in FOLDERS[1:]
            for path in sorted((root / folder).rglob("*"))
            if path.is_file() and (path.suffix == ".py" or folder == "scripts")
        ]
        users = modules | {path.relative_to(root).as_posix(): path for path in others}
        return cls(root, modules, users)

    def imports(self, path: Path, nodes: Iterable[ast.AST] | None = None) -> set[str]:
        """The package's modules that a file imports, including lazily, by name and for types."""
        nodes = list(ast.walk(tree(path)) if nodes is None else nodes)
        found = {self._module(module, name) for module, name in imported(nodes)}
        found |= set(self._named(path, nodes))
        return {name for name in found if name and self.modules.get(name) != path}

    @functools.cached_property
    def graph(self) -> dict[str, set[str]]:
        """The modules that each module imports."""
        return {name: self.imports(path) for name, path in self.modules.items()}

    @functools.cached_property
    def importers(self) -> dict[str, set[str]]:
        """The modules, scripts and tools that import each module."""
        found: dict[str, set[str]] = {name: set() for name in self.modules}
        for user, path in self.users.items():
            for name in self.imports(path):
                found[name].add(user)
        return found

    @functools.cached_property
    def used_names(self) -> dict[str, set[str]]:
        """Names of each module used by other files; for entries of a registry, their class."""
        found: dict[str, set[str]] = defaultdict(set)
        for path in self.users.values():
            nodes = list(ast.walk(tree(path)))
            aliases: dict[str, str] = {}
            for node in nodes:
                if isinstance(node, ast.ImportFrom) and node.module is not None:
                    for alias in node.names:
                        name = f"{node.module}.{alias.name}"
                        if name in self.modules:
                            aliases[alias.asname or alias.name] = name
                        else:
                            found[node.module].add(alias.name)
            for node in nodes:
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    found[aliases.get(node.value.id, "")].add(node.attr)
            for module, member in self._named(path, nodes).items():
                found[module] |= member
        return found

    def cycles(self) -> list[list[str]]:
        """Groups of modules with circular imports, direct or indirect."""
        reached = {name: self._reached(name) for name in self.graph}
        groups = {
            tuple(sorted(other for other in reached[name] if name in reached[other]))
            for name in self.graph
            if name in reached[name]
        }
        return sorted(map(list, groups))

    def offered(self) -> dict[str, set[str]]:
        """The public names of each module: its `__all__`."""
        return {name: offered(path) or set() for name, path in self.modules.items()}

    def _reached(self, start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = self.graph[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    def _module(self, module: str, name: str) -> str:
        """The package's module that an import refers to; empty for another package."""
        whole = f"{module}.{name}"
        return whole if whole in self.modules else module if module in self.modules else ""

    def _named(self, path: Path, nodes: list[ast.AST]) -> dict[str, set[str]]:
        """Modules named by a registry's strings, with the class if it is named too.

        A registry calls import_module(f"folder.{name}"), and its strings are "name" or
        "name:Class"; a package's __init__ calls import_module(f"{__name__}.{name}").
        """
        own = _module_name(path.relative_to(self.root))
        calls = [n for n in nodes if isinstance(n, ast.Call) and _called(n) == "import_module"]
        prefixes = {_prefix(call, own) for call in calls if call.args}
        texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        found: dict[str, set[str]] = defaultdict(set)
        for text in texts:
            if re.fullmatch(r"[\w.]+(:\w+)?", text):
                name, _, member = text.partition(":")
                for prefix in prefixes:
                    if prefix + name in self.modules:
                        found[prefix + name] |= {member} - {""}
        return found


def offered(path: Path) -> set[str] | None:
    """The names in a module's `__all__`; None if it has none."""
    for statement in tree(path).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return set(ast.literal_eval(statement.value))
    return None


def part_of(module: str) -> str:
    """The part of the package to which a module belongs: its folder or, at the top, itself."""
    return module.split(".")[1] if "." in module else "__init__"


def _public(node: ast.Module | ast.ClassDef) -> list[str]:
    """Functions, classes and methods without an underscore."""
    found = [
        child
        for child in node.body
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_")
    ]
    inner = [name for child in found if isinstance(child, ast.ClassDef) for name in _public(child)]
    return [child.name for child in found] + inner


def _module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _prefix(call: ast.Call, own: str) -> str:
    """The prefix that a file adds to the names of modules that it imports by name."""
    text = ast.unparse(call.args[0]).replace("{__name__}", own)
    return text[2:].partition("{")[0] if text.startswith(("f'", 'f"')) else ""


def main() -> None:
    """Print the counts of every part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", action="store_true", help="list unused names too")
    options = parser.parse_args()
    code = CodeMap.of()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    unused: list[str] = []
    for module, names in code.offered().items():
        lines = len(code.modules[module].read_text(encoding="utf-8").splitlines())
        # The names offered by the package itself are for its users.
        idle = set() if module == PACKAGE else names - code.used_names[module]
        unused += [f"{module}.{name}" for name in sorted(idle)]
        public = len(_public(tree(code.modules[module])))
        counts[part_of(module)].update(
            modules=1, lines=lines, public=public, offered=len(names), unused=len(idle)
        )
    counts["all"] = sum(counts.values(), Counter())
    columns = ("modules", "lines", "public", "offered", "unused")
    print(f"{'part':16}" + "".join(f"{column:>9}" for column in columns))
    for part, count in counts.items():
        print(f"{part:16}" + "".join(f"{count[column]:9}" for column in columns))
    if options.names:
        print(*unused, sep="\n")


if __name__ == "__main__":
    main()
