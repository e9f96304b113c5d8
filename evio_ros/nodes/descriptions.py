"""What the topics, services and values of the nodes are, and what happens on errors.

`make configuration` writes docs/nodes.md from this and from the running nodes; a test checks
that every topic and service has a sentence.
"""

from __future__ import annotations

__all__ = ["EVERYWHERE", "FAILURES", "LEVELS", "SERVICES", "TOPICS", "VALUES"]

_EVENTS = {
    "events": "Events, or EventPacket messages (best effort) if `input.packets` is true.",
    "events/receipts": "Tells the driver that a message has been processed.",
}
_EVENTS_FAILURES = {
    "a message breaks the rules": "It is refused as a whole and counted in `messages_refused`; "
    "WARN for ten seconds. The rules: columns of equal length; t does not decrease and lies "
    "within the message; pixels lie within the sensor; polarity is 0 or 1; the sensor has at "
    "most `input.maximum_pixels` pixels, and there is enough memory for it.",
    "messages are lost": "Gaps in their numbers are counted in `messages_lost`; WARN for ten "
    "seconds. The node knows that this time is missing: it predicts rotors over it, and turns "
    "keep counting. After a gap of more than a second it starts afresh.",
    "two drivers on one topic": "The first one is used. The other one is named and ignored, and "
    "its messages are counted in `messages_ignored`; WARN. It takes over when the first has "
    "been silent for a second.",
    "the driver ends or goes silent": "STALE and a line in the log after `stale_after_s`.",
    "the driver restarts, loops or seeks": "The node starts afresh. If the message numbers "
    "start again, `driver_restarts` counts it.",
}

TOPICS: dict[str, dict[str, str]] = {
    "driver": {
        "events": "All events of the source, in windows.",
        "events/receipts": "Which node has processed which message.",
        "triggers": "External triggers of a recording, camera or packets, each sent along with "
        "the events of the same time.",
        "event_packets": "The events as EventPacket, if `packets` is true.",
        "/clock": "The end of each window, for nodes with `use_sim_time`, if "
        "`outputs.publish_clock` is true.",
        "camera_info": "The calibration, if `outputs.camera_info_file` names one.",
        "/tf_static": "The camera's frame in `outputs.parent_frame`, if that is set and tf2_msgs "
        "is installed.",
    },
    "rotation_detector": {
        **_EVENTS,
        "rvt_detector/tracks": "Objects in whose boxes rotors are searched for first.",
        "~/rotation_states": "All rotors of every window; an empty array if none is seen.",
    },
    "rvt_detector": {
        **_EVENTS,
        "representation/stacked_histogram": "Taken instead of events if `input.tensors` is true. "
        "The windows must have the length that the network needs.",
        "~/detections": "Boxes of every window; an empty array if there are none. The stamp is "
        "the end of the window.",
        "~/tracks": "Objects over time. `id` is the track. The stamp of each object is the end of "
        "the window that last saw it; if it equals the array's stamp, the object is seen now.",
    },
    "fusion": {
        "rotation_detector/rotation_states": "All rotors of every window, from a detector.",
        "rvt_detector/tracks": "Objects; rotors within them take over their class and track.",
        "rotation_states": "All rotors, the most confident first: at the end of every window, or "
        "predicted to now, `publish_rate_hz` times a second.",
        "rotation_state": "The primary rotor, chosen by `primary.rule`; nothing if there is none.",
        "camera_info": "The camera's intrinsics, from which the normals of the discs are computed.",
        "events": "Only if `motion.method` is set.",
        "~/motion": "Motion of every rotor's region and of the rest of the image, if "
        "`motion.method` is set.",
        "~/joint_states": "A joint `rotor_<id>` for each rotor: radians turned since it was first "
        "seen, and rad/s.",
        "rotor_markers": "The rotors as rims, reference blades and labels, for rviz and Foxglove, "
        "if visualization_msgs is installed.",
    },
    "representation": {
        **_EVENTS,
        "rotation_states": "Rotors to draw in the picture.",
        "rvt_detector/detections": "Boxes to draw in the picture.",
        "rvt_detector/tracks": "Tracks to draw in the picture.",
        "representation/activity": "Number of events of each pixel, fading with time.",
        "representation/event_frame": "Number of events of each pixel in a window.",
        "representation/mixed_density": "Stack of shorter and shorter parts of a window.",
        "representation/stacked_histogram": "Number of events of each pixel and time bin.",
        "representation/time_surface": "How recent the last event of each pixel is.",
        "representation/voxel_grid": "Events of each pixel, spread over time bins.",
        "representation/image": "A picture; its stamp is the end of the window.",
        "representation/image/compressed": "The same as JPEG, by image_transport's convention.",
        "representation/camera_info": "The calibration with the picture's stamp, if "
        "`image.camera_info_file` names one.",
    },
    "state_recorder": {"rotation_states": "The messages that are written."},
    "dashboard": {
        "rotation_states": "Rotors, which are shown and kept in the history.",
        "rvt_detector/tracks": "Objects, which are shown.",
        "/diagnostics": "The state of all nodes.",
        "events": "Events, a share of which is shown. Subscribed to only while a page is open.",
        "representation/image": "The picture, shown as it is. Subscribed to only while a page is "
        "open.",
    },
}
"""Node and topic to what is sent on it."""

SERVICES: dict[str, dict[str, str]] = {
    "driver": {
        "~/pause": "Pause the replay, or continue it.",
        "~/seek": "Continue from another time of the recording.",
        "~/restart": "Continue from the beginning.",
    },
    "rotation_detector": {
        "~/recalibrate": "Forget all discs and find them again.",
        "~/save_calibration": "Save the discs to the file named by `calibration.file`.",
    },
    "rvt_detector": {},
    "fusion": {},
    "representation": {},
    "state_recorder": {},
    "dashboard": {},
}
"""Node and service to what it does."""

EVERYWHERE = {
    "a parameter is unknown, of the wrong type or out of range": "At start: one line, exit code 2. "
    "Later: the change is refused with the reason, and nothing changes.",
    "`qos_overrides` names an unknown topic or policy": "One line, exit code 2.",
    "a topic has messages of another type": "They cannot be received; WARN with the sender's "
    "name and type.",
    "SIGINT or SIGTERM": "The node ends with exit code 0, at any time. During a long computation "
    "it ends after 3 s with 128 plus the signal's number.",
    "a lifecycle transition fails": "The reason is logged and reported in the "
    "diagnostics, level ERROR. A node that starts by itself ends with exit code 2; one that "
    "is driven by a manager stays in its state.",
    "`use_sim_time` is set and nobody publishes /clock": "Nodes use the machine's time.",
}
"""What goes wrong to what every node does."""

FAILURES: dict[str, dict[str, str]] = {
    "driver": {
        "the source cannot be opened, or fails": "One line, exit code 2, ERROR as the last report.",
        "the source contains errors": "Events are fixed or dropped, and counted by cause; WARN.",
        "a camera sends nothing": "STALE and a line in the log after `stale_after_s`.",
        "a subscriber is slow": "At rate 0 the replay waits. At other rates it falls behind the "
        "clock: `behind_s`, WARN from half a second on.",
        "a subscriber does not answer": "After 5 s it is named, WARN, and the replay no longer "
        "waits for it.",
    },
    "rotation_detector": {
        **_EVENTS_FAILURES,
        "events come faster than they can be processed": "The node takes an unbiased share of "
        "them, `share_taken`, and rotors stay locked; WARN. If messages have waited for twice "
        "`overload.maximum_wait_us`, some are dropped and counted in `messages_lost`.",
        "a recording restarts, or time goes back": "Rotors are searched for again, and get "
        "new numbers. The log says so once, and does not repeat rotors that are found again "
        "in the same place.",
        "no rotor is found": "The message gives the most likely reason, and `no_rotor_<n>` the "
        "reason for each place that was searched.",
        "the file of known discs is invalid": "The node cannot be configured; exit code 2.",
    },
    "rvt_detector": {
        **_EVENTS_FAILURES,
        "PyTorch, evlib, safetensors, norfair or OpenCV is not installed": "One line; the node "
        "stays idle; WARN.",
        "there is no model, or its file is damaged, hostile, of another network or contains "
        "numbers that are not finite": "The node cannot be configured; one line, exit code 2.",
        "a backend does not work": "If it was requested by name, the node cannot be configured. "
        "`auto` takes the next best one and says so in one line.",
        "the network is slower than the stream": "Whole windows are skipped once messages have "
        "waited for `overload.maximum_wait_us`: `windows_behind`. The network keeps its "
        "memory, and tracks are predicted over that time. After more than `maximum_skipped` "
        "windows both start afresh: `memory_resets`.",
        "time goes back or jumps ahead": "Network and tracks start afresh.",
        "a sensor is too large for the network, or memory is full": "The window is left out "
        "and counted in `windows_failed`; WARN.",
    },
    "fusion": {
        "the numbers of a rotor are impossible": "It is left out and counted in "
        "`refused_<field>`; WARN. Examples: NaN, infinity, 1e300, a negative rpm_std or "
        "variance, a confidence outside 0 to 1, a covariance that is not symmetric. Redundant "
        "fields such as angular_velocity are not checked.",
        "two rotors of a window have the same number": "The one that fits a known rotor, or the "
        "most confident one, counts; `refused_duplicate_id`, WARN.",
        "a flood of spurious rotors": "Known rotors keep their estimates. Of the rest, the most "
        "confident become rotors, up to `rotors.maximum_rotors` in all; "
        "`estimates_beyond_limit` counts the others.",
        "invalid boxes, or thousands of them": "They are left out, `objects_refused`, WARN; a "
        "message with more than about 500 is left out as a whole. Objects of another time are "
        "ignored, `objects_of_another_time`.",
        "the detector ends or goes silent": "After `stale_after_s`, but not before three of the "
        "detector's intervals: STALE, a line in the log, and empty arrays at the usual rate. "
        "Their stamp is the time of sending, their window's end that of the last window.",
        "a rotor is hidden, or an estimate does not fit its motion": "It is predicted, "
        "SOURCE_PREDICTION, with growing covariance and falling confidence, for up to "
        "`rotors.coast_s`; `estimates_gated` counts such estimates. A second estimate that "
        "agrees with the first is accepted. The rotor keeps its id and turns for "
        "`rotors.forget_after_s`.",
        "windows arrive late or twice": "Windows that are late by up to `filter.latest_us` are put "
        "in their place, `estimates_late_windows`. Later ones and duplicates are dropped and "
        "counted.",
        "the sensor's clock jumps": "Rotors are recognised by their position, "
        "`estimates_clock_jumps`, and phases are found again.",
        "stamps are of another clock, such as a bag's": "States are predicted from the windows' "
        "arrival; `stamps_of_another_clock`. A window that ends beyond 285 years is refused.",
        "`confidence.file` is not a forest": "The node ends with the reason.",
        "`motion.method` is set and OpenCV is missing": "The node cannot be configured, and says "
        "what to install.",
        "two detectors on one topic": "Their estimates are treated as those of one detector; WARN "
        "with their names.",
    },
    "representation": {
        **_EVENTS_FAILURES,
        "cv_bridge or OpenCV is not installed": "No picture is published; log and diagnostics say "
        "what to install. Tensors are still published.",
    },
    "state_recorder": {
        "the file cannot be written": "One line, exit code 2; what was written so far is complete.",
    },
    "dashboard": {
        "the port is in use": "One line, exit code 2.",
        "the history is damaged, or belongs to another dashboard": "One line, exit code 2.",
        "the disk is full": "WARN. Rows that cannot be kept are counted; writing continues when "
        "there is room.",
        "the graph is not running": "`problem` of /api/status says so; commands are answered with "
        "503.",
        "a client does not read": "It is dropped after five seconds; no other client waits for it.",
    },
}
"""Node and what goes wrong to what the node does."""

LEVELS = {
    "OK": "Everything works.",
    "WARN": "Something was lost or refused, or is not as it should be.",
    "STALE": "The input has stopped: what was published last is no longer valid.",
    "ERROR": "The node could not be configured, or is ending; the message says why.",
}
"""Level of the diagnostics to what it means."""

VALUES: dict[str, str] = {
    "behind_s": "how late the newest window was",
    "busy_s": "time spent on events since the start",
    "driver_restarts": "how often the message numbers started again",
    "estimates_<outcome>": "estimates by what fusion did with them (accepted, manoeuvre, gated, "
    "restarted, duplicate, too_late, beyond_limit), late windows, clock jumps, rotors born and "
    "given up",
    "estimates_refused": "rotors with impossible numbers",
    "events": "events taken or sent",
    "events_measured": "events that the detector processed: all, or a share under overload",
    "steps": "steps that the detector processed",
    "gaps": "steps that did not begin where the one before ended",
    "regions_searched": "regions in which rotors were searched for",
    "rotors_found, _lost, _recovered": "rotors that the detector found, gave up and found again "
    "by their template",
    "events_filtered_<filter>": "events left out by a filter of the driver",
    "events_dropped_late": "events that came too late for their window, or too far out of order",
    "events_dropped_outliers": "events whose time contradicts that of the others",
    "events_dropped_outside": "events outside the sensor's geometry",
    "events_out_of_order": "events out of order, put in order",
    "words_invalid": "words, records or lines of unknown type, dropped",
    "bytes_truncated": "bytes at the end of a file that do not make up a whole record",
    "packets_lost": "gaps in the numbers of a source's packets",
    "packets_repeated": "packets left out because they repeat the one before",
    "overflows": "times that a buffer of the camera or computer was full",
    "device_errors": "errors of a camera, after which it was opened again",
    "clock_restarts": "times that the sensor's clock started again",
    "triggers": "edges of external triggers",
    "motions": "measured motions of the image",
    "stamps_of_another_clock": "windows whose stamps say nothing about the present time",
    "messages": "messages taken or sent",
    "messages_ignored": "messages of a publisher that is ignored",
    "messages_lost": "gaps in the numbers of messages",
    "messages_missed": "messages sent before the node was connected",
    "messages_skipped": "message numbers skipped for events that are known to be missing",
    "messages_waiting": "messages waiting for the node",
    "messages_waiting_s": "how long the oldest of them has waited",
    "load": "time needed to process events, divided by the time in which they arrive",
    "share_taken": "share of the events that was processed; below 1 under overload",
    "no_rotor_<n>": "why no rotor was found in a place, with the numbers behind it",
    "messages_refused": "messages that break the rules",
    "position_s": "position of the replay, from the first event",
    "duration_s": "length of the recording",
    "rate": "speed of the replay",
    "history_mb, _rows, _rows_dropped": "size of the history, rows written and rows that could "
    "not be",
    "postgres_rows, _rows_waiting, _rows_dropped": "the same for PostgreSQL",
    "paused": "whether the replay is paused",
    "backend": "what runs the network",
    "cues": "boxes of other detectors in which rotors were searched for first",
    "memory_resets": "times that the network and the tracks started afresh",
    "predictions_refused": "windows for which the network's output was not finite",
    "windows_behind": "windows that were skipped because the network is slower than the stream",
    "windows_failed": "windows that could not be processed",
    "windows_skipped": "windows missing between two, for any reason",
    "window_end_to_boxes_p50_ms, _p99_ms": "from the stamp of a window's end to its boxes",
    "objects_refused": "objects with impossible boxes, and messages that are invalid or far too "
    "large",
    "objects_of_another_time": "objects that were seen too long ago, or have stamps in the future",
    "object_<id>": "a track's class and score, and whether it is seen or predicted",
    "windows": "windows of a detector, sent or taken",
    "windows_lost": "windows that were published but never came, as too many waited",
    "windows_silent": "empty arrays sent while the detector was silent",
    "<messages, events or windows>_per_s": "increase per second",
    "process_cpu_percent": "CPU time of the process, in per cent of one core",
    "process_memory_mb": "resident memory of the process",
    "wait_in_queue_p50_ms, _p99_ms": "from the arrival of a message until the node takes it",
    "fusing_p50_ms, _p99_ms": "time that fusion needs for a window",
    "window_end_to_state_p50_ms, _p99_ms": "from the stamp of a window's end to its result; "
    "meaningful for live sources and replays in real time",
    "published_<topic>": "messages sent on a topic of the representation node",
    "rotor_<id>": "a rotor's speed, standard deviation, confidence and events",
    "refused_<field>": "rotors refused because of this field, or for the reason named",
}
"""Value of the diagnostics to what it is."""
