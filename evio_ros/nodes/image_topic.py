"""The topic `representation/image`, a picture for people."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from evio_ros.events import SensorSize
from evio_ros.nodes.picture_overlay import PictureOverlay
from evio_ros.nodes.topic_on_demand import WARM_UP_SIZE, TopicOnDemand, warm_up
from evio_ros.parameters import Parameters, parameter
from evio_ros.representations.base import Representation
from evio_ros.representations.picture import LOOKS, draw_picture, representation_of
from evio_ros.representations.tensor_stream import TensorStream
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.quality_of_service import pictures_quality

__all__ = ["ImageParameters", "ImageTopic"]

_NO_CV_BRIDGE = (
    "representation/image is not published: {module} is not installed "
    "(apt install ros-$ROS_DISTRO-cv-bridge, or pip install cv-bridge opencv-python-headless)"
)


@dataclass(frozen=True)
class ImageParameters(Parameters):
    """How the picture looks, and how often it is made."""

    look: str = parameter(
        "event_frame",
        choices=tuple(LOOKS),
        doc="What is drawn. event_frame: the events of the window; activity: events that fade; "
        "time_surface: how recent the last event of each pixel is.",
    )
    window_us: int = parameter(
        40_000,
        unit="us",
        minimum=1_000,
        maximum=1_000_000,
        doc="Time from one picture to the next.",
    )
    tau_us: int = parameter(
        30_000,
        unit="us",
        minimum=1,
        maximum=100_000_000,
        doc="Time constant of activity and time_surface.",
    )
    rotors: bool = parameter(True, doc="Draw the rotors of rotation_states, if there are any.")
    objects: bool = parameter(
        True,
        doc="Draw the boxes and tracks of rvt_detector/detections and rvt_detector/tracks, if "
        "there are any.",
    )
    jpeg_quality: int = parameter(
        80, unit="%", minimum=1, maximum=100, doc="Quality of representation/image/compressed."
    )
    camera_info_file: str = parameter(
        "",
        read_only=True,
        doc="Calibration, as a YAML file written by camera_calibration; published with every "
        "picture on representation/camera_info.",
    )


class ImageTopic(TopicOnDemand):
    """`representation/image`, made by cv_bridge; its stamp is the ROS time of the window's end.

    With it come `image/compressed` and `camera_info`, as in image_transport and image_pipeline.

    Args:
        node: the node.
        camera_info: calibration of the camera; None for none.
    """

    def __init__(self, node: Node, camera_info: CameraInfo | None) -> None:
        super().__init__(node, "image", Image)
        self._overlay = PictureOverlay(node)
        self._compressed = node.create_publisher(
            CompressedImage, "representation/image/compressed", pictures_quality()
        )
        self._camera_info = camera_info
        if camera_info is not None:
            self._camera_infos = node.create_publisher(
                CameraInfo, "representation/camera_info", pictures_quality()
            )
        try:
            import cv2  # noqa: F401 - draws the rotors
            from cv_bridge import CvBridge
        except ImportError as error:
            self.problem = _NO_CV_BRIDGE.format(module=error.name)
            node.get_logger().error(self.problem)
        else:
            self._bridge = CvBridge()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has subscribed to either form and it can be published."""
        is_wanted_compressed = not self.problem and self._compressed.get_subscription_count() > 0
        return super().is_wanted or is_wanted_compressed

    def change(self, parameters: ImageParameters) -> None:
        """Use new parameters; the next event begins a new stream."""
        self._close()
        self._parameters = parameters
        tensor = warm_up(self._make(WARM_UP_SIZE))
        draw_picture(parameters.look, tensor, np.empty((*tensor.shape[1:], 3), np.uint8))

    def _open(self, size: SensorSize) -> TensorStream:
        representation = self._make(size)
        self._tensor = np.empty(representation.shape, representation.dtype)
        picture = np.zeros((size.height, size.width, 3), np.uint8)
        self._image = self._bridge.cv2_to_imgmsg(picture, "rgb8")
        # The message's own memory: pictures are drawn where the middleware reads them.
        self._picture = np.frombuffer(self._image.data, np.uint8).reshape(picture.shape)
        return TensorStream(representation, self._parameters.window_us)

    def _make(self, size: SensorSize) -> Representation:
        return representation_of(self._parameters.look, size, self._parameters.tau_us)

    def _message(self, stream: TensorStream, start_us: int, clock: SensorClock) -> Image:
        end_us = start_us + stream.window_us
        stream.representation.read(self._tensor)
        draw_picture(self._parameters.look, self._tensor, self._picture)
        if self._parameters.objects:
            self._overlay.draw_objects(self._picture, end_us, clock.offset_ns)
        if self._parameters.rotors:
            self._overlay.draw_rotors(self._picture, end_us)
        self._image.header = clock.header(end_us)
        return self._image

    def _publish(self, message: Image) -> None:
        if super().is_wanted:
            super()._publish(message)
        if self._compressed.get_subscription_count():
            self._compressed.publish(self._jpeg(message))
        if self._camera_info is not None:
            self._camera_info.header = message.header
            self._camera_infos.publish(self._camera_info)

    def _jpeg(self, message: Image) -> CompressedImage:
        import cv2

        quality = [cv2.IMWRITE_JPEG_QUALITY, self._parameters.jpeg_quality]
        _, data = cv2.imencode(".jpg", self._picture[..., ::-1], quality)
        # The words that image_transport's subscribers look for.
        made = CompressedImage(header=message.header, format="rgb8; jpeg compressed bgr8")
        made.data = array("B", data.tobytes())
        return made
