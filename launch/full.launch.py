"""Everything: a recording in, /rotation_state out."""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from evio_ros.ros.launch_actions import ARGUMENTS, arguments, dds_profile, is_wanted, node


def _nodes(context: LaunchContext) -> list:
    takers = ["rotation_detector"]
    if is_wanted(context, "representation"):
        takers.append("representation")
    # The replay begins when all who take events are there.
    driver = node(context, "driver", {"wait_for_subscribers": len(takers)})
    return [*(node(context, name) for name in (*takers, "fusion")), driver]


def generate_launch_description() -> LaunchDescription:
    """Launch the driver, the rotation detector, the fusion node and, if asked, representations."""
    return LaunchDescription(
        [*arguments(*ARGUMENTS), *dds_profile(), OpaqueFunction(function=_nodes)]
    )
