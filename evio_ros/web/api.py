"""The server's application: API, live streams and, mounted last, the page.

app = create_app(source, WebParameters(), page=page)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Path, WebSocket
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from evio_ros.estimate import RotorEstimate
from evio_ros.web.api_page import api_page
from evio_ros.web.data_source import ControlError, DashboardSource
from evio_ros.web.guard import Guard
from evio_ros.web.history import History, HistoryError
from evio_ros.web.history_api import history_routes
from evio_ros.web.live_stream import Broadcast, EventFrames, StateFrames
from evio_ros.web.live_view import LiveView
from evio_ros.web.metrics import metrics_text
from evio_ros.web.models import (
    AngleTimeModel,
    DoneModel,
    ParameterModel,
    RotorModel,
    SpectrumModel,
    StatusModel,
    status_of,
)
from evio_ros.web.rotor_events import angle_time_of, spectrum_of
from evio_ros.web.routing import HeadAsGet, PageBesideApi
from evio_ros.web.web_parameters import WebParameters

__all__ = ["create_app"]

_LATEST_US = 1 << 53
_LARGEST_ID = (1 << 32) - 1

RotorId = Annotated[int, Path(ge=0, le=_LARGEST_ID, description="Number of a rotor.")]
_PROBLEMS: dict[int | str, dict[str, object]] = {
    404: {"description": "There is no such rotor at the moment."},
}
_CONTROL_PROBLEMS: dict[int | str, dict[str, object]] = {
    409: {"description": "It is not possible; the detail says why."},
    503: {"description": "The node that does it is not running."},
}


class PauseBody(BaseModel):
    """Whether to pause."""

    is_paused: bool


class SeekBody(BaseModel):
    """Where to continue."""

    t_us: int = Field(ge=0, le=_LATEST_US, description="Since the recording's beginning [us].")


class SpeedBody(BaseModel):
    """How fast to replay."""

    rate: float = Field(
        ge=0.0, le=1e6, allow_inf_nan=False, description="1.0: real time; 0.0: as fast as possible."
    )


class ParameterBody(BaseModel):
    """Another value for one parameter."""

    node: str = Field(min_length=1, max_length=200, description="Full name of the node.")
    name: str = Field(min_length=1, max_length=200)
    value: (
        bool
        | int
        | Annotated[float, Field(allow_inf_nan=False)]
        | Annotated[str, Field(max_length=1000)]
    )


def create_app(
    source: DashboardSource,
    parameters: WebParameters,
    history: History | None = None,
    routers: Sequence[APIRouter] = (),
    page: ASGIApp | None = None,
) -> FastAPI:
    """Make the server's application.

    Args:
        source: what is shown and commanded.
        parameters: whom it lets in, and how much it sends.
        history: what is kept of the past; None for nothing.
        routers: further routes, e.g. of video.
        page: answers all other addresses; None for none. It has no part in the API, so that an
            unknown address of the API stays unknown.
    """
    app = FastAPI(
        title="evio dashboard",
        description="Speed, phase, blades and place of every rotor that an event camera sees.",
        docs_url=None,  # loads its scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.include_router(_status_routes(source, parameters))
    app.include_router(_control_routes(source))
    streams = _streams(source.view, parameters)
    refused: Counter[int] = Counter()
    app.include_router(_stream_routes(source.view, streams))
    app.include_router(_metrics_routes(source, parameters, history, streams, refused))
    if history is not None:
        app.include_router(history_routes(history))
    for router in routers:
        app.include_router(router)
    app.include_router(_documentation_routes(app))
    app.add_exception_handler(ControlError, _tell_control_error)
    app.add_exception_handler(HistoryError, _tell_unreadable)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Guard, parameters=parameters, refused=refused)
    if page is not None:
        app.mount("", PageBesideApi(page, tuple(app.routes)))
    return app


def _documentation_routes(app: FastAPI) -> APIRouter:
    """The API's description for people."""
    router = APIRouter(include_in_schema=False)

    @router.get("/api/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(api_page(app.openapi(), "openapi.json"))

    return router


def _status_routes(source: DashboardSource, parameters: WebParameters) -> APIRouter:
    """What is the case now."""
    router = APIRouter(prefix="/api", tags=["status"])

    @router.get("/status")
    async def status() -> StatusModel:
        """Rotors, health, rates and playback."""
        return status_of(source, parameters.stale_after_s)

    @router.get("/rotors")
    async def rotors() -> list[RotorModel]:
        """All rotors in view, most confident first."""
        return status_of(source, parameters.stale_after_s).rotors

    @router.get("/rotors/{rotor_id}", responses=_PROBLEMS)
    async def rotor(rotor_id: RotorId) -> RotorModel:
        """One rotor in view."""
        for one in status_of(source, parameters.stale_after_s).rotors:
            if one.id == rotor_id:
                return one
        raise _no_rotor(rotor_id)

    @router.get("/rotors/{rotor_id}/angle_time", responses=_PROBLEMS)
    def angle_time(rotor_id: RotorId) -> AngleTimeModel:
        """Events over angle and time on the rotor's disc; asking keeps events coming for 5 s."""
        found = angle_time_of(source.view, _estimate(source, rotor_id))
        return AngleTimeModel(
            counts=found.counts.tolist(), start_us=found.start_us, end_us=found.end_us
        )

    @router.get("/rotors/{rotor_id}/spectrum", responses=_PROBLEMS)
    def spectrum(rotor_id: RotorId) -> SpectrumModel:
        """Spectrum of the event rate on the rotor's disc; asking keeps events coming for 5 s."""
        found = spectrum_of(source.view, _estimate(source, rotor_id))
        return SpectrumModel(
            frequency_hz=found.frequency_hz.tolist(),
            power=found.power.tolist(),
            blade_pass_hz=found.blade_pass_hz,
        )

    return router


def _control_routes(source: DashboardSource) -> APIRouter:
    """What can be changed."""
    router = APIRouter(prefix="/api", tags=["control"], responses=_CONTROL_PROBLEMS)

    @router.post("/pause")
    def pause(body: PauseBody) -> DoneModel:
        """Pause the replay, or continue it."""
        return DoneModel(message=source.pause(body.is_paused))

    @router.post("/seek")
    def seek(body: SeekBody) -> DoneModel:
        """Go on from another time of the recording."""
        return DoneModel(message=source.seek(body.t_us))

    @router.post("/restart")
    def restart() -> DoneModel:
        """Go on from the beginning."""
        return DoneModel(message=source.restart())

    @router.post("/speed")
    def speed(body: SpeedBody) -> DoneModel:
        """Replay slower or faster."""
        return DoneModel(message=source.set_rate(body.rate))

    @router.get("/parameters")
    def parameters() -> list[ParameterModel]:
        """The parameters of the nodes."""
        return [ParameterModel.model_validate(one) for one in source.parameters()]

    @router.post("/parameters")
    def set_parameter(body: ParameterBody) -> DoneModel:
        """Change one parameter of one node."""
        return DoneModel(message=source.set_parameter(body.node, body.name, body.value))

    return router


def _streams(view: LiveView, parameters: WebParameters) -> dict[str, Broadcast]:
    """The live streams by name."""

    def events() -> EventFrames:
        return EventFrames(view, parameters.events_a_message)

    rate_hz, most = parameters.rate_hz, parameters.clients
    return {
        "states": Broadcast(lambda: StateFrames(view), rate_hz, most),
        "events": Broadcast(events, rate_hz, most),
    }


def _stream_routes(view: LiveView, streams: Mapping[str, Broadcast]) -> APIRouter:
    """Live data, as binary messages, see `column_frame`."""
    router = APIRouter()

    @router.websocket("/ws/states")
    async def stream_states(socket: WebSocket) -> None:
        await streams["states"].serve(socket)

    @router.websocket("/ws/events")
    async def stream_events(socket: WebSocket) -> None:
        with view.watching("events"):
            await streams["events"].serve(socket)

    return router


def _metrics_routes(
    source: DashboardSource,
    parameters: WebParameters,
    history: History | None,
    streams: Mapping[str, Broadcast],
    refused: Counter[int],
) -> APIRouter:
    """Numbers for Prometheus."""
    router = APIRouter(tags=["status"])

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> PlainTextResponse:
        """Rotors, levels of the nodes, clients and history, for Prometheus."""
        counts = {
            "windows_total": ("Windows that have come.", source.view.states),
            "refused_requests_total": ("Requests that were refused.", refused.total()),
        }
        for name, stream in streams.items():
            counts[f"{name}_clients"] = ("Clients of the stream.", stream.clients)
            counts[f"{name}_dropped_clients_total"] = ("Clients too slow.", stream.dropped)
        if history is not None:
            counts["history_bytes"] = ("Size of the history.", history.bytes())
            counts["history_rows_total"] = ("Rows written.", history.written)
            counts["history_dropped_rows_total"] = ("Rows that were lost.", history.dropped)
        text = metrics_text(status_of(source, parameters.stale_after_s), counts)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return router


def _estimate(source: DashboardSource, rotor_id: int) -> RotorEstimate:
    estimate = source.view.recent_estimate(rotor_id)
    if estimate is None:
        raise _no_rotor(rotor_id)
    return estimate


def _no_rotor(rotor_id: int) -> HTTPException:
    return HTTPException(404, f"rotor {rotor_id} is not in view")


async def _tell_invalid(_: Request, error: Exception) -> Response:
    """Name what is wrong without repeating it: it may be what JSON cannot hold."""
    assert isinstance(error, RequestValidationError)
    kept = ("type", "loc", "msg")
    detail = [{name: one[name] for name in kept} for one in error.errors()]
    return JSONResponse({"detail": detail}, 422)


async def _tell_unreadable(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 503)


async def _tell_control_error(_: Request, error: Exception) -> Response:
    is_absent = isinstance(error, ControlError) and error.is_absent
    return JSONResponse({"detail": str(error)}, 503 if is_absent else 409)
