"""The studio as a process: a port, a link, a browser."""

import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from brainloop.eeg.lsl import quiet_liblsl
from brainloop.errors import SettingsError
from brainloop.studio.app import make_app
from brainloop.studio.security import new_token, url_host
from brainloop.studio.session import Session

__all__ = ["listen", "make_server", "serve"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")

ANY = ("0.0.0.0", "::")  # noqa: S104

MOST_MESSAGE = 1_000_000
"""Bytes of one message of a socket: the longest holds a hundred pings."""


def serve(
    home: Path,
    study: Path | None,
    markers: str | None = None,
    station: str | None = None,
    *,
    host: str,
    port: int,
    browse: bool,
    page: str = "/",
    told: Callable[[str], None],
) -> None:
    """Serve the studio until Ctrl-C.

    Parameters
    ----------
    home : Path
        The folder of studies.
    study : Path or None
        One to open at once.
    markers : str or None
        Of software that shows the images in place of the page; see `ExternalScreen`.
    station : str or None
        This station's name, in studies that stations share; that of the machine by default.
    host : str
        Address to listen on.
    port : int
        0 for any that is free.
    browse : bool
        Whether to open a browser.
    page : str
        That the link leads to: ``/``, or ``/drive`` with what to begin with, such as ``/drive?seed=1&start=1``.
    told : callable
        Called with lines for the terminal: the link, first of all.

    Raises
    ------
    SettingsError
        If it cannot listen on this address and port.
    StudyError
        If the study cannot be opened.
    """
    quiet_liblsl()
    with listen(host, port) as listener:
        session = Session(home, study, markers, station)
        port, token = listener.getsockname()[1], new_token()
        link = f"http://{url_host(host)}:{port}{page}{'&' if '?' in page else '?'}token={token}"
        told(f"Studio: {link}")
        if host not in LOOPBACK:
            told(
                f"Whoever reaches {host} on the network and has this link can look and record: http is not encrypted. "
                "Browsers give such a page a coarser clock: onsets are best on the machine itself."
            )
        told("Ctrl-C ends it; nothing is lost.")
        if browse:
            threading.Thread(target=webbrowser.open, args=(link,), name="browser", daemon=True).start()
        # Both shall arrive as an exception once the server has ended, also where a shell let us ignore one of them.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            make_server(session, token, host, port).run(sockets=[listener])
        except KeyboardInterrupt:
            told("The studio is closing.")
        finally:
            session.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; who connects is served as soon as there is a server.

    Raises
    ------
    SettingsError
        If the port is taken or the address is not this machine's, or stands for all of its addresses.
    """
    if host in ANY:
        raise SettingsError(
            f"expected one address of this machine as --host, got {host}, which stands for all of them; "
            "give that by which the other machine reaches this one"
        )
    # asyncio sends at once (TCP_NODELAY) only where a socket says that it is TCP; an answer would else wait for 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise SettingsError(f"cannot listen on {host} port {port}: {error}; choose another --host or --port") from error
    listener.listen(128)  # the browser may be faster than the server
    return listener


def make_server(session: Session, token: str, host: str, port: int) -> uvicorn.Server:
    """Make the server of a session.

    Parameters
    ----------
    session : Session
        What is served.
    token : str
        The key that every request must bring.
    host : str
        What it listens on.
    port : int
        Its port.
    """
    config = uvicorn.Config(
        make_app(session, token, host, port),
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,  # a ping shall wait for nothing
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        lifespan="off",
    )
    return uvicorn.Server(config)
