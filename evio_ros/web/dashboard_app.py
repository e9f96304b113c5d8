"""The whole dashboard as one application: API, history, video and page."""

from __future__ import annotations

from fastapi import FastAPI

from evio_ros.web.api import create_app
from evio_ros.web.data_source import DashboardSource
from evio_ros.web.history import History
from evio_ros.web.page import create_page
from evio_ros.web.video import video_routes
from evio_ros.web.web_parameters import WebParameters

__all__ = ["create_dashboard"]


def create_dashboard(
    source: DashboardSource, parameters: WebParameters, history: History | None = None
) -> FastAPI:
    """Make the application.

    Args:
        source: what is shown and commanded.
        parameters: whom it lets in, and how much it sends.
        history: what is kept of the past; None for nothing.

    Raises:
        EvioError: if Dash is not installed.
    """
    page = create_page(source.title, has_history=history is not None)
    return create_app(source, parameters, history, [video_routes(source.view)], page)
