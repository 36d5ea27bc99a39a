"""The studio's routes: a page, its images, its commands; no logic."""

import json
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from brainloop.errors import BrainloopError, ImageError, SettingsError
from brainloop.studio.creation import class_folders
from brainloop.studio.images import SIZES, Images
from brainloop.studio.security import Guard
from brainloop.studio.session import Session
from brainloop.studio.sockets import serve_drive, serve_events, serve_screen

__all__ = ["make_app"]

Values = dict[str, Any]

MOST_ITEMS = 10_000
"""Images in one answer of the gallery."""


def make_app(session: Session, token: str, host: str, port: int) -> ASGIApp:
    """Make the studio's application, guarded.

    Parameters
    ----------
    session : Session
        What it shows and commands.
    token : str
        The key that every request must bring.
    host : str
        What it listens on.
    port : int
        Its port.
    """
    images = Images()
    pages = Environment(loader=PackageLoader("brainloop.studio"), autoescape=True)

    async def index(_request: Request) -> Response:
        text = await run_in_threadpool(lambda: pages.get_template("index.html").render(state=session.state()))
        return HTMLResponse(text, background=BackgroundTask(_warm_up))

    async def drive(_request: Request) -> Response:
        def render() -> str:
            session.driving.look()
            return pages.get_template("drive.html").render(state=session.state())

        return HTMLResponse(await run_in_threadpool(render))

    async def image(request: Request) -> Response:
        kind = request.path_params["kind"]
        found = session.opened.image_file(request.path_params["number"]) if session.opened else None
        if found is None or kind not in SIZES:
            raise HTTPException(404, "the study that is open has no such image")
        path, digest = found
        # The same address is another image once another study is open, so the page must ask whether it still holds.
        headers = {"cache-control": "private, no-cache", "etag": f'"{digest}-{kind}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        try:
            return Response(await images.get(path, digest, kind), media_type="image/jpeg", headers=headers)
        except ImageError as error:
            raise HTTPException(404, f"{path.name}: {error}") from error

    async def state(_request: Request) -> Response:
        return await _answer(session.state)

    async def gallery(request: Request) -> Response:
        q = request.query_params
        offset, limit = _page(request)
        order, part = q.get("order", "probability"), q.get("part", "pool")
        return await _answer(lambda: session.must_be_open().results.gallery(order, part, offset, limit))

    async def piles(request: Request) -> Response:
        offset, limit = _page(request)
        pile = request.query_params.get("pile", "open")
        return await _answer(lambda: session.must_be_open().results.piles(pile, offset, limit))

    async def findings(request: Request) -> Response:
        offset, limit = _page(request)
        verdict = request.query_params.get("verdict", "wrong")
        return await _answer(lambda: session.must_be_open().results.findings(verdict, offset, limit))

    async def results(_request: Request) -> Response:
        return await _answer(session.results)

    async def people(_request: Request) -> Response:
        return await _answer(lambda: {"people": session.people()})

    async def fusion(_request: Request) -> Response:
        return await _answer(lambda: {"targets": session.fusion()})

    async def exports(_request: Request) -> Response:
        opened = session.must_be_open()
        return await _answer(lambda: {"choices": opened.choices(), **_files(opened.exports())})

    async def export(request: Request) -> Response:
        # Looked up in the list of what was exported: the name is never made a path.
        for path, _ in await run_in_threadpool(session.must_be_open().exports):
            if path.name == request.path_params["name"]:
                return FileResponse(path, filename=path.name)
        raise HTTPException(404, "there is no such export")

    async def command(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in COMMANDS:
            raise HTTPException(404, f"there is no command {name!r}")
        values = _values(await request.body())

        def run() -> Any:
            answer = COMMANDS[name](session, values)
            return session.state() if answer is None else answer

        return await _answer(run)

    routes = [
        Route("/", index),
        Route("/drive", drive),
        Route("/api/state", state),
        Route("/api/gallery", gallery),
        Route("/api/findings", findings),
        Route("/api/fusion", fusion),
        Route("/api/people", people),
        Route("/api/piles", piles),
        Route("/api/results", results),
        Route("/api/exports", exports),
        Route("/api/{name:path}", command, methods=["POST"]),
        Route("/image/{number:int}/{kind}", image),
        Route("/export/{name}", export),
        # Plotly's wheel holds plotly.min.js in that folder.
        Mount("/static", StaticFiles(packages=[("brainloop.studio", "static"), ("plotly", "package_data")])),
        WebSocketRoute("/ws/events", lambda socket: serve_events(socket, session)),
        WebSocketRoute("/ws/screen", lambda socket: serve_screen(socket, session.stage.screen)),
        WebSocketRoute("/ws/drive", lambda socket: serve_drive(socket, session.driving)),
    ]
    handlers = {BrainloopError: _refuse, HTTPException: _miss, OSError: _fail, Exception: _fail}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, host, port)


COMMANDS: dict[str, Callable[[Session, Values], Any]] = {
    "study/create": lambda s, v: s.create_study(v),
    "study/open": lambda s, v: s.open_study(_text(v, "folder")),
    "study/classes": lambda _, v: {"classes": class_folders(_text(v, "images"))},
    "study/close": lambda s, _: s.close_study(),
    "study/examples": lambda s, v: s.set_examples(_maybe(v, "target"), _ids(v, "targets"), _ids(v, "others")),
    "person": lambda s, v: s.set_person(_text(v, "name"), v.get("consent") is True, v.get("no_epilepsy") is True),
    "person/forget": lambda s, v: {"went": s.forget_person(_text(v, "name")), "state": s.state()},
    "headset/list": lambda s, _: {"headsets": s.list_headsets()},
    "headset/connect": lambda s, v: s.connect_headset(_text(v, "id")),
    "headset/disconnect": lambda s, _: s.disconnect_headset(),
    "mode": lambda s, v: s.set_mode(_text(v, "mode")),
    "patch": lambda s, v: s.set_patch(_flag(v, "on")),
    "calibrate/start": lambda s, _: s.start_calibration(),
    "calibrate/stop": lambda s, _: s.stop(),
    "calibrate/accept": lambda s, v: s.accept_calibration(v.get("anyway") is True),
    "watch/start": lambda s, _: s.start_watching(),
    "watch/stop": lambda s, _: s.stop(),
    "correct": lambda s, v: s.correct(_id(v.get("image"), "image"), _maybe(v, "target"), _verdict(v)),
    "drive/start": lambda s, v: s.driving.start(v),
    "drive/replay": lambda s, v: s.driving.replay(_text(v, "name")),
    "drive/stop": lambda s, _: s.driving.stop(),
    "export": lambda s, v: _files(s.export(_texts(v, "what"), v.get("force") is True)),
}
"""What the page may ask for; None as an answer stands for the state."""


def _values(body: bytes) -> Values:
    try:
        values = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"expected a JSON object as the request's body: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"expected a JSON object as the request's body, got {type(values).__name__}")
    return values


def _text(values: Values, name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"expected a text as {name!r}, got {value!r}; fill it in")
    return value.strip()


def _maybe(values: Values, name: str) -> str | None:
    return _text(values, name) if values.get(name) is not None else None


def _texts(values: Values, name: str) -> list[str]:
    value = values.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SettingsError(f"expected a list of texts as {name!r}, got {value!r}")
    return value


def _id(value: Any, name: str) -> int:
    if type(value) is not int:  # True is an int, too
        raise SettingsError(f"expected the id of an image as {name!r}, got {value!r}")
    return value


def _ids(values: Values, name: str) -> list[int]:
    value = values.get(name)
    if not isinstance(value, list):
        raise SettingsError(f"expected a list of image ids as {name!r}, got {value!r}")
    return [_id(one, name) for one in value]


def _flag(values: Values, name: str) -> bool:
    value = values.get(name)
    if not isinstance(value, bool):
        raise SettingsError(f"expected true or false as {name!r}, got {value!r}")
    return value


def _verdict(values: Values) -> bool | None:
    """Give whether an image is a target; None, which must be said, takes it back."""
    return None if "is_target" in values and values["is_target"] is None else _flag(values, "is_target")


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SettingsError(f"expected a whole number as {name!r}, got {text!r}")
    return int(text)


def _page(request: Request) -> tuple[int, int]:
    """Give which items of a long list are asked for: from where on, and how many."""
    offset, limit = (
        _whole(request.query_params.get(name, default), name) for name, default in (("offset", "0"), ("limit", "200"))
    )
    return offset, min(limit, MOST_ITEMS)


def _files(made: list[tuple[Path, str | None]]) -> Values:
    return {
        "files": [
            {"name": path.name, "bytes": path.stat().st_size, "url": f"/export/{quote(path.name)}", "made_by": name}
            for path, name in made
        ]
    }


async def _answer(what: Callable[[], Any]) -> Response:
    """Answer with JSON; it is made, and written, in another thread than that of the screen's clock."""
    return await run_in_threadpool(lambda: JSONResponse(what()))


async def _refuse(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error), "kind": type(error).__name__}, HTTPStatus.BAD_REQUEST)


async def _miss(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return JSONResponse(
        {"error": error.detail, "kind": HTTPStatus(error.status_code).phrase}, error.status_code, error.headers
    )


async def _fail(_request: Request, error: Exception) -> Response:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return JSONResponse({"error": str(error), "kind": type(error).__name__}, status)


@cache
def _warm_up() -> None:
    """Import, once the first page is out, what its commands will need."""

    def load() -> None:
        import brainloop.eeg.recorder
        import brainloop.observers.eeg_sense  # noqa: F401

    Thread(target=load, name="warm-up", daemon=True).start()
