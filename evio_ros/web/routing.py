"""What the API's framework does not handle: HEAD, and addresses that neither API nor page have."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadAsGet", "PageBesideApi", "answer_socket"]

_METHODS = ("GET", "HEAD", "POST")
_REFUSED = 1008
"""Code with which a WebSocket is closed that breaks the rules (RFC 6455, section 7.4.1)."""
_NOT_FOUND = JSONResponse({"detail": "Not Found"}, 404)


class HeadAsGet:
    """ASGI middleware that answers HEAD as GET, without the body.

    Args:
        app: what answers GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "body": b""} if is_body else message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


class PageBesideApi:
    """A page that is mounted last, and has no address that begins like those of the API.

    Args:
        page: answers all other addresses.
        routes: the API's.
    """

    def __init__(self, page: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._page = page
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is no request of the API."""
        first = scope["path"].strip("/").partition("/")[0]
        if scope["type"] == "websocket":
            await answer_socket(_NOT_FOUND, scope, receive, send)
        elif first in ("api", "ws", "metrics"):
            await self._refusal(scope)(scope, receive, send)
        else:
            await self._page(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response:
        """What the API says: mounted last, the page hides that another method is known there."""
        known = [name for name in _METHODS if self._is_known({**scope, "method": name})]
        if known:
            detail = {"detail": "Method Not Allowed"}
            return JSONResponse(detail, 405, {"allow": ", ".join(known)})
        return _NOT_FOUND

    def _is_known(self, scope: Scope) -> bool:
        asked = {**scope, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}
        return any(one.matches(asked)[0] is Match.FULL for one in self._routes)


async def answer_socket(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket with a status of its own, where the server can tell one."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await answer(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": _REFUSED, "reason": ""})
