"""What topics, services and values of the nodes are, and what happens when something goes wrong.

`make configuration` writes docs/nodes.md from this and from the running nodes; a test sees to it
that every topic and service has its sentence.
"""

from __future__ import annotations

__all__ = ["EVERYWHERE", "FAILURES", "LEVELS", "SERVICES", "TOPICS", "VALUES"]

_EVENTS = {
    "events": "Events; EventPacket instead where `input.packets` says so.",
    "events/receipts": "Tells the driver that a message has been worked through.",
}
_EVENTS_FAILURES = {
    "a message breaks the rules": "It is refused as a whole and counted in `messages_refused`; "
    "WARN for ten seconds. Columns of different length, t that decreases or lies outside the "
    "message, pixels outside the sensor, polarity neither 0 nor 1, a sensor with more pixels than "
    "`input.maximum_pixels`, or one for which too little memory is free.",
    "messages are lost": "Gaps in their numbers are counted in `messages_lost`; WARN for ten "
    "seconds. Their time is known to be missing: rotors are predicted over it, and turns count on. "
    "After a gap of more than a second all starts afresh.",
    "two drivers on one topic": "The first is followed. The other is named, ignored and counted in "
    "`messages_ignored`; WARN. It takes over when the first has been silent for a second.",
    "the driver ends or is silent": "STALE and a line in the log after `stale_after_s`.",
    "the driver starts anew, loops or seeks": "The node starts afresh; `driver_restarts` where the "
    "numbers of messages begin anew.",
}

TOPICS: dict[str, dict[str, str]] = {
    "driver": {
        "events": "All events of the source, in windows.",
        "events/receipts": "Who has worked through which message.",
        "triggers": "External triggers of a recording, camera or packets, each with the events of "
        "its time.",
        "event_packets": "The events as EventPacket, where `packets` is true.",
        "/clock": "The end of each window, for nodes with `use_sim_time`, where "
        "`outputs.publish_clock` is true.",
        "camera_info": "The calibration, where `outputs.camera_info_file` names one.",
        "/tf_static": "The camera's frame in `outputs.parent_frame`, where that is given and "
        "tf2_msgs is installed.",
    },
    "rotation_detector": {
        **_EVENTS,
        "rvt_detector/tracks": "Objects in whose boxes rotors are searched for first.",
        "~/rotation_states": "All rotors of every window, an empty array where none is seen.",
    },
    "rvt_detector": {
        **_EVENTS,
        "representation/stacked_histogram": "Taken instead of events where `input.tensors` says "
        "so, with windows of the length that the network takes.",
        "~/detections": "Boxes of every window; none gives an empty array. The stamp is the "
        "window's end.",
        "~/tracks": "Objects over time: `id` is the track, the stamp of each the end of the window "
        "that saw it last, so that it is seen now where that is the array's.",
    },
    "fusion": {
        "rotation_detector/rotation_states": "All rotors of every window, from a detector.",
        "rvt_detector/tracks": "Objects whose class and track rotors within them are given.",
        "rotation_states": "All rotors, the most confident first, at the end of every window, or "
        "predicted to now, `publish_rate_hz` times a second.",
        "rotation_state": "The primary one, as `primary.rule` has it; nothing where there is none.",
        "camera_info": "The camera's intrinsics; with them the normals of discs are told.",
        "events": "Only where `motion.method` asks for motion.",
        "~/motion": "Motion of every rotor's region and of the rest of the image, where "
        "`motion.method` asks for it.",
        "~/joint_states": "A joint `rotor_<id>` for each: radians turned since it was first seen, "
        "and rad/s.",
        "rotor_markers": "The rotors as rims, reference blades and labels, for rviz and Foxglove, "
        "where visualization_msgs is installed.",
    },
    "representation": {
        **_EVENTS,
        "rotation_states": "Rotors to draw into the picture.",
        "rvt_detector/detections": "Boxes to draw into the picture.",
        "rvt_detector/tracks": "Tracks to draw into the picture.",
        "representation/activity": "Events of each pixel, fading.",
        "representation/event_frame": "Events of each pixel in a window.",
        "representation/mixed_density": "Stack of ever shorter parts of a window.",
        "representation/stacked_histogram": "Events of each pixel and time bin.",
        "representation/time_surface": "How recent each pixel's last event is.",
        "representation/voxel_grid": "Events of each pixel, spread over time bins.",
        "representation/image": "A picture; its stamp is the window's end.",
        "representation/image/compressed": "The same as JPEG, by image_transport's convention.",
        "representation/camera_info": "The calibration with the picture's stamp, where "
        "`image.camera_info_file` names one.",
    },
    "state_recorder": {"rotation_states": "What is written."},
    "dashboard": {
        "rotation_states": "Rotors that are shown and kept.",
        "rvt_detector/tracks": "Objects that are shown.",
        "/diagnostics": "How all nodes are doing.",
        "events": "A share of them is shown; subscribed to while somebody looks.",
        "representation/image": "Shown as it is; subscribed to while somebody looks.",
    },
}
"""Node and topic to what is sent on it."""

SERVICES: dict[str, dict[str, str]] = {
    "driver": {
        "~/pause": "Stand still, or go on.",
        "~/seek": "Go on from another time of the recording.",
        "~/restart": "Go on from the beginning.",
    },
    "rotation_detector": {
        "~/recalibrate": "Forget all discs, and find them anew.",
        "~/save_calibration": "Keep the discs in the file that `calibration.file` names.",
    },
    "rvt_detector": {},
    "fusion": {},
    "representation": {},
    "state_recorder": {},
    "dashboard": {},
}
"""Node and service to what it does."""

EVERYWHERE = {
    "a parameter is unknown, of another type or out of range": "At the start: one line, exit code "
    "2. Later: the change is refused with the reason, and nothing is changed.",
    "`qos_overrides` names no topic of the node, or no policy": "One line, exit code 2.",
    "messages of another type come on a topic": "They cannot be taken; WARN with the sender's name "
    "and type.",
    "SIGINT or SIGTERM": "The node ends with exit code 0, at any moment. In the middle of a long "
    "computation it ends after 3 s with 128 plus the signal's number.",
    "a transition of the life cycle fails": "The reason is logged and is the diagnostics' message, "
    "level ERROR. A node that starts by itself ends with exit code 2; one that is driven by a "
    "manager stays as it was.",
    "nobody publishes /clock under `use_sim_time`": "Nodes work and report by the machine's time.",
}
"""What goes wrong to what every node does."""

FAILURES: dict[str, dict[str, str]] = {
    "driver": {
        "the source cannot be opened, or fails": "One line, exit code 2, ERROR as the last report.",
        "the source has faults": "Events are put right or dropped, and counted by cause; WARN.",
        "a camera gives nothing": "STALE and a line in the log after `stale_after_s`.",
        "a subscriber is slow": "At rate 0 the replay waits. At other rates it falls behind the "
        "clock: `behind_s`, WARN from half a second.",
        "a subscriber does not answer": "After 5 s it is named, WARN, and no longer waited for.",
    },
    "rotation_detector": {
        **_EVENTS_FAILURES,
        "events come faster than they can be worked on": "An unbiased share of them is taken, "
        "`share_taken`, and rotors stay locked; WARN. Where messages have waited for twice "
        "`overload.maximum_wait_us` some are dropped, counted in `messages_lost`.",
        "a recording starts again, or time goes back": "Rotors are searched for anew, with new "
        "numbers. The log tells it once, and nothing of rotors that are found again where they "
        "were.",
        "no rotor is found": "The message tells the most likely reason, `no_rotor_<n>` that of "
        "each place that was searched.",
        "the file of known discs is broken": "The node is not configured; exit code 2.",
    },
    "rvt_detector": {
        **_EVENTS_FAILURES,
        "PyTorch, evlib, safetensors, norfair or OpenCV is not installed": "One line; the node "
        "stays idle, WARN.",
        "there is no model, or its file is broken, hostile, of another network or holds numbers "
        "that are not finite": "The node is not configured; one line, exit code 2.",
        "a backend does not work": "Where it was asked for by name, the node is not configured. "
        "`auto` takes the next best, with one line.",
        "the network is slower than the stream": "Whole windows are skipped, once messages have "
        "waited for `overload.maximum_wait_us`: `windows_behind`. The network goes on with what it "
        "remembers, and tracks are predicted over the time; after more than `maximum_skipped` "
        "windows both start afresh: `memory_resets`.",
        "time goes back or jumps on": "Network and tracks start afresh.",
        "a sensor is too large for the network, or its memory is full": "The window is left out "
        "and counted in `windows_failed`; WARN.",
    },
    "fusion": {
        "the numbers of a rotor cannot be true": "It is left out and counted in "
        "`refused_<field>`; WARN. NaN, infinite, rpm_std or a variance below 0, 1e300, a "
        "confidence outside 0 to 1, a covariance that is not symmetric. Fields that tell the same "
        "again, as angular_velocity, are not looked at.",
        "one number twice in a window": "The one that a rotor is expected to have given counts, "
        "or the most confident; `refused_duplicate_id`, WARN.",
        "a flood of spurious rotors": "Rotors that are followed keep their estimates; of the rest "
        "the most confident begin, `rotors.maximum_rotors` in all; `estimates_beyond_limit`.",
        "boxes that are none, or thousands": "They are left out, `objects_refused`, WARN; a "
        "message of more than some 500 as a whole. Those of another time do not count, "
        "`objects_of_another_time`.",
        "the detector ends or is silent": "After `stale_after_s`, and no earlier than three of the "
        "detector's intervals: STALE, a line in the log, and empty arrays at the usual rate, with "
        "the time of sending as stamp and the last window's end.",
        "a rotor is hidden, or what is said of it cannot be its motion": "It is predicted, "
        "SOURCE_PREDICTION, with growing covariance and falling confidence, for up to "
        "`rotors.coast_s`; `estimates_gated` counts. A second estimate that agrees with the first "
        "is believed. It keeps its id and turns for `rotors.forget_after_s`.",
        "windows come late or twice": "Within `filter.latest_us` late ones are put in their place, "
        "`estimates_late_windows`; later and double ones are dropped and counted.",
        "the sensor's clock jumps": "Rotors are kept by their place, `estimates_clock_jumps`, and "
        "phases are found anew.",
        "stamps are of another clock, as a bag's": "States are predicted from when windows come; "
        "`stamps_of_another_clock`. A window that ends beyond 285 years is refused.",
        "`confidence.file` is no forest": "The node ends with the reason.",
        "`motion.method` is set and OpenCV is missing": "It cannot be configured, with what to "
        "install.",
        "two detectors on one topic": "What both say is taken for one; WARN with their names.",
    },
    "representation": {
        **_EVENTS_FAILURES,
        "cv_bridge or OpenCV is not installed": "No picture is published; log and diagnostics say "
        "what to install. Tensors still come.",
    },
    "state_recorder": {
        "the file cannot be written": "One line, exit code 2; what was written is complete.",
    },
    "dashboard": {
        "the port is in use": "One line, exit code 2.",
        "the history is broken, or another dashboard's": "One line, exit code 2.",
        "the disk is full": "WARN; what is not kept is counted; it goes on when there is room.",
        "the graph does not run": "`problem` of /api/status says so; commands are answered 503.",
        "a client does not read": "It is dropped after five seconds; nobody else waits for it.",
    },
}
"""Node and what goes wrong to what the node does."""

LEVELS = {
    "OK": "All is well.",
    "WARN": "Something was lost, refused or is not as it should be.",
    "STALE": "The input stays away: what was published last holds no longer.",
    "ERROR": "The node could not be configured, or ends; the message says why.",
}
"""Level of the diagnostics to what it means."""

VALUES: dict[str, str] = {
    "behind_s": "how late the newest window was",
    "busy_s": "time spent on events since the start",
    "driver_restarts": "how often the numbers of messages began anew",
    "estimates_refused": "rotors whose numbers cannot be true",
    "events": "events taken or sent",
    "events_measured": "events that the detector worked on: all, or a share under overload",
    "events_filtered_<filter>": "events that a filter of the driver has left out",
    "events_dropped_late": "events that came too late for their window, or too far out of order",
    "events_dropped_outliers": "events whose time the others contradict",
    "events_dropped_outside": "events outside the sensor's geometry",
    "events_out_of_order": "events out of order, put right",
    "words_invalid": "words or records of no known type, dropped",
    "bytes_truncated": "bytes at a file's end that make no whole record",
    "packets_lost": "gaps in the numbers of a source's packets",
    "packets_repeated": "packets left out for being the same as the one before",
    "overflows": "times that a buffer of camera or computer was full",
    "device_errors": "errors of a camera, after which it was opened again",
    "clock_restarts": "times that the sensor's clock began anew",
    "triggers": "edges of external triggers",
    "motions": "measured motions of the image",
    "stamps_of_another_clock": "windows whose stamps tell nothing of the time now",
    "messages": "messages taken or sent",
    "messages_ignored": "messages of a publisher that is not followed",
    "messages_lost": "gaps in the numbers of messages",
    "messages_missed": "messages that had been sent before the node was heard of",
    "messages_skipped": "numbers left out for events that are known to be missing",
    "messages_waiting": "messages that wait for the node",
    "messages_waiting_s": "how long the oldest of them has waited",
    "load": "time that events take to work on over the time in which they come",
    "share_taken": "share of the events that was worked on; below 1 under overload",
    "no_rotor_<n>": "why no rotor was found in a place, with the numbers that decided",
    "messages_refused": "messages that break the rules",
    "position_s": "how far the replay has come, from the first event",
    "duration_s": "length of the recording",
    "rate": "speed of the replay",
    "history_mb, _rows, _rows_dropped": "size of the history, what was written and what not",
    "postgres_rows, _rows_waiting, _rows_dropped": "the same for PostgreSQL",
    "paused": "whether the replay stands still by request",
    "backend": "what runs the network",
    "cues": "boxes of other detectors in which rotors were searched for first",
    "memory_resets": "times that network and tracks started afresh",
    "predictions_refused": "windows for which the network gave numbers that are not finite",
    "windows_behind": "windows that were skipped because the network is slower than the stream",
    "windows_failed": "windows that could not be worked on",
    "windows_skipped": "windows missing between two, whatever the reason",
    "window_end_to_boxes_p50_ms, _p99_ms": "from the stamp of a window's end to its boxes",
    "objects_refused": "objects that no camera can have seen, and messages of none or far too many",
    "objects_of_another_time": "objects that were seen too long ago, or are yet to come",
    "object_<id>": "a track's class and score, and whether it is seen or predicted",
    "windows": "windows of a detector, sent or taken",
    "windows_silent": "empty arrays sent while the detector was silent",
    "<messages, events or windows>_per_s": "increase a second",
    "process_cpu_percent": "CPU time of the process, per cent of one core",
    "process_memory_mb": "resident memory of the process",
    "wait_in_queue_p50_ms, _p99_ms": "from a message's arrival to the node's taking it",
    "window_end_to_state_p50_ms, _p99_ms": "from the stamp of a window's end to its result; tells "
    "something for live sources and replays in real time",
    "published_<topic>": "messages sent on a topic of the representation node",
    "rotor_<id>": "a rotor's speed, standard deviation, confidence and events",
    "refused_<field>": "rotors refused for a field, or for what is named",
}
"""Value of the diagnostics to what it is."""
