"""What pip and colcon install, and that the declared dependencies are those that are imported."""

import configparser
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec

import pytest
from code_map import ROOT, top_level_names
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setup_environment import EXTRAS

import evio_ros

PACKAGE = ROOT / "evio_ros"
FOR_TESTS = ("reference", "test")
"""Extras of what only tests, benchmarks and tools import."""

# Names by which pip and rosdep know an imported module, where they differ from its own.
PIP_NAMES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "llvmlite": "numba",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "llvmlite": "python3-numba",
    "rosbags": "python3-rosbags-pip",
}

NOT_IMPORTED = {
    "onnx": "what PyTorch exports networks with",
    "ruff": "a command of `make test`",
    "types-pyyaml": "types for mypy",
}
LOADED_BY_NAME = {"websockets": "by uvicorn, for /ws"}
"""What the library needs without an import of its own."""
NOT_DECLARED = {
    "dv_processing": "compared with where somebody has installed it",
    "expelliarmus": "compared with where somebody has installed it",
    "models": "the official network, where somebody compares with it",
    "omegaconf": "what the official network needs, where somebody compares with it",
}
NOT_IN_ROSDEP = {"backports.zstd": "rosdep has no key; rosbags brings it"}
FOUND_BY_CMAKE = {"ament_cmake_pytest", "launch_testing_ament_cmake"}
ROS_NOT_IMPORTED = {
    "rosidl_default_runtime": "what the generated messages need",
    "ros2launch": "the command that runs launch/",
}


def parsed_setup() -> configparser.ConfigParser:
    """setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


SETUP = parsed_setup()
EXTRAS_OF = SETUP["options.extras_require"]


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    """package.xml."""
    return ElementTree.parse(ROOT / "package.xml").getroot()


def declared(manifest: ElementTree.Element, *kinds: str) -> set[str]:
    """The packages that package.xml names."""
    return {element.text or "" for kind in kinds for element in manifest.iter(kind)}


def requirements(*sections: str) -> list[Requirement]:
    """What setup.cfg asks for: always, where no section is named, or by some extras."""
    texts = [EXTRAS_OF[name] for name in sections] or [SETUP["options"]["install_requires"]]
    return [Requirement(line) for text in texts for line in text.splitlines() if line.strip()]


def names_of(found: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in found}


def pip_name(module: str) -> str:
    """The package that brings a module."""
    return canonicalize_name(PIP_NAMES.get(module, module))


def is_of_ros(name: str, manifest: ElementTree.Element) -> bool:
    is_interface = name.endswith(("_msgs", "_srvs", "_interfaces"))
    return is_interface or name in declared(manifest, "depend", "exec_depend", "test_depend")


def foreign_imports(*folders: str) -> set[str]:
    """Packages of others that the files in folders import."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix == ".py" or path.parent.name == "scripts"]
    own = {path.stem for path in files} | {path.parent.name for path in files} - {"launch"}
    return top_level_names(files) - own - {"evio_ros"} - set(sys.stdlib_module_names)


LIBRARY = foreign_imports("evio_ros")
AROUND_IT = foreign_imports("test", "bench", "tools", "launch", "scripts")


def test_pip_installs_what_the_library_imports_and_nothing_else(manifest):
    wanted = {pip_name(name) for name in LIBRARY if not is_of_ros(name, manifest)}
    optional = [extra for extra in EXTRAS_OF if extra not in FOR_TESTS]
    given = names_of([*requirements(), *requirements(*optional)])
    unseen = set(NOT_IMPORTED) | set(LOADED_BY_NAME)
    assert given - unseen == wanted - unseen


def test_pip_installs_what_tests_import_and_nothing_else(manifest):
    wanted = {pip_name(name) for name in AROUND_IT if not is_of_ros(name, manifest)}
    given = names_of([*requirements(), *requirements(*EXTRAS_OF)])
    assert wanted - given == {pip_name(name) for name in NOT_DECLARED}
    assert names_of(requirements(*FOR_TESTS)) - wanted <= set(NOT_IMPORTED)
    assert set(NOT_IMPORTED) <= given - wanted


def test_rosdep_installs_what_library_and_nodes_import_and_nothing_else(manifest):
    optional = names_of(requirements(*(extra for extra in EXTRAS_OF if extra != "vision")))
    optional -= names_of(requirements("vision"))
    wanted = {
        name if is_of_ros(name, manifest) else ROSDEP_KEYS.get(name, f"python3-{name}")
        for name in LIBRARY - set(NOT_IN_ROSDEP)
        if pip_name(name) not in optional
    }
    assert declared(manifest, "depend", "exec_depend") == wanted | set(ROS_NOT_IMPORTED)


def test_rosdep_installs_for_tests_what_they_import(manifest):
    for key in declared(manifest, "test_depend") - FOUND_BY_CMAKE:
        assert key.removeprefix("python3-") in AROUND_IT, f"{key} is not imported"


def test_cmake_finds_what_the_manifest_names_for_the_build(manifest):
    cmake = (ROOT / "CMakeLists.txt").read_text()
    found = set(re.findall(r"find_package\((\w+) REQUIRED\)", cmake))
    assert found == declared(manifest, "buildtool_depend", "depend")


def test_cmake_runs_the_tests_where_it_finds_what_the_manifest_names_for_that(manifest):
    cmake = (ROOT / "CMakeLists.txt").read_text()
    block = cmake[cmake.index("if(BUILD_TESTING)") :]
    assert set(re.findall(r"find_package\((\w+) QUIET\)", block)) == FOUND_BY_CMAKE
    assert declared(manifest, "test_depend") >= FOUND_BY_CMAKE
    for path in re.findall(r"test/(?:unit|nodes)", block):
        assert (ROOT / path).is_dir()
    (names,) = re.findall(r"foreach\(name ([\w ]+)\)", block)
    found = {path.name for path in (ROOT / "test" / "launch").glob("test_*_launch.py")}
    assert found == {f"test_{name}_launch.py" for name in names.split()}


def test_every_extra_that_is_named_exists():
    texts = [*PACKAGE.rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    named = {
        extra
        for path in texts
        for extras in re.findall(r"(?:evio_ros|install '?\.)\[([\w,]+)\]", path.read_text())
        for extra in extras.split(",")
    }
    assert {"cameras", "formats"} <= named
    assert named | set(EXTRAS.split(",")) <= set(EXTRAS_OF)


def installed(found: Iterable[Requirement]) -> set[str]:
    """Requirements that the environment holds, and what they require in turn."""
    waiting, seen, names = list(found), set(), set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        try:
            inner = distribution(requirement.name)
        except PackageNotFoundError:
            continue
        names.add(canonicalize_name(requirement.name))
        for extra in requirement.extras or {""}:
            for line in inner.requires or []:
                further = Requirement(line)
                if further.marker is None or further.marker.evaluate({"extra": extra}):
                    waiting.append(further)
    return names


def test_all_that_is_installed_can_be_imported_together():
    """What pip takes for compatible may not be: pyarrow 26 beside numpy 1."""
    names = installed([*requirements(), *requirements(*EXTRAS_OF)])
    modules = sorted(
        module
        for module, bringers in packages_distributions().items()
        if module.isidentifier() and not module.startswith("_")
        if names & {canonicalize_name(bringer) for bringer in bringers}
        if find_spec(module) is not None  # Debian's setuptools lists one that it does not have
    )
    assert {"numba", "numpy", "pytest"} <= set(modules)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


IMPORT_ALL = """
import importlib, sys
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
    except Exception as error:
        print(f"{module}: {type(error).__name__}: {error}")
"""


def test_both_ways_of_installing_name_one_version(manifest):
    assert SETUP["metadata"]["version"] == "attr: evio_ros.__version__"
    assert manifest.findtext("version") == evio_ros.__version__
    assert manifest.findtext("license") == SETUP["metadata"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_colcon_builds_every_message_and_installs_every_executable():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    files = [*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")]
    files += (ROOT / "scripts").iterdir()
    for path in files:
        assert re.search(rf"\b{path.relative_to(ROOT)}\b", cmake), path.name


@pytest.mark.parametrize("path", (ROOT / "scripts").iterdir(), ids=lambda path: path.name)
def test_executables_run_and_lead_to_a_module(path):
    assert path.stat().st_mode & 0o111 == 0o111
    text = path.read_text()
    assert text.startswith("#!/usr/bin/env python3\n")
    module = re.search(r"^from (evio_ros\.[\w.]+) import main$", text, re.MULTILINE)
    assert module is not None
    assert (ROOT / f"{module[1].replace('.', '/')}.py").exists()


def test_a_wheel_holds_the_mark_of_an_annotated_package():
    assert (PACKAGE / "py.typed").exists()
    assert "py.typed" in SETUP["options.package_data"]["evio_ros"].split()
    # colcon installs the whole folder but what a pattern leaves out.
    cmake = (ROOT / "CMakeLists.txt").read_text()
    (rule,) = re.findall(r"install\(\s*DIRECTORY \$\{PROJECT_NAME\}/[^)]*\)", cmake)
    assert re.findall(r"PATTERN (\S+)", rule) == ['"__pycache__"']


def test_the_source_distribution_holds_all_that_pip_needs(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "package.xml"):
        shutil.copy(ROOT / name, source)
    for name in ("evio_ros", "resource", "test", "tools"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    build = "from setuptools import build_meta; build_meta.build_sdist('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, check=True)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        files = {member.name.partition("/")[2] for member in members}
        entry_points = archive.extractfile(f"{path.name[:-7]}/evio_ros.egg-info/entry_points.txt")
        assert entry_points is not None
        assert "evio = evio_ros.cli.start:main" in entry_points.read().decode()
    # An empty file tells type checkers that the package is annotated; the page has its own files.
    kinds = ("*.py", "py.typed", "*.html", "*.js", "*.css", "*.npz", "*.safetensors", "models/*.md")
    found = {path for kind in kinds for path in PACKAGE.rglob(kind)}
    expected = {path.relative_to(ROOT).as_posix() for path in found}
    assert {"evio_ros/py.typed", "evio_ros/web/page.html"} < expected
    assert {name for name in files if name.startswith("evio_ros/")} == expected
    assert {"LICENSE", "README.md", "package.xml", "resource/evio_ros", "setup.py"} <= files
