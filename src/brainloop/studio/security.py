"""Who may talk to the studio: whoever holds its link, on this machine, from its own page."""

import secrets
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "new_token", "url_host"]

MOST_BODY = 1_000_000
"""Bytes of a request's body: the longest is a list of some thousand examples."""

HEADERS = {
    # Plotly writes styles of its own; nothing else is needed from anywhere but here.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    ),
    # Isolated from other origins, a page's clock ticks every 5 us instead of every 100.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

LINKED = ("/", "/drive")
"""Pages that a link with the token may lead to."""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>brainloop studio</title>
<body style="font:16px/1.5 system-ui;background:#101418;color:#e8ecf0;margin:15vh auto;max-width:36em">
<h1>{title}</h1><p>{text}</p></body></html>"""

NO_KEY = "Open the link that brainloop studio printed in the terminal: it holds the key. A new start makes a new key."


def new_token() -> str:
    """Make the key of one run of the studio."""
    return secrets.token_urlsafe(32)


def url_host(host: str) -> str:
    """Write a host name or address as URLs do: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


class Guard:
    """ASGI middleware that lets nothing through without the token, for a foreign host or from a foreign origin.

    The link ``/?token=...`` puts the token into a cookie that no script reads and no other site sends along, and leads
    on to ``/``, so that the token is in no address bar; likewise that of another page, with what else it says. The host
    is checked as a foreign name that is made to point to this machine (DNS rebinding) would have the origin that it
    claims.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    token : str
        The key.
    host : str
        Host name or address that the studio listens on, allowed beside those of the loopback.
    port : int
        Its port.
    """

    def __init__(self, app: ASGIApp, token: str, host: str, port: int) -> None:
        self._app, self._token = app, token
        names = {"127.0.0.1", "localhost", "[::1]", url_host(host).lower()}
        # Browsers leave the port out where it is that of http.
        self._hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())
        # Cookies know no ports: two studios on one machine must not overwrite each other's.
        self._cookie = f"brainloop-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:  # closed before it is accepted: the handshake is answered with 403
                await send({"type": "websocket.close", "code": 1008})
            return
        send = _with_headers(send, scope["path"])
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            text = f"Expected a body of at most {MOST_BODY:,} bytes, got more; send fewer values at a time."
            await _refuse(scope, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _refusal(self, scope: Scope) -> Response | None:
        """Give the answer to whoever may not come in, or who comes with the link; None to whoever may."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if host not in self._hosts:
            return _refuse(scope, HTTPStatus.MISDIRECTED_REQUEST, f"The studio is not at {host!r}. {NO_KEY}")
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        # A browser names no origin when a page reads from its own.
        if origin != f"http://{host}" and not (reads and origin is None):
            return _refuse(scope, HTTPStatus.FORBIDDEN, "Only the studio's own page may do this.")
        if reads and scope["path"] in LINKED:
            query = parse_qsl(scope["query_string"].decode("latin-1"))
            if self._is_token(dict(query).get("token", "")):
                rest = urlencode([pair for pair in query if pair[0] != "token"])
                answer = RedirectResponse(scope["path"] + (rest and f"?{rest}"), HTTPStatus.SEE_OTHER)
                answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
                return answer
        if self._is_token(cookie_parser(headers.get("cookie", "")).get(self._cookie, "")):
            return None
        return _refuse(scope, HTTPStatus.FORBIDDEN, NO_KEY)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self._token.encode())


def _refuse(scope: Scope, status: HTTPStatus, text: str) -> Response:
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": text, "kind": status.phrase}, status)
    return HTMLResponse(PAGE.format(title=status.phrase, text=escape(text)), status)


def _with_headers(send: Send, path: str) -> Send:
    # What is the package's own may be kept, if it is asked for every time whether it is still the same.
    kept = "no-cache" if path.startswith("/static/") else "no-store"

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("cache-control", kept)
        await send(message)

    return add


async def _read(receive: Receive) -> bytes | None:
    """Read a request's body; None once it is longer than it may be, whatever its header says."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            return None
        more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read already, then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def take() -> Message:
        return left.pop() if left else await receive()

    return take
