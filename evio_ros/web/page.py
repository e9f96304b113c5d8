"""The page: the charts of Dash in a frame of HTML, fed by the live streams.

What changes ten times a second is drawn by the scripts in assets/, from the WebSockets. Dash
provides Plotly and the empty charts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evio_ros.errors import EvioError
from evio_ros.rotor_colors import ROTOR_COLORS

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["create_page"]

_FOLDER = Path(__file__).parent
_SPANS = {"10": "10 s", "30": "30 s", "60": "60 s"}
_PAST_SPANS = {"600": "10 min", "3600": "1 h", "86400": "1 day"}
"""Spans of the speeds in seconds: those that the page keeps, and those of the history."""
_MARGIN = {"l": 58, "r": 12, "t": 8, "b": 36}


def create_page(title: str, has_history: bool = False, prefix: str = "/") -> ASGIApp:
    """Make the page, to be mounted behind the API.

    Args:
        title: of the browser's window, until the status gives another.
        has_history: whether the API has a history.
        prefix: path under which a browser sees the page, "/" at both ends.

    Raises:
        EvioError: if Dash is not installed.
    """
    try:
        from dash import Dash
        from fastapi import FastAPI
    except ImportError as error:
        raise EvioError(f"the page needs {error.name}: pip install 'evio_ros[web]'") from None
    server: Any = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app = Dash(
        __name__,
        server=server,
        title=title,
        update_title="",
        routes_pathname_prefix="/",
        requests_pathname_prefix=prefix,
        assets_folder=str(_FOLDER / "assets"),
        serve_locally=True,
        compress=True,
        index_string=_frame(),
    )
    # Callbacks by WebSocket: the page has none, and live streams of its own.
    app.backend.websocket_capability = False
    app.layout = _layout(has_history)
    return server


def _frame() -> str:
    """The page around the charts, with the colours in which pictures show rotors too."""
    frame = (_FOLDER / "page.html").read_text(encoding="utf-8")
    return frame.replace("{%rotor_colors%}", " ".join(ROTOR_COLORS))


def _layout(has_history: bool) -> Any:
    """The charts, empty."""
    from dash import html

    spans = _SPANS | (_PAST_SPANS if has_history else {})
    speed = _chart("speed-chart", "seconds ago", "rpm", 300)
    return html.Div(
        [
            _card(
                "Speed",
                speed,
                _select("speed-kind", {"speed": "speed", "deviation": "from the median"}, "speed"),
                _select("span", spans, "60"),
                *(_downloads() if has_history else ()),
                is_broad=True,
            ),
            _card(
                "Events over angle and time",
                _chart("angle-chart", "ms ago", "angle on the disc in degrees", 260),
                html.Small(id="angle-rotor"),
            ),
            _card(
                "Spectrum",
                _chart("spectrum-chart", "Hz", "power over noise", 260, is_log=True),
                html.Small(id="spectrum-rotor"),
            ),
            _card(
                "Event rate",
                _chart("rate-chart", "seconds ago", "events/s", 260),
                html.Small("of sensor time"),
            ),
        ],
        className="charts",
    )


def _card(name: str, chart: Any, *extra: Any, is_broad: bool = False) -> Any:
    from dash import html

    head = html.Div([html.H2(name), *extra], className="head")
    # What is said where there is nothing to draw.
    told = html.P(className="nothing", hidden=True)
    # As high from the beginning as with the chart, which is loaded later.
    plot = html.Div([chart, told], className="plot", style=chart.style)
    return html.Div([head, plot], className="card broad" if is_broad else "card")


def _downloads() -> Any:
    """Links to the last ten minutes of the history as files."""
    from dash import html

    links = [html.A(kind, href=f"api/export.{kind.lower()}") for kind in ("CSV", "Parquet")]
    return [html.Small(["last 10 min as ", links[0], " ", links[1]], className="downloads")]


def _select(name: str, options: dict[str, str], chosen: str) -> Any:
    from dash import html

    # Dash's own elements have no plain <select>, which suits a phone best.
    entries = [
        html.Option(text, value=value, selected=value == chosen or None)
        for value, text in options.items()
    ]
    return html.Select(entries, id=name)


def _chart(name: str, x: str, y: str, height_px: int, is_log: bool = False) -> Any:
    from dash import dcc

    grid = "rgba(128, 136, 150, 0.18)"
    axis: dict[str, Any] = {"zeroline": False, "gridcolor": grid, "linecolor": grid, "ticks": ""}
    # Numbers come with the data.
    y_axis = {**axis, "title": {"text": y}, "type": "log" if is_log else "linear"}
    y_axis["showticklabels"] = False
    if is_log:
        y_axis["dtick"] = 1
    layout = {
        "height": height_px,
        "margin": _MARGIN,
        "font": {"size": 11, "color": "#8a909c"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "title": {"text": x}, "showticklabels": False},
        "yaxis": y_axis,
        "showlegend": False,
        "uirevision": "live",
    }
    return dcc.Graph(
        id=name,
        figure={"data": [], "layout": layout},
        style={"height": f"{height_px}px"},
        config={"displayModeBar": False, "responsive": True},
    )
