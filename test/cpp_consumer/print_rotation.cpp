// Prints the first rotation state that comes, as a C++ node of a user's would take it.
// rcl, not rclcpp: it is part of every ROS 2 installation that the tests run on.

#include <rcl/error_handling.h>
#include <rcl/rcl.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include <evio_ros/msg/rotation_state.hpp>
#include <rosidl_typesupport_cpp/message_type_support.hpp>

namespace {

constexpr int kPolls = 1200;

bool ok(rcl_ret_t result) {
  if (result != RCL_RET_OK) {
    std::fprintf(stderr, "%s\n", rcl_get_error_string().str);
    rcl_reset_error();
  }
  return result == RCL_RET_OK;
}

}  // namespace

int main() {
  rcl_init_options_t init_options = rcl_get_zero_initialized_init_options();
  rcl_context_t context = rcl_get_zero_initialized_context();
  rcl_node_t node = rcl_get_zero_initialized_node();
  rcl_node_options_t node_options = rcl_node_get_default_options();
  rcl_subscription_t subscription = rcl_get_zero_initialized_subscription();
  rcl_subscription_options_t options = rcl_subscription_get_default_options();
  const rosidl_message_type_support_t * type =
    rosidl_typesupport_cpp::get_message_type_support_handle<evio_ros::msg::RotationState>();
  if (!ok(rcl_init_options_init(&init_options, rcl_get_default_allocator())) ||
    !ok(rcl_init(0, nullptr, &init_options, &context)) ||
    !ok(rcl_node_init(&node, "print_rotation", "", &context, &node_options)) ||
    !ok(rcl_subscription_init(&subscription, &node, type, "rotation_state", &options)))
  {
    return 2;
  }
  for (int poll = 0; poll < kPolls; ++poll) {
    evio_ros::msg::RotationState state;
    if (rcl_take(&subscription, &state, nullptr, nullptr) == RCL_RET_OK) {
      std::printf("%u %.3f %zu\n", state.id, state.rpm, state.blades.size());
      return 0;
    }
    rcl_reset_error();
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  std::fprintf(stderr, "no rotation state came\n");
  return 1;
}
