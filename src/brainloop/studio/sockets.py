"""The page's sockets: events (state and traces, to it), screen (what is shown, and when), drive (a road, live)."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from brainloop._types import FloatArray
from brainloop.eeg.lsl import local_clock
from brainloop.errors import BrainloopError, SettingsError
from brainloop.presentation.clock import ClockOffset, estimate
from brainloop.studio.driving import Driving
from brainloop.studio.page import PageScreen, number_in
from brainloop.studio.session import Session

__all__ = ["BUSY", "serve_drive", "serve_events", "serve_screen"]

STATE_EVERY = 0.2
"""Between two states at least, s."""

TRACES_EVERY = 0.1
"""Between two pieces of traces, s."""

BUSY = 4409
"""Code with which a socket is closed as another page is, or has become, the screen."""

WRONG = 1008
"""Code (RFC 6455: policy violation) with which a socket is closed that sends what nobody understands."""

MOST_REASON = 123
"""Bytes that a reason for closing may have (RFC 6455)."""

TAKEN = json.dumps({"type": "taken"})
"""The last text of a screen that another page took over."""


async def serve_events(socket: WebSocket, session: Session) -> None:
    """Send the state whenever it has changed, and traces while the page wants them.

    Parameters
    ----------
    socket : WebSocket
        To the page.
    session : Session
        What it shows.
    """
    drawing = asyncio.Event()

    async def listen() -> None:
        while True:
            message = _read(await socket.receive_text())
            if message.get("type") == "watch_traces":
                (drawing.set if message.get("on") else drawing.clear)()

    async def states() -> None:
        version = -1
        while True:
            now = await run_in_threadpool(session.activity.wait_change, version, 1.0)
            if now != version:
                version = now
                await socket.send_text(await run_in_threadpool(lambda: _text("state", {"state": session.state()})))
            await asyncio.sleep(STATE_EVERY)

    async def traces() -> None:
        while True:
            await drawing.wait()
            drawn = await run_in_threadpool(session.traces)
            if drawn is not None:
                await socket.send_text(_text("traces", drawn))
            await asyncio.sleep(TRACES_EVERY)

    await socket.accept()
    await _run(socket, listen(), states(), traces())


async def serve_screen(socket: WebSocket, screen: PageScreen) -> None:
    """Connect a page that shows blocks with the screen that it is; answer its pings.

    Parameters
    ----------
    socket : WebSocket
        To the page.
    screen : PageScreen
        Told what the page says, and what reaches the page.
    """
    loop = asyncio.get_running_loop()
    outbox: asyncio.Queue[str] = asyncio.Queue()

    def send(text: str) -> None:
        loop.call_soon_threadsafe(outbox.put_nowait, text)

    async def deliver() -> None:
        while True:
            text = await outbox.get()
            await socket.send_text(text)
            if text == TAKEN:
                raise _EndError(BUSY)

    async def listen() -> None:
        hello = _read(await socket.receive_text())
        if hello.get("type") != "hello":
            raise SettingsError(f"expected hello as a screen's first message, got {hello.get('type')!r}")
        if not screen.attach(send, hello):
            await socket.send_text(_text("busy", {}))
            raise _EndError(BUSY)
        while True:
            text = await socket.receive_text()
            now = local_clock()  # before all else: what a ping waits for here is an error of the clock
            message = _read(text)
            if message.get("type") == "ping":
                await socket.send_text(_text("pong", {"sent": message.get("sent"), "server": now}))
            else:
                screen.receive(message, send)

    await socket.accept()
    try:
        await _run(socket, listen(), deliver())
    finally:
        screen.detach(send)


async def serve_drive(socket: WebSocket, driving: Driving) -> None:
    """Send a page the newest of a drive whenever it is ready for more: a text, then a picture.

    A page that is slow, or hidden, asks less often; what it misses is never sent, and nothing waits in a queue.

    Parameters
    ----------
    socket : WebSocket
        To the page.
    driving : Driving
        What is on; told of key presses, and of when pictures were drawn.
    """
    ready = asyncio.Event()
    clock: ClockOffset | None = None

    async def listen() -> None:
        nonlocal clock
        while True:
            text = await socket.receive_text()
            now = local_clock()
            message = _read(text)
            kind = message.get("type")
            if kind == "ping":
                await socket.send_text(_text("pong", {"sent": message.get("sent"), "server": now}))
            elif kind == "clock":
                clock = estimate(_pings(message))
            elif kind == "press":
                # Until the clocks are compared, a press was when it came.
                driving.press(clock.to_server(number_in(message, "t")) if clock else now)
            elif kind == "ready":
                if clock is not None and message.get("run") is not None:
                    drawn = clock.to_server(number_in(message, "t"))
                    driving.shown(int(number_in(message, "run")), number_in(message, "time"), drawn)
                ready.set()

    async def deliver() -> None:
        version = run = known = 0
        while True:
            await ready.wait()
            news = await run_in_threadpool(driving.broadcast.news, version, run, known, 0.2)
            if news is None:
                continue
            ready.clear()
            version, run = news.version, news.run
            known = news.known
            told = {"run": run, "time": news.time, "instants": news.instants, "summary": news.summary}
            await socket.send_text(_text("news", told))
            await socket.send_bytes(news.picture)

    await socket.accept()
    await _run(socket, listen(), deliver())


class _EndError(Exception):
    """Ends a socket from our side."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


async def _run(socket: WebSocket, *jobs: Coroutine[Any, Any, None]) -> None:
    """Run what a socket does until one of its jobs ends it, or the page has gone."""
    ends: list[_EndError] = []
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except* WebSocketDisconnect:
        pass
    except* _EndError as raised:
        ends.extend(one for one in raised.exceptions if isinstance(one, _EndError))
    except* BrainloopError as raised:
        ends.extend(_EndError(WRONG, str(error)) for error in raised.exceptions)
    if ends:
        with suppress(WebSocketDisconnect):  # it may have gone by now
            await socket.close(ends[0].code, str(ends[0]).encode()[:MOST_REASON].decode(errors="ignore"))


def _read(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"expected a JSON object from the page: {error}") from error
    if not isinstance(message, dict):
        raise SettingsError(f"expected a JSON object from the page, got {type(message).__name__}")
    return message


def _pings(message: dict[str, Any]) -> FloatArray:
    try:
        return np.asarray(message.get("pings"), dtype=float)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"expected pings of three numbers each from the page: {error}") from error


def _text(kind: str, values: dict[str, Any]) -> str:
    return json.dumps({"type": kind, **values}, allow_nan=False)  # browsers read no NaN
