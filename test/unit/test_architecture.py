"""Who may import whom, and what makes a module, by the syntax trees of tools/code_map.py.

Every test is one rule and lists all that breaks it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from code_map import ROOT, CodeMap, import_time_nodes, part_of, top_level_names, tree

CODE = CodeMap.of()

STAGES = {"detection", "fusion", "motion", "representations", "rotation", "simulation", "sources"}
COMPOSITIONS = {
    "evaluation",
    "measuring",
    "kernels",
    "object_detection",
    "pipeline",
    "playback",
    "training",
    "web",
}
"""Stages put together."""
SKIN = {"cli", "nodes", "ros"}
GROUND = {part_of(name) for name in CODE.modules} - STAGES - COMPOSITIONS - SKIN - {"__init__"}
"""What all parts speak in: the modules at the top."""
GENERATED = {"msg", "srv"}
"""Built from msg/ and srv/, never in the sources."""

ALLOWED = {
    **dict.fromkeys(GROUND, GROUND),
    **{stage: GROUND | {stage} for stage in STAGES},
    **{part: GROUND | STAGES | {part} for part in COMPOSITIONS},
    "evaluation": GROUND | STAGES | {"evaluation", "playback"},
    "measuring": GROUND | STAGES | {"pipeline"},
    "kernels": GROUND | STAGES | {"pipeline", "playback"},
    "training": GROUND | STAGES | {"object_detection", "training"},
    "__init__": GROUND | STAGES | COMPOSITIONS,
    "web": GROUND | STAGES | {"pipeline", "playback", "web"},
    "cli": GROUND | STAGES | COMPOSITIONS | {"__init__", "cli", "ros"},
    "ros": GROUND | GENERATED | {"ros"},
    "nodes": GROUND | GENERATED | STAGES | {"nodes", "object_detection", "playback", "ros", "web"},
}
"""The parts that the modules of a part may import."""

MOST_IMPORTS = 10
MANY_IMPORTS = {
    "nodes.container": "every node that can share a process is named here",
    "nodes.driver_source": "every kind of source that a driver plays meets here",
    "nodes.event_input": "both forms of events, and all that is checked of them, meet here",
    "ros.event_subscription": "topic and process, choice, limit and losses meet here",
    "cli.view": "a verb: source, detector, pace, page and server meet here",
    "web.recording_source": "what plays, measures and is shown meets here",
    "cli.analyze": "a verb: recording, detectors, files and plot meet here",
    "cli.recording_job": "one recording from its file to its results, wherever that is done",
    "cli.convert": "a verb: recording, filters, part and copy meet here",
    "cli.detect": "a verb: recording, network, windows and files meet here",
    "cli.demo": "a verb: simulation, nodes, tables, files and truth meet here",
    "kernels": "everything that is compiled meets here",
    "object_detection": "the whole chain: input, network, boxes and tracks meet here",
    "nodes.driver": "a node: recordings, cameras and other drivers' packets meet here",
    "nodes.state_recorder": "a node: states in, tables or bags out, and what was lost before",
    "nodes.dashboard": "a node: graph, history, server and their parameters meet here",
    "web.api": "the application: all routes and streams meet here",
    "nodes.fusion": "a node: filters, groups of parameters and four topics meet here",
    "nodes.representation": "a node: every kind's topic and parameters meet here",
    "nodes.rotation_detector": "a node: all groups of the detector's parameters meet here",
    "nodes.rvt_detector": "a node: network, tracks, both kinds of input and parameters meet here",
    "rotation.acquisition.schedule": "when, where and why: events, back-off and search meet here",
    "rotation.acquisition.search": "all ways to propose a rotor meet its verification here",
    "rotation.acquisition.pull_in": "events, spectrum and the tracker's parts meet here",
    "rotation.acquisition.path_lock": "events, path, template and first motion meet here",
    "rotation.acquisition.verification": "what both ways of pull-in propose is tracked here",
    "rotation.detector": "the detector: its stages and all groups of its parameters meet here",
    "rotation.looking_back.path_search": "stretches, regions, paths and what a rotor must show",
    "rotation.classical.detector": "the classical chain: regions, outlines, methods, smoothing",
    "rotation.tracking.rotor_tracker": "the loop: filters, template, lock and budget meet here",
    "nodes.graph_view": "every topic that is shown meets here",
    "sources.readers.bag": "every type of message that a bag can hold meets here",
    "sources.readers.csv_text": "layout, numbers, unit, polarity and order of text meet here",
    "sources.readers.hdf5": "every layout of HDF5 meets here",
    "representations.torch_representations": "every kind on PyTorch, from each kind's module",
}
"""Modules that import more than `MOST_IMPORTS` of the package, and why."""

ONE_IMPORTER = {
    "nodes.driver_source": "what a driver plays, whatever else it does",
    "motion.dense_flow": "methods with sources of their own: dense optical flow",
    "motion.translation": "a method with a source of its own: one motion from dense flow",
    "simulation.realistic_presets": "scenes before a sensor that was fitted to a real one",
    "cli.recording_workers": "who measures: processes or a cluster, whatever is measured",
    "evaluation.accuracy": "scoring, whoever made the estimates",
    "detection.onnx_inference": "networks without PyTorch, whatever exported them",
    "evaluation.oracle": "the limit that physics sets, an estimator of its own",
    "fusion.association": "a method of its own: which estimate belongs to which rotor",
    "fusion.blade_filter": "a method of its own, with kernels: blades on an ellipse",
    "fusion.rotation_noise": "a method of its own, with kernels: noises learned by likelihood",
    "fusion.faults": "what no rotor can be, whoever asks",
    "nodes.fusion_motion": "one topic with its events and parameters",
    "nodes.fusion_vehicles": "one topic, and what is made of it and of states",
    "nodes.fusion_windows": "one topic and its pace, whoever takes the windows",
    "nodes.fusion_objects": "one topic and what it refuses, whoever takes the objects",
    "nodes.fusion_outputs": "all that fusion publishes, whatever it is made of",
    "nodes.driver_outputs": "all that a driver publishes besides events, with its parameters",
    "nodes.known_discs_file": "a file with its parameter and its services",
    "nodes.graph_control": "services and parameters of the graph, whoever asks",
    "nodes.graph_view": "topics of the graph, wherever they are shown",
    "nodes.playback_services": "the services of a player, whatever is played",
    "nodes.image_topic": "one topic with its parameters and its drawing",
    "nodes.object_stream": "what a detector leaves out and why, without ROS",
    "nodes.picture_overlay": "what others have found, whatever picture it is drawn into",
    "nodes.cue_input": "one topic with its parameters, and what of it are cues",
    "nodes.tensor_input": "one topic with its parameter, whoever takes it",
    "nodes.tensor_topic": "one topic with its parameters",
    "nodes.trigger_topic": "one topic, whatever the source",
    "rotation.acquisition.disc_outline": "a method of its own: discs without blades",
    "rotation.acquisition.grid_dbscan": "a method with a source of its own: clusters of cells",
    "rotation.acquisition.pull_in": "a method with a source of its own: the first motion",
    "rotation.acquisition.slow_search": "when and where to search longer pasts",
    "rotation.acquisition.spectrum": "a method with a source of its own: the angle-time spectrum",
    "rotation.acquisition.unassigned_events": "counts with a memory, whatever they are for",
    "rotation.acquisition.verification": "what a rotor must show, whoever proposes it",
    "rotation.classical.outline": "a method with a source of its own, and a library of its own",
    "rotation.classical.savitzky_golay": "a method with a source of its own",
    "rotation.looking_back.backward_tracking": "a method of its own: tracking in reversed time",
    "rotation.looking_back.beside_rotors": "what moves beside rotors; its importer says when",
    "rotation.looking_back.path_search": "what a rotor must show; its importer says when to search",
    "rotation.looking_back.path_estimate": "speeds and their errors, whoever found the path",
    "rotation.phase_path.path_smoother": "a method with a source of its own: Whittaker smoothing",
    "rotation.phase_path.phase_scores": "score and information by kernels; its importer iterates",
    "web.api_page": "the description of an API as a page, whatever the API",
    "training.augmentation": "variations of sequences, whoever learns from them",
    "rotation.tracking.observed_errors": "a method of its own, with kernels: smoothing",
    "rotation.tracking.lock_detector": "a method of its own: is the rotor seen, and is it one",
    "rotation.tracking.over_dispersion": "a method of its own: noise learned from a rotor itself",
    "rotation.tracking.pixel_table": "whose pixel is whose; kernels of its own",
    "sources.codecs.libcaer": "a bit layout, named once",
    "sources.readers.record_file": "files of records of one length, whatever they hold",
    "sources.readers.streamed_recording": "what a library reads from the beginning on alone",
    "sources.readers.unfinished_bag": "a bag whose end is missing: a file format of its own",
    "ros.live_clock": "a method with a source of its own: the drift between two clocks",
    "ros.input_watch": "when input is missing; its importer says what follows",
    "web.api": "the routes of the API, whatever else is served beside them",
    "web.page": "the page, whoever serves it",
    "web.picture_feed": "pictures for all viewers, however they are sent",
    "web.video": "two ways to send video, whatever it shows",
    "web.guard": "who is let in, whatever is served",
    "web.live_stream": "clients that keep up and those that do not, whatever is sent",
    "web.history_api": "what of the past can be asked, and in which forms",
    "web.metrics": "Prometheus's text, whatever it tells",
    "web.rotor_events": "what events on a disc tell, computed when somebody asks",
    "ros.node_parameters": "declarations to ROS parameters, whatever else a node does",
    "sources.readers.raw_format": "what words are, whatever their header says",
}
"""Modules that only one other of their folder imports, and why they are not a part of it."""

NO_IMPORTER: dict[str, str] = {}

TABLES = {"nodes.descriptions"}
"""Modules of nodes/ that hold nothing but sentences."""

HEAVY = {"cv2", "evlib", "h5py", "matplotlib", "numba", "rclpy", "scipy", "sklearn", "torch"}


def short(module: str) -> str:
    """A module's name without the package's."""
    return module.removeprefix("evio_ros.")


def room_of(module: str) -> str:
    """The folder that a module lies in."""
    return module.rpartition(".")[0]


def ros_packages() -> set[str]:
    """What package.xml names but for the Python libraries."""
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    names = {
        element.text or "" for kind in ("depend", "exec_depend") for element in manifest.iter(kind)
    }
    return {name for name in names if not name.startswith("python3-")}


def is_registry(module: str) -> bool:
    """Whether a module lists the members of a family: formats, kinds, methods, verbs."""
    return module.endswith(".registry") or module == "evio_ros.cli.main"


def offers_kernels_alone(module: str) -> bool:
    """Whether all that a module offers is compiled."""
    kernels = {
        node.name
        for node in tree(CODE.modules[module]).body
        if isinstance(node, ast.FunctionDef)
        and any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    names = CODE.offered()[module] & {
        node.name for node in tree(CODE.modules[module]).body if isinstance(node, ast.FunctionDef)
    }
    return bool(names) and names <= kernels


def test_every_part_has_its_place():
    existing = {part_of(name) for name in CODE.modules}
    assert existing == set(ALLOWED)
    folders = {
        path.name for path in (ROOT / "evio_ros").iterdir() if (path / "__init__.py").exists()
    }
    assert folders <= STAGES | COMPOSITIONS | SKIN


def test_parts_import_only_what_lies_below_them():
    wrong = [
        f"{short(name)} imports {short(other)}"
        for name, imports in CODE.graph.items()
        for other in sorted(imports)
        if part_of(other) not in ALLOWED[part_of(name)]
    ]
    assert wrong == []


def test_events_know_nothing_but_errors():
    assert {short(name) for name in CODE.graph["evio_ros.events"]} == {"errors"}


def test_ros_appears_in_ros_and_nodes_alone():
    ros = ros_packages() | {f"evio_ros.{name}" for name in GENERATED}
    wrong = []
    for name, path in CODE.modules.items():
        if part_of(name) not in ("ros", "nodes"):
            found = top_level_names([path]) & ros
            wrong += [f"{short(name)} imports {other}" for other in sorted(found)]
    assert wrong == []


def test_the_command_line_needs_ros_only_where_it_is_asked_for():
    wrong = [
        short(name)
        for name, path in CODE.modules.items()
        if part_of(name) == "cli"
        and any(part_of(other) == "ros" for other in CODE.imports(path, import_time_nodes(path)))
    ]
    assert wrong == []


def test_no_modules_import_one_another():
    assert [[short(name) for name in circle] for circle in CODE.cycles()] == []


def test_no_module_imports_many_others_without_a_reason():
    many = {
        short(name)
        for name, imports in CODE.graph.items()
        if len(imports) > MOST_IMPORTS and not is_registry(name)
    }
    assert many == set(MANY_IMPORTS)


def test_no_module_is_a_fragment_of_another():
    """A module that one other imports has a reason.

    These need none: what one folder offers to another, the entries of a registry, what is loaded
    only when it is needed, and compiled kernels, which numba keeps by the file.
    """
    fragments = set()
    for name, users in CODE.importers.items():
        if len(users) != 1 or CODE.modules[name].name == "__init__.py":
            continue
        (user,) = users
        if room_of(user) != room_of(name) or is_registry(user) or offers_kernels_alone(name):
            continue
        path = CODE.users[user]
        if name in CODE.imports(path, import_time_nodes(path)):
            fragments.add(short(name))
    assert fragments == set(ONE_IMPORTER)


def test_no_module_is_without_a_user():
    unused = {
        short(name)
        for name, users in CODE.importers.items()
        if not users and CODE.modules[name].name != "__init__.py"
    }
    assert unused == set(NO_IMPORTER)


def test_nodes_are_short():
    lengths = {
        short(name): len(path.read_text(encoding="utf-8").splitlines())
        for name, path in CODE.modules.items()
        if part_of(name) == "nodes" and short(name) not in TABLES
    }
    assert {name: lines for name, lines in lengths.items() if lines > 200} == {}


def test_the_generated_messages_are_not_in_the_sources():
    assert [name for name in GENERATED if (ROOT / "evio_ros" / name).exists()] == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("evio_ros.cli.main", HEAVY),
        ("evio_ros.pipeline", {"cv2", "evlib", "matplotlib", "rclpy", "torch"}),
    ],
)
def test_what_is_slow_or_optional_is_loaded_only_when_it_is_needed(module, absent):
    ask = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert module in loaded
    assert absent & loaded == set()
