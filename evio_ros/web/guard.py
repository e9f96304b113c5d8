"""Access control: checks of every request and WebSocket before anything else sees it.

- Host must be a numeric address, localhost or a known name, so that a page of another site whose
  name was made to resolve to this server (DNS rebinding) is refused.
- Origin, if a browser sends it, must be the host itself: other sites can neither command nor
  read (cross-site requests and WebSockets).
- The token, if there is one, by header or cookie, compared in constant time.
- Bodies, addresses and the rate of requests of each address are limited.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import time
from collections import Counter, OrderedDict
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evio_ros.web.routing import answer_socket
from evio_ros.web.web_parameters import WebParameters

__all__ = ["Guard"]

_COOKIE = "evio_token"
_LARGEST_BODY = 64 * 1024
_LONGEST_QUERY = 4096
_BURST_S = 4.0
_ADDRESSES = 1024
_SEND_S = 30.0
"""Time after which a client that receives nothing of an answer is dropped."""
_ASKING = {"www-authenticate": "Bearer"}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
}


class Guard:
    """ASGI middleware around the whole server.

    Args:
        app: what is guarded.
        parameters: who is let in.
        refused: counts requests that are refused, by status.
    """

    def __init__(self, app: ASGIApp, parameters: WebParameters, refused: Counter[int]) -> None:
        self._app = app
        self._token = parameters.secret()
        self._names = parameters.names | {"localhost", parameters.host.lower()}
        self._rate = _RateLimit(parameters.requests_a_second)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is let in, and answer the rest."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = self._answer(scope)
        if answer is not None:
            await self._refuse(answer, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._pass_on(scope, _Limited(receive), _with_headers(send))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            await self._app(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        """The answer that refuses a request; None if it is allowed."""
        headers = Headers(scope=scope)
        client = scope.get("client")
        if not self._rate.allows(client[0] if client else ""):
            return _problem(429, "too many requests", {"retry-after": "1"})
        if not _is_known_host(headers.get("host", ""), self._names):
            return _problem(421, "this host name is not allowed; add it to web.host_names")
        if not _is_own_origin(scope, headers):
            return _problem(403, "requests from pages of other hosts are refused")
        if len(scope.get("query_string", b"")) > _LONGEST_QUERY:
            return _problem(414, f"a query has at most {_LONGEST_QUERY} bytes")
        length = headers.get("content-length", "0")
        if not (length.isdecimal() and len(length) < 20 and int(length) <= _LARGEST_BODY):
            return _problem(413, f"a body has at most {_LARGEST_BODY} bytes")
        return self._token_answer(scope, headers) if self._token else None

    def _token_answer(self, scope: Scope, headers: Headers) -> Response | None:
        """The same, for the token."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        cookie = _cookie(headers.get("cookie", ""))
        if self._is_token(cookie):
            return None
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        given = [value for name, value in query if name == "token"]
        if scope["type"] == "http" and scope["method"] == "GET" and given:
            if self._is_token(given[0]):
                rest = urlencode([pair for pair in query if pair[0] != "token"])
                return self._with_cookie(scope, rest)
            return _problem(401, "the token is wrong", _ASKING)
        wrong = "the token is wrong" if bearer or cookie else "a token is needed"
        return _problem(
            401,
            f"{wrong}: send `Authorization: Bearer TOKEN`, or open the page with ?token=TOKEN",
            _ASKING,
        )

    def _with_cookie(self, scope: Scope, query: str) -> Response:
        """Lead a browser to the same address without the token, which it keeps as a cookie."""
        # One slash: //elsewhere would lead to another host.
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(f"{path}?{query}" if query else path, 303)
        response.set_cookie(
            _COOKIE,
            self._token,
            httponly=True,
            samesite="strict",
            secure=scope.get("scheme") == "https",
        )
        return response

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _refuse(self, answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
        if answer.status_code >= 400:
            self._refused[answer.status_code] += 1
        if scope["type"] == "http":
            await answer(scope, receive, _with_headers(send))
        else:
            await answer_socket(answer, scope, receive, send)


class _RateLimit:
    """A token bucket of requests for each address; the oldest addresses are forgotten."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._most = rate_hz * _BURST_S
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Whether one more request is allowed now."""
        now_s = time.monotonic()
        left, then_s = self._buckets.pop(address, (self._most, now_s))
        left = min(self._most, left + (now_s - then_s) * self._rate_hz)
        self._buckets[address] = (max(left - 1.0, 0.0), now_s)
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)
        return left >= 1.0


class _Limited:
    """A body that is cut at the allowed length, whatever its header said."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._taken = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > _LARGEST_BODY:
            return {"type": "http.disconnect"}
        return message


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await asyncio.wait_for(send(message), _SEND_S)

    return sending


def _is_known_host(host: str, names: frozenset[str]) -> bool:
    name = urlsplit(f"//{host}").hostname if _is_plain(host) else None
    if name is None:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in names
    return True


def _is_own_origin(scope: Scope, headers: Headers) -> bool:
    """Whether a page of this server asks, or nobody's page."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    is_safe = scope["type"] == "http" and scope["method"] in _SAFE
    return is_safe or headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _is_plain(host: str) -> bool:
    """Whether a Host header holds nothing that names and addresses do not."""
    return bool(host) and all(c.isascii() and (c.isalnum() or c in "-._:[]") for c in host)


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _problem(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": text}, status, headers)
