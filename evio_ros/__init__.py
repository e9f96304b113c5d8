"""Rotation measurement with event cameras: the library, the `evio` command and the ROS 2 nodes.

The message modules (``evio_ros.msg``, ``evio_ros.srv``) are generated at build time and installed
beside these modules; ``extend_path`` joins the two places when both are on ``sys.path``.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
