import json

import pytest
from websockets.exceptions import ConnectionClosed

from brainloop.eeg.lsl import local_clock

HELLO = {"type": "hello", "refresh_hz": 60.0, "width": 1280, "height": 720}


def say(socket, **message):
    socket.send(json.dumps(message))


def hear(socket):
    return json.loads(socket.recv(timeout=10))


def test_the_page_holds_the_state_and_refers_to_nothing_that_is_not_here(served):
    page = served.ask("/").body.decode()
    assert "activity" in page
    assert "http" not in page.replace("http-equiv", "")
    refered = [part.split('"')[0] for part in page.split('"/static/')[1:]]
    assert refered
    for name in refered:
        assert served.ask(f"/static/{name}").status == 200


def test_plotly_comes_from_its_wheel_and_is_sent_once(served):
    answer = served.ask("/static/plotly.min.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert b"plotly.js v" in answer.body[:1000]
    assert served.ask("/static/plotly.min.js", if_none_match=answer.headers["etag"]).status == 304


def test_the_state_is_served(served):
    assert served.ask("/api/state").json() == served.session.state()


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("study/create", {"name": "a", "target": "c"}, ("create_study", {"name": "a", "target": "c"})),
        ("study/close", {}, ("close_study",)),
        ("study/examples", {"targets": [1, 2], "others": [3]}, ("set_examples", None, [1, 2], [3])),
        ("study/examples", {"target": "a", "targets": [1], "others": []}, ("set_examples", "a", [1], [])),
        ("person", {"name": " Ada ", "consent": True, "no_epilepsy": True}, ("set_person", "Ada", True, True)),
        ("person", {"name": "Ada"}, ("set_person", "Ada", False, False)),
        ("person", {"name": "Ada", "consent": 1, "no_epilepsy": "yes"}, ("set_person", "Ada", False, False)),
        ("headset/connect", {"id": "one"}, ("connect_headset", "one")),
        ("mode", {"mode": "both"}, ("set_mode", "both")),
        ("patch", {"on": False}, ("set_patch", False)),
        ("calibrate/start", {}, ("start_calibration",)),
        ("calibrate/stop", {}, ("stop",)),
        ("watch/stop", {}, ("stop",)),
        ("calibrate/accept", {"anyway": True}, ("accept_calibration", True)),
        ("calibrate/accept", {}, ("accept_calibration", False)),
        ("correct", {"image": 7, "is_target": True}, ("correct", 7, None, True)),
        ("correct", {"image": 7, "is_target": None}, ("correct", 7, None, None)),
        ("correct", {"image": 7, "target": "not a", "is_target": False}, ("correct", 7, "not a", False)),
    ],
)  # fmt: skip
def test_a_command_reaches_the_session_and_is_answered_with_the_state(served, name, values, told):
    answer = served.post(name, values)
    assert served.session.told[-1] == told
    assert (answer.status, answer.json()) == (200, served.session.state())


def test_commands_that_ask_are_answered_with_what_they_ask_for(served):
    assert served.post("headset/list").json() == {"headsets": [{"id": "one"}]}
    assert served.post("person/forget", {"name": "Ada"}).json() == {
        "went": [["sessions of Ada", 2]],
        "state": served.session.state(),
    }


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("study/open", {}),
        ("study/open", {"folder": 3}),
        ("study/examples", {"targets": [1], "others": "2"}),
        ("study/examples", {"targets": [True], "others": []}),
        ("person", {"name": " "}),
        ("mode", {"mode": ["both"]}),
        ("patch", {"on": 1}),
        ("patch", {}),
        ("correct", {"image": 1}),
        ("correct", {"image": "1", "is_target": True}),
        ("correct", {"image": 1, "is_target": 1}),
        ("correct", {"image": 1, "target": 2, "is_target": True}),
        ("study/classes", {"images": ""}),
        ("study/classes", {"images": "/no/such/folder"}),
        ("export", {"what": "labels"}),
    ],
)
def test_values_that_do_not_fit_are_refused_by_their_name(served, name, values):
    before = list(served.session.told)
    answer = served.post(name, values)
    assert (answer.status, answer.json()["kind"]) == (400, "SettingsError")
    assert "expected" in answer.json()["error"]
    assert served.session.told == before


@pytest.mark.parametrize("body", [b"[1]", b"{", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(served, body):
    answer = served.ask("/api/mode", "POST", body)
    assert (answer.status, answer.json()["kind"]) == (400, "SettingsError")


def test_an_error_is_json_with_its_message_and_kind(served):
    answer = served.post("study/open", {"folder": "x"})
    assert (answer.status, answer.json()) == (400, {"error": "there is no study at x", "kind": "StudyError"})
    answer = served.post("headset/disconnect")
    assert (answer.status, answer.json()["kind"]) == (500, "OSError")
    assert "No space left" in answer.json()["error"]
    answer = served.post("watch/start")
    assert (answer.status, answer.json()) == (500, {"error": "a fault of our own", "kind": "RuntimeError"})


def test_what_is_not_there_is_404_and_what_one_may_not_do_there_405_as_json(served):
    for answer in (served.ask("/nowhere"), served.post("no/such"), served.ask("/export/none"), served.ask("/static/x")):
        assert (answer.status, answer.json()["kind"]) == (404, "Not Found")
    assert (served.ask("/api/mode").status, served.post("state").status) == (405, 404)


def test_the_gallery_is_asked_for_in_pages(served):
    asked = served.ask("/api/gallery?order=unsure&part=test&offset=400&limit=100").json()["asked"]
    assert asked == ["unsure", "test", 400, 100]
    assert served.ask("/api/gallery").json()["asked"] == ["probability", "pool", 0, 200]
    for wrong in ("offset=-1", "offset=x", "limit=1e3", "limit=", "limit=99999999999"):
        assert served.ask(f"/api/gallery?{wrong}").status == 400


def test_findings_and_piles_are_asked_for_in_pages(served):
    assert served.ask("/api/findings?verdict=open&limit=7").json() == {"asked": ["open", 0, 7]}
    assert served.ask("/api/piles?pile=target&offset=5").json() == {"asked": ["target", 5, 200]}
    assert served.ask("/api/piles?offset=x").status == 400


def test_class_folders_are_listed_with_how_many_files_they_hold(served, tmp_path):
    for name, n in (("tulips", 3), ("roses", 1), (".hidden", 2)):
        (tmp_path / name).mkdir()
        for k in range(n):
            (tmp_path / name / f"{k}.jpg").touch()
    (tmp_path / "labels.csv").touch()
    listed = served.post("study/classes", {"images": str(tmp_path)}).json()
    assert listed == {"classes": [{"name": "roses", "images": 1}, {"name": "tulips", "images": 3}]}


def test_exports_are_listed_and_downloaded_and_never_opened_as_a_page(served):
    files = served.post("export", {"what": ["labels.csv", "a report.html"]}).json()["files"]
    assert {"name": "a report.html", "bytes": 22, "url": "/export/a%20report.html", "made_by": "a report"} in files
    assert served.ask("/api/exports").json() == {"choices": [{"name": "labels"}], "files": files}
    answer = served.ask("/export/a%20report.html")
    assert answer.body == b"<h1>a report.html</h1>"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_people_are_listed(served):
    assert served.ask("/api/people").json() == {"people": [{"name": "ada", "looks": 3}]}


def test_the_state_is_pushed_at_first_and_whenever_it_has_changed(served):
    with served.socket("events") as socket:
        first = hear(socket)
        assert (first["type"], first["state"]) == ("state", served.session.state())
        served.session.activity.touch()
        assert hear(socket)["state"]["version"] == first["state"]["version"] + 1


def test_traces_come_only_while_they_are_watched(served):
    served.session.drawn = {"t": 1.0, "sfreq": 100.0, "channels": ["Cz"], "uv": [[1.5]]}
    with served.socket("events") as socket:
        assert hear(socket)["type"] == "state"
        say(socket, type="watch_traces", on=True)
        assert hear(socket) == {"type": "traces", **served.session.drawn}
        say(socket, type="watch_traces", on=False)
        for _ in range(20):  # those on their way still come
            try:
                socket.recv(timeout=0.5)
            except TimeoutError:
                break
        else:
            pytest.fail("traces go on")


def test_nothing_is_compressed_on_a_socket(served):
    with served.socket("screen") as socket:
        assert "sec-websocket-extensions" not in socket.response.headers


def test_a_ping_is_answered_with_our_clock(served):
    with served.socket("screen") as socket:
        say(socket, **HELLO)
        for sent in (1.7e12 + 0.123, 5):
            before = local_clock()
            say(socket, type="ping", sent=sent)
            pong = hear(socket)
            assert (pong["type"], pong["sent"]) == ("pong", sent)
            assert before <= pong["server"] <= local_clock()


def test_the_screen_hears_the_page_and_the_page_the_screen(served, eventually):
    screen = served.session.stage.screen
    eventually(lambda: not screen.connected)  # the page of the test before may still be on its way out
    screen.begin({"a rose": ()})
    with served.socket("screen") as socket:
        say(socket, **HELLO)
        eventually(lambda: screen.connected)
        assert screen.refresh_hz == 60.0
        say(socket, type="press", t=3.5)
        heard = []
        eventually(lambda: heard.extend(screen.take(0.1)) or len(heard) == 2)
        assert heard == [{"type": "attached"}, {"type": "press", "t": 3.5}]
        screen.tell({"type": "rest", "seconds": 5})
        assert hear(socket) == {"type": "rest", "seconds": 5}
    eventually(lambda: not screen.connected)


def test_a_second_screen_is_told_that_there_is_one_and_may_take_over(served, eventually):
    screen = served.session.stage.screen
    eventually(lambda: not screen.connected)
    with served.socket("screen") as first:
        say(first, **HELLO)
        eventually(lambda: screen.connected)
        with served.socket("screen") as second:
            say(second, **HELLO)
            assert hear(second) == {"type": "busy"}
            with pytest.raises(ConnectionClosed):
                second.recv(timeout=10)
            assert second.close_code == 4409
        with served.socket("screen") as third:
            say(third, **HELLO, take_over=True)
            assert hear(first) == {"type": "taken"}
            with pytest.raises(ConnectionClosed):
                first.recv(timeout=10)
            assert first.close_code == 4409
            screen.tell({"type": "over", "text": "enough"})
            assert hear(third)["text"] == "enough"
            assert screen.connected
    eventually(lambda: not screen.connected)


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "ping"}', '{"type": "hello"}', "[" * 100_000])
def test_a_screen_that_says_no_hello_is_closed_with_the_reason(served, text):
    with served.socket("screen") as socket:
        socket.send(text)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        assert socket.close_code == 1008
        assert socket.close_reason.startswith("expected")
    assert not served.session.stage.screen.connected


def test_a_message_that_is_too_long_closes_the_socket(served):
    with served.socket("screen") as socket:
        say(socket, **HELLO, more="x" * 1_000_001)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        assert socket.close_code == 1009
