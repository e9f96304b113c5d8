"""The arguments of the launch files, from which their declarations and docs/launch.md are made."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LAUNCH_FILES", "Declared"]

Declared = Mapping[str, tuple[str, str]]
"""Arguments: name to default and description. An empty value leaves what the parameters say."""

_PARAMETERS: Declared = {
    "params_file": ("", "YAML file of parameters; by default the package's config/evio.yaml."),
    "config": ("", "The same as params_file."),
    "log_level": (
        "info",
        "debug, info, warn, error or fatal; for single nodes e.g. warn,driver:=debug.",
    ),
}
_COMMON: Declared = {
    "namespace": ("", "Namespace of all nodes; one for each camera."),
    **_PARAMETERS,
    "use_sim_time": ("false", "true: stamps by the time of /clock."),
    "events": ("", "Topic of the events, where it is not `events` in the namespace."),
    "respawn": ("true", "true: a node that crashes is started again."),
    "autostart": ("", "false: nodes wait to be configured and activated, by a lifecycle manager."),
}
_PLAYED: Declared = {
    "source": (
        "",
        "A recording, camera:MODEL, topic:NAME or scene:NAME; by default a simulated fan.",
    ),
    "rate": ("", "Speed of the replay: 1.0 is real time, 0.0 as fast as it goes."),
    "loop": ("", "true: begin again at the end."),
    "packets": ("", "true: also publish the events as event_camera_msgs/EventPacket."),
}
_TAKEN: Declared = {
    "packets": ("", "true: `events` is a topic of event_camera_msgs/EventPacket messages."),
}

LAUNCH_FILES: dict[str, tuple[str, Declared]] = {
    "full": (
        "Everything: a recording or camera in, /rotation_state out.",
        {
            **_PLAYED,
            "representation": (
                "false",
                "true: also run the representation node, for tensors and pictures.",
            ),
            "use_rvt": (
                "auto",
                "true: also run the RVT detector, for boxes and tracks of objects; auto: where "
                "PyTorch is installed and a model is at hand.",
            ),
            "composed": (
                "false",
                "true: all nodes in one process, which hands events over without copies.",
            ),
            **_COMMON,
        },
    ),
    "driver": ("The driver alone: a recording or camera in, /events out.", {**_PLAYED, **_COMMON}),
    "rotation_detector": (
        "The rotation detector and the fusion node, for events that another driver publishes.",
        {**_TAKEN, **_COMMON},
    ),
    "rvt_detector": (
        "The RVT detector, for events that another driver publishes.",
        {**_TAKEN, **_COMMON},
    ),
    "representation": (
        "The representation node, for events that another driver publishes.",
        {**_TAKEN, **_COMMON},
    ),
    "offline": (
        "A recording in, its rotation states out into a file, as fast as it goes; ends by itself.",
        {
            "source": _PLAYED["source"],
            "output": (
                "rotation_states.csv",
                "What is written: a table where the name ends in .csv, else a bag.",
            ),
            **_PARAMETERS,
        },
    ),
}
"""The launch files: name to what it is for, and its arguments."""
