// Prints every rotor of every window of /rotation_states.

#include <cstdio>
#include <memory>

#include <evio_ros/msg/rotation_state_array.hpp>
#include <rclcpp/rclcpp.hpp>

#include "cpp_subscriber/rotation_text.hpp"

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  auto node = std::make_shared<rclcpp::Node>("print_rotation");
  auto subscription = node->create_subscription<evio_ros::msg::RotationStateArray>(
    "rotation_states", rclcpp::QoS(100), [](const evio_ros::msg::RotationStateArray & array) {
      for (const auto & state : array.states) {
        std::puts(rotation_text(state).c_str());
      }
    });
  rclcpp::spin(node);
  rclcpp::shutdown();
  return 0;
}
