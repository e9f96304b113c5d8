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
        "debug, info, warn, error or fatal; to set single nodes, e.g. warn,driver:=debug.",
    ),
}
_COMMON: Declared = {
    "namespace": ("", "Namespace of all nodes; one for each camera."),
    **_PARAMETERS,
    "use_sim_time": ("false", "true: stamps use the time of /clock."),
    "events": ("", "Topic of the events, if it is not `events` in the namespace."),
    "respawn": ("true", "true: restart a node that crashes."),
    "autostart": ("", "false: nodes wait for a lifecycle manager to configure and activate them."),
}
_PLAYED: Declared = {
    "source": (
        "",
        "A recording, camera:MODEL, topic:NAME or scene:NAME; by default a simulated fan.",
    ),
    "rate": ("", "Speed of the replay: 1.0 is real time, 0.0 as fast as possible."),
    "loop": ("", "true: start again at the end."),
    "packets": ("", "true: also publish the events as event_camera_msgs/EventPacket."),
}
_TAKEN: Declared = {
    "packets": ("", "true: `events` is a topic of event_camera_msgs/EventPacket messages."),
}

_DASHBOARD: Declared = {
    "host": ("", "Address to listen on; anything but this machine's own needs a token."),
    "port": ("", "Port to listen on."),
    "token_file": ("", "File whose first line is the token that clients must send."),
}

LAUNCH_FILES: dict[str, tuple[str, Declared]] = {
    "full": (
        "Everything, from a recording or camera to /rotation_state.",
        {
            **_PLAYED,
            "representation": (
                "false",
                "true: also run the representation node, for tensors and pictures.",
            ),
            "use_rvt": (
                "auto",
                "true: also run the RVT detector, for boxes and tracks of objects; auto: only if "
                "PyTorch is installed and a model is available.",
            ),
            "dashboard": (
                "false",
                "true: also serve the page and API of the dashboard, in a separate process.",
            ),
            **_DASHBOARD,
            "composed": (
                "false",
                "true: run all nodes in one process, which passes events on without copying.",
            ),
            **_COMMON,
        },
    ),
    "driver": ("The driver alone, from a recording or camera to /events.", {**_PLAYED, **_COMMON}),
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
    "dashboard": (
        "The dashboard's page and API, for a graph that is already running.",
        {**_DASHBOARD, **_COMMON},
    ),
    "offline": (
        "Writes the rotation states of a recording to a file, as fast as possible, then exits.",
        {
            "source": _PLAYED["source"],
            "output": (
                "rotation_states.csv",
                "Output: a table if the name ends in .csv, else a bag.",
            ),
            **_PARAMETERS,
        },
    ),
}
"""The launch files: name to what it is for, and its arguments."""
