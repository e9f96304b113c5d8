"""The dashboard node: a web page and an API for what the graph publishes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from evio_ros.errors import EvioError
from evio_ros.nodes.graph_control import GraphControl
from evio_ros.nodes.graph_view import GraphView
from evio_ros.parameters import Parameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.process import run_node
from evio_ros.web.history import History, HistoryParameters
from evio_ros.web.live_view import LiveView
from evio_ros.web.postgres import PostgresParameters, PostgresSink
from evio_ros.web.web_parameters import WebParameters

if TYPE_CHECKING:
    from evio_ros.web.web_server import WebServer

__all__ = ["Dashboard", "main"]

_NONE = "none"


class Dashboard(EvioNode):
    """Shows what other nodes publish in a browser; it publishes only its own diagnostics."""

    TASK = "dashboard"
    INPUT = "rotation states"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "web": WebParameters,
        "history": HistoryParameters,
        "postgres": PostgresParameters,
    }

    def __init__(self) -> None:
        super().__init__("dashboard")
        self._open = ExitStack()
        self._graph: GraphView | None = None
        self._history: History | None = None
        self._postgres: PostgresSink | None = None
        self._server: WebServer | None = None

    def configure(self) -> None:
        """Listen on the port, open the history and begin to answer."""
        try:
            from evio_ros.web.dashboard_app import create_dashboard
            from evio_ros.web.web_server import WebServer
        except ImportError as error:
            raise EvioError(
                f"the dashboard needs {error.name}: pip install 'evio_ros[web]'"
            ) from None
        parameters = self.parameters.get(WebParameters, "web")
        self._view = LiveView()
        path = _history_path(self.parameters.get(HistoryParameters, "history").file, self)
        if path is not None:
            megabytes = self.parameters.get(HistoryParameters, "history").megabytes
            self._history = self._open.enter_context(History(path, megabytes))
            self._view.on_state(self._history.put)
        postgres = self.parameters.get(PostgresParameters, "postgres")
        if postgres.url:
            sink = PostgresSink(postgres, self.get_fully_qualified_name())
            self._postgres = self._open.enter_context(sink)
            self._view.on_state(sink.put)
        source = GraphControl(self, self._view)
        app = create_dashboard(source, parameters, self._history)
        self._server = WebServer(app, parameters)
        self._open.callback(self._server.close)
        self._server.start()
        self.get_logger().info(f"the dashboard is at {self._server.address}")

    def activate(self) -> None:
        """Listen to the graph."""
        self._graph = GraphView(self, self._view)

    def deactivate(self) -> None:
        """Stop listening."""
        self._graph = None

    def cleanup(self) -> None:
        """Stop answering, and complete the history."""
        self._open.close()
        self._history = self._postgres = self._server = None

    def last_input_s(self) -> float | None:
        """When rotation states last came."""
        return self._graph.last_s if self._graph is not None else None

    def report(self) -> Report:
        """Its address, and what could not be kept."""
        graph, history, postgres = self._graph, self._history, self._postgres
        values: dict[str, object] = {
            "windows": graph.windows if graph is not None else 0,
            "messages_refused": graph.refused if graph is not None else 0,
        }
        if history is not None:
            values["history_rows"] = history.written
            values["history_rows_dropped"] = history.dropped
            values["history_mb"] = round(history.bytes() * 1e-6, 3)
        if postgres is not None:
            values["postgres_rows"] = postgres.written
            values["postgres_rows_waiting"] = postgres.waiting
            values["postgres_rows_dropped"] = postgres.dropped
        problems = [kept.problem for kept in (history, postgres) if kept is not None]
        address = self._server.address if self._server is not None else "closed"
        return Report(
            "; ".join([address, *filter(None, problems)]),
            values,
            warning=any(problems),
            rates=("windows",),
        )


def _history_path(name: str, node: EvioNode) -> Path | None:
    """The file of the history; None for none."""
    if name == _NONE:
        return None
    if name:
        return Path(name)
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    own = node.get_fully_qualified_name().strip("/").replace("/", "_")
    return Path(state).expanduser() / "evio_ros" / f"{own}.sqlite"


def main() -> None:
    """Run the node."""
    run_node(Dashboard)


if __name__ == "__main__":
    main()
