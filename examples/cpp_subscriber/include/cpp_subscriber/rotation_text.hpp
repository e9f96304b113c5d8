// One line about a rotor.

#pragma once

#include <cstdio>
#include <string>

#include <evio_ros/msg/rotation_state.hpp>

/// "rotor 3: -1234.500 +- 0.010 rpm, 2 blades, camera", for the eye.
inline std::string rotation_text(const evio_ros::msg::RotationState & state)
{
  char numbers[128];
  std::snprintf(
    numbers, sizeof(numbers), "rotor %u: %.3f +- %.3f rpm, %zu blades, ", state.id, state.rpm,
    state.rpm_std, state.blades.size());
  return numbers + state.header.frame_id;
}
