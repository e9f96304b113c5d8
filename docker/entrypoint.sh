#!/bin/bash
# Runs a command in the environment of ROS 2 and this package.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /opt/evio/ros/setup.bash
exec "$@"
