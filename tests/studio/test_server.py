import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from brainloop.cli import app
from brainloop.errors import SettingsError
from brainloop.studio.server import listen

STUDIO = [sys.executable, "-m", "brainloop", "studio", "--no-browser"]


def get(host, port, target, **headers):
    connection = HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_link_opens_the_first_page_and_ctrl_c_ends_all_in_good_order(tmp_path, stop):
    with subprocess.Popen(
        [*STUDIO, "--home", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            link = urlsplit(process.stdout.readline().removeprefix("Studio: ").strip())
            assert link.hostname == "127.0.0.1"
            # The link is shown before the server runs, and good from then on: the browser may be fast.
            led = get(link.hostname, link.port, f"/?{link.query}")
            assert (led.status, led.headers["location"]) == (303, "/")
            page = get(link.hostname, link.port, "/", cookie=led.headers["set-cookie"].split(";")[0])
            assert page.status == 200
        finally:
            process.send_signal(stop)
        rest = process.stdout.read()  # not `communicate`, which would lose what `readline` has read ahead
        process.wait(30)
    assert rest.splitlines() == ["Ctrl-C ends it; nothing is lost.", "The studio is closing."]
    assert process.returncode == 0


def test_nothing_heavy_is_imported_before_the_first_page():
    heavy = [
        "torch",
        "mne",
        "sklearn",
        "scipy",
        "sqlalchemy",
        "onnxruntime",
        "plotly",
        "matplotlib",
        "pyriemann",
        "PIL",
    ]
    script = "import sys, brainloop.studio.server; print([m for m in sys.argv[1:] if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_study_that_is_not_there_is_said_at_once(tmp_path):
    ran = subprocess.run([*STUDIO, str(tmp_path / "none")], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("StudyError:")


def test_a_port_that_is_taken_is_an_error_that_says_so():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1 port {port}: .*choose another"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_an_error_that_says_so(port):
    with pytest.raises(SettingsError, match="choose another"):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_at_once_are_refused(host):
    with pytest.raises(SettingsError, match="expected one address"):
        listen(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_only_the_loopback_is_listened_on(host):
    with listen(host, 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.family is socket.AF_INET


def test_small_answers_are_sent_at_once():
    # Where asyncio does not know that a socket is TCP, it leaves Nagle's algorithm on: 40 ms an image.
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_help_says_what_the_studio_does():
    shown = CliRunner().invoke(app, ["studio", "--help"], terminal_width=200)
    assert shown.exit_code == 0
    for word in ("STUDY", "--home", "--host", "--port", "--no-browser"):
        assert word in shown.output
