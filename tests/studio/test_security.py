import json
import shutil
import string

import pytest
from playwright.sync_api import sync_playwright
from websockets.exceptions import InvalidStatus

from brainloop.studio.security import HEADERS, new_token

EVERYTHING = [
    "/",
    "/api/state",
    "/api/gallery",
    "/image/1/thumb",
    "/export/report.html",
    "/static/plotly.min.js",
    "/no",
]
TOKEN = "the-key-of-this-test"


@pytest.mark.parametrize("target", EVERYTHING)
@pytest.mark.parametrize("cookie", [None, "brainloop-{port}=wrong", "brainloop={token}", "brainloop-{port}="])
def test_nothing_is_served_without_the_key(served, target, cookie):
    answer = served.ask(target, cookie=cookie and cookie.format(port=served.port, token=TOKEN))
    assert answer.status == 403
    assert b"printed in the terminal" in answer.body


@pytest.mark.parametrize("target", ["/?token=wrong", "/?token=", "/?token=%ff%00", "/api/state?token=" + TOKEN])
def test_a_wrong_link_and_a_link_to_elsewhere_open_nothing(served, target):
    answer = served.ask(target, cookie=None)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_no_command_is_taken_without_the_key(served):
    answer = served.post("mode", {"mode": "keyboard"}, cookie=None)
    assert answer.status == 403
    assert answer.json()["kind"] == "Forbidden"
    assert ("set_mode", "keyboard") not in served.session.told


def test_the_link_sets_a_cookie_that_scripts_and_other_sites_do_not_get_and_leaves_the_address_bar(served):
    answer = served.ask(f"/?token={TOKEN}", cookie=None)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert cookie == served.cookie
    assert {one.lower() for one in attributes} == {"httponly", "samesite=strict", "path=/"}
    assert served.ask("/", cookie=cookie).status == 200


def test_what_other_programs_on_this_machine_put_into_cookies_locks_nobody_out(served):
    assert served.ask("/api/state", cookie=f'odd={{"a": [1, 2]}}; {served.cookie}; =;;').status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", None])
def test_a_foreign_host_is_refused(served, host):
    answer = served.ask("/api/state", host=host and host.format(port=served.port))
    assert answer.status in (400, 421)  # without any host it is no HTTP/1.1


@pytest.mark.parametrize("host", ["localhost:{port}", "[::1]:{port}", "LOCALHOST:{port}"])
def test_every_name_of_the_loopback_is_good(served, host):
    assert served.ask("/api/state", host=host.format(port=served.port)).status == 200


FOREIGN = [
    "http://evil.example",
    "null",
    "http://127.0.0.1:1",
    "https://127.0.0.1:{port}",
    "http://localhost:{port}",
    "",
]


@pytest.mark.parametrize("origin", [*FOREIGN, None])
def test_a_command_of_a_foreign_origin_or_of_none_is_refused(served, origin):
    before = list(served.session.told)
    assert served.post("mode", {"mode": "both"}, origin=origin and origin.format(port=served.port)).status == 403
    assert served.session.told == before


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_may_not_even_read(served, origin):
    assert served.ask("/api/state", origin=origin.format(port=served.port)).status == 403


@pytest.mark.parametrize("name", ["events", "screen"])
@pytest.mark.parametrize(
    "wrong",
    [{"cookie": None}, {"cookie": "brainloop-1=x"}, {"origin": None}, {"origin": "http://evil.example"}],
    ids=str,
)
def test_no_socket_opens_without_key_and_own_origin(served, name, wrong):
    with pytest.raises(InvalidStatus) as refused, served.socket(name, **wrong):
        pass
    assert refused.value.response.status_code == 403


def test_no_socket_opens_for_a_foreign_host(served):
    host = f"evil.example:{served.port}"  # as if a foreign page had made its name point to this machine
    with pytest.raises(InvalidStatus), served.socket("events", host=host, origin=f"http://{host}"):
        pass


def test_every_response_carries_the_headers_that_fence_it_in(served):
    served.session.export(["report.html"])
    answers = [served.ask(target) for target in EVERYTHING]
    answers += [
        served.ask("/", cookie=None),
        served.ask(f"/?token={TOKEN}", cookie=None),
        served.ask("/", host="evil.example"),
        served.post("mode", {"mode": "both"}),
        served.post("mode", {"mode": 1}),
        served.post("watch/start"),
        served.post("no/such"),
        served.ask("/api/state", "DELETE"),
        served.post("mode", {"mode": "x" * 2_000_000}),
    ]
    assert {answer.status for answer in answers} == {200, 303, 400, 403, 404, 405, 413, 421, 500}
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "no-store" in answer.headers["cache-control"] or "no-cache" in answer.headers["cache-control"]
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
    assert "http" not in policy


UP = ["..", "%2e%2e", "%2E.", "..%00", "....", "..;"]


@pytest.mark.parametrize("slash", ["/", "%2f", "\\", "%5c", "//"])
@pytest.mark.parametrize("up", UP)
@pytest.mark.parametrize("root", ["/static/", "/export/", "/image/", "/image/1/"])
def test_no_way_leads_out_of_what_is_served(served, root, up, slash):
    served.session.export(["report.html"])
    (served.session.out.parent / "study.toml").write_text("secret")
    for path in (f"{up}{slash}study.toml", f"{up}{slash}app.py", f"{up}{slash}{up}{slash}etc{slash}passwd"):
        answer = served.ask(root + path)
        assert answer.status in (400, 404, 405)
        assert not {b"secret", b"import", b"root:"} & set(answer.body.split())


@pytest.mark.parametrize(
    "target", ["/static//etc/passwd", "/export//etc/passwd", "/static/%2fetc%2fpasswd", "/export/"]
)
def test_no_absolute_path_is_served(served, target):
    assert served.ask(target).status == 404


def test_a_body_that_is_too_long_is_refused(served):
    answer = served.post("mode", {"mode": "x" * 1_000_001})
    assert (answer.status, answer.json()["kind"]) == (413, "Request Entity Too Large")


def test_a_body_that_does_not_say_how_long_it_is_is_refused_once_it_is_too_long(served):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = served.ask("/api/mode", "POST", 17 * chunk + b"0\r\n\r\n", transfer_encoding="chunked")
    assert answer.status == 413


def test_a_body_in_chunks_is_put_together(served):
    body = json.dumps({"mode": "keyboard"}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    assert served.ask("/api/mode", "POST", chunks + b"0\r\n\r\n", transfer_encoding="chunked").status == 200
    assert served.session.told[-1] == ("set_mode", "keyboard")


def test_a_real_browser_that_follows_the_link_can_do_all_that_the_page_needs_and_sees_no_key(served):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine: the studio is not opened in a real browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        blocked = []
        page.on("console", lambda message: blocked.append(message.text) if "Security" in message.text else None)
        page.goto(f"{served.origin}/?token={TOKEN}")
        assert page.url == f"{served.origin}/"
        assert page.evaluate("[crossOriginIsolated, document.cookie]") == [True, ""]
        mode = "fetch('/api/mode', {method: 'POST', body: '{\"mode\": \"both\"}'}).then(answer => answer.status)"
        assert page.evaluate(mode) == 200
        socket = "new Promise((open, no) => Object.assign(new WebSocket('/ws/screen'), {onopen: open, onerror: no}))"
        page.evaluate(f"{socket}.then(() => 1)")
        assert blocked == []
        # A page of another site, which this browser sends no cookie for and whose scripts get no answer.
        page.goto("data:text/html,<title>elsewhere</title>")
        assert page.evaluate(f"fetch('{served.origin}/api/state').then(() => 'got it', () => 'refused')") == "refused"
        browser.close()


def test_keys_are_long_and_never_the_same():
    keys = {new_token() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) >= 43 and set(key) <= set(string.ascii_letters + string.digits + "-_") for key in keys)
