"""What pip and colcon install, and that the declared dependencies are those that are imported."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import evio_ros

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "evio_ros"
# Names by which pip and rosdep know an imported module, where they differ from its own.
PIP_NAMES = {
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
}
ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "rosbags": "python3-rosbags-pip",
}
PYTHON_PACKAGES_OF_ROS = {"ament_index_python", "cv_bridge", "launch", "launch_ros", "rclpy"}


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    """setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    """package.xml."""
    return ElementTree.parse(ROOT / "package.xml").getroot()


def imported(folders: list[str]) -> set[str]:
    """Top-level names of all that the package's modules import, lazily too, but themselves."""
    paths = [path for folder in folders for path in (PACKAGE / folder).rglob("*.py")]
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - {"evio_ros"} - set(sys.stdlib_module_names)


def is_of_ros(name: str) -> bool:
    is_interface = name.endswith(("_msgs", "_srvs", "_interfaces"))
    return is_interface or name in PYTHON_PACKAGES_OF_ROS


def pip_name(module: str) -> str:
    """The package that brings a module, as `required` names it."""
    return PIP_NAMES.get(module, module).lower().replace("_", "-").removesuffix("-headless")


def required(lines: str) -> set[str]:
    """Names of the packages in a list of requirements, as pip compares them."""
    names = [re.match(r"[\w.-]+", line) for line in lines.splitlines() if line.strip()]
    plain = {name.group().lower().replace("_", "-") for name in names if name}
    return {name.removesuffix("-headless") for name in plain}


def test_pip_installs_what_the_library_imports(setup):
    declared = required(setup["options"]["install_requires"])
    extras = setup["options.extras_require"]
    for extra in extras:
        if extra != "test":
            declared |= required(extras[extra])
    names = {name for name in imported(["."]) if not is_of_ros(name)}
    assert {pip_name(name) for name in names} <= declared


def test_rosdep_installs_what_library_and_nodes_import(setup, manifest):
    declared = {
        element.text for kind in ("depend", "exec_depend") for element in manifest.iter(kind)
    }
    extras = setup["options.extras_require"]
    optional = set().union(*(required(extras[extra]) for extra in extras))
    for name in imported(["."]):
        if pip_name(name) in optional:
            continue
        key = name if is_of_ros(name) else ROSDEP_KEYS.get(name, f"python3-{name}")
        assert key in declared, f"{name} is imported, {key} is not in package.xml"


def test_both_ways_of_installing_name_one_version(setup, manifest):
    assert setup["metadata"]["version"] == "attr: evio_ros.__version__"
    assert manifest.findtext("version") == evio_ros.__version__
    assert manifest.findtext("license") == setup["metadata"]["license"] == "Apache-2.0"
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


def test_a_wheel_holds_the_mark_of_an_annotated_package(setup):
    assert (PACKAGE / "py.typed").exists()
    assert "py.typed" in setup["options.package_data"]["evio_ros"]
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
        assert "evio = evio_ros.cli.main:main" in entry_points.read().decode()
    modules = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    # The empty file tells type checkers that the package is annotated.
    expected = {*modules, "evio_ros/py.typed"}
    assert {name for name in files if name.startswith("evio_ros/")} == expected
    assert {"LICENSE", "README.md", "package.xml", "resource/evio_ros", "setup.py"} <= files
