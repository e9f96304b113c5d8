// Prints the rotation state whose bytes, as they go over the wire, come on the standard input.

#include <fastcdr/Cdr.h>
#include <fastcdr/FastBuffer.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include <evio_ros/msg/detail/rotation_state__rosidl_typesupport_fastrtps_cpp.hpp>
#include <evio_ros/msg/rotation_state.hpp>

#include "cpp_subscriber/rotation_text.hpp"

int main() {
  std::string bytes{std::istreambuf_iterator<char>{std::cin}, {}};
  eprosima::fastcdr::FastBuffer buffer(bytes.data(), bytes.size());
  eprosima::fastcdr::Cdr cdr(buffer);
  cdr.read_encapsulation();
  evio_ros::msg::RotationState state;
  if (!evio_ros::msg::typesupport_fastrtps_cpp::cdr_deserialize(cdr, state)) {
    std::fprintf(stderr, "no rotation state\n");
    return 1;
  }
  std::puts(rotation_text(state).c_str());
  return 0;
}
