import socket
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from brainloop.bench.postgres import private_postgres
from brainloop.errors import SettingsError, StudyError, UnreachableError
from brainloop.presentation.block import Block
from brainloop.store import Store

from .conftest import change, pool, response, rows


@pytest.fixture(scope="module")
def guarded(postgres):
    """A server that asks for a password."""
    with private_postgres(password="sesame", settings={"fsync": "off"}) as server:
        server.create("study")
        yield server


@pytest.fixture
def own(postgres):
    """A server of the test's own, to be stopped at will."""
    with private_postgres(settings={"fsync": "off"}) as server:
        yield server


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://127.0.0.1:{closed}/study", "cannot be reached: .*refused.*check that the server runs"),
        ("postgresql://no-such-host.invalid/study", "cannot be reached"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_at_once(postgres, url, expected):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError, match=expected):
            Store(url.format(closed=probe.getsockname()[1]))


@pytest.mark.parametrize("password", ["open barley", None])
def test_a_wrong_or_missing_password_is_told_from_a_server_that_is_not_there(guarded, monkeypatch, password):
    if password:
        monkeypatch.setenv("PGPASSWORD", password)
    with pytest.raises(StudyError, match=r"refused the name or the password.*\.pgpass") as refused:
        Store(guarded.url("study"))
    assert not isinstance(refused.value, UnreachableError)
    assert "barley" not in str(refused.value)


def test_the_password_comes_from_where_libpq_looks_for_it(guarded, monkeypatch, tmp_path):
    secrets = tmp_path / "pgpass"
    secrets.write_text(f"127.0.0.1:{guarded.port}:*:*:sesame\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secrets))
    store = Store(guarded.url("study"))
    with pytest.raises(StudyError, match="found an empty database; make one with: brainloop new"):
        store.fact("settings")
    store.close()


@pytest.mark.parametrize(
    "url", ["postgresql://ada:hunter2@host/study", "postgres://host/study?password=hunter2&user=ada"]
)
def test_a_url_with_a_password_is_refused_without_repeating_it(url):
    with pytest.raises(SettingsError, match="without a password") as refused:
        Store(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["mysql://host/study", "postgresql://host", "postgresql://host:port/study"])
def test_other_urls_are_refused(url):
    with pytest.raises(SettingsError, match="expected a store at a file"):
        Store(url)


def test_a_database_that_is_missing_names_the_command_that_makes_it(postgres):
    with pytest.raises(StudyError, match="make the database with: createdb no_such_study"):
        Store(postgres.url("no_such_study"))


def test_a_user_that_the_server_does_not_know_is_told_so(postgres, new_database):
    with pytest.raises(StudyError, match="lets nobody of that name"):
        Store(new_database().replace("brainloop@", "stranger@"))


def test_a_user_without_rights_is_told_what_to_ask_for(postgres, new_database, fill):
    url = new_database()
    postgres.execute("do $$ begin create role guest login; exception when duplicate_object then null; end $$")
    guest = Store(url.replace("brainloop@", "guest@"))
    with pytest.raises(StudyError, match="expected the right to read and write"):
        guest.create(pool(), [], {})
    guest.close()
    fill(url)
    with pytest.raises(StudyError, match="expected the right to read and write"):
        Store(url.replace("brainloop@", "guest@")).fact("settings")


def test_who_may_write_but_not_write_anew_is_told_that_an_erasure_is_not_whole(postgres, new_database, fill):
    url = new_database()
    store = fill(url)
    store.plan([Block(1, 1, (0,), 0.2)])
    store.answer(1, 0, response(person="ada"))
    postgres.execute("do $$ begin create role guest login; exception when duplicate_object then null; end $$")
    change(store, "grant all on all tables in schema public to guest")
    guest = Store(url.replace("brainloop@", "guest@"))
    with pytest.raises(StudyError, match="only the owner of its tables can"):
        guest.forget_person("ada")
    guest.close()
    assert store.people() == {}


def test_short_names_of_the_scheme_and_other_options_are_understood(new_database, fill, opened):
    url = new_database()
    fill(url)
    store = opened(url.replace("postgresql://", "postgres://") + "?sslmode=prefer&options=-c%20work_mem%3D8MB")
    assert store.is_shared
    assert store.name.startswith("postgresql://brainloop@127.0.0.1")
    assert rows(store, "show work_mem") == [("8MB",)]
    assert rows(store, "show synchronous_commit") == [("on",)]


def test_a_server_without_room_says_that_nothing_is_lost(new_database, fill):
    """The server itself says so, by a trigger: to fill a disk would hinder others."""
    store = fill(new_database())
    store.plan([Block(1, 1, (0, 1), 0.2)])
    store.answer(1, 0, response())
    change(
        store,
        "create function full_disk() returns trigger language plpgsql as $$ begin "
        "raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$",
    )
    change(store, "create trigger full_disk before insert on response execute function full_disk()")
    with pytest.raises(StudyError, match=r"expected room for more.*kept: make room, and go on"):
        store.answer(1, 1, response())
    change(store, "drop trigger full_disk on response")
    store.answer(1, 1, response())
    assert store.looks().image.tolist() == [0, 1]


def test_a_server_that_stays_away_is_given_up_after_a_while_and_nothing_is_lost(own):
    store = Store(own.create("study"), patience_s=0.5)
    store.create(pool(), [], {})
    store.plan([Block(1, 1, (0, 1), 0.2)])
    store.answer(1, 0, response())
    own.stop()
    with pytest.raises(UnreachableError, match="Nothing that was answered is lost"):
        store.answer(1, 1, response())
    own.start()
    store.answer(1, 1, response())
    assert store.looks().image.tolist() == [0, 1]
    store.close()


def test_no_look_is_lost_or_doubled_when_the_server_restarts_in_their_midst(own):
    """Fast and immediate: clients sent off, and a crash with recovery."""
    url, n_blocks, n_images = own.create("study"), 8, 25
    first = Store(url)
    first.create(pool(n_images), [], {})
    failed, done = [], threading.Event()

    def look(name):
        store = Store(url)
        try:
            store.enter(name)
            for _ in range(n_blocks):
                store.plan([Block(1, 1, tuple(range(n_images)), 0.2)], name, overlap=True)
                ((block, answered),) = store.blocks_of(name)
                assert answered == 0
                for position in range(n_images):
                    shown = replace(response(block.number + position / 100), source=f"{name}#{block.number}")
                    store.answer(block.number, position, shown, name)
                store.renew(name)
        except Exception as error:
            failed.append(error)
        finally:
            store.close()

    def train():
        while not done.is_set():
            with first.training() as ours:
                assert ours
                if first.waiting():
                    first.begin_round()
            time.sleep(0.05)

    threads = [threading.Thread(target=look, args=(name,)) for name in ("left", "right", "third")]
    trainer = threading.Thread(target=train)
    for thread in [*threads, trainer]:
        thread.start()
    for mode in ("fast", "immediate", "fast", "immediate"):
        time.sleep(0.4)
        own.restart(mode)
    for thread in threads:
        thread.join()
    done.set()
    trainer.join()
    assert failed == []
    looks = first.looks()
    assert looks.image.size == 3 * n_blocks * n_images
    assert len(set(zip(looks.block.tolist(), looks.position.tolist(), strict=True))) == looks.image.size
    assert looks.evidence.tolist() == [b + p / 100 for b, p in zip(looks.block, looks.position, strict=True)]
    assert len(first.blocks()) == 3 * n_blocks
    assert rows(first, "select count(*) from lease") == [(0,)]
    if first.waiting():
        first.begin_round()
    assert first.begun() == list(range(1, first.open_round()))
    first.close()


class Cutter:
    """A network between a client and the server that lets a commit through and loses its acknowledgement."""

    def __init__(self, port):
        self.port, self.cuts_left, self.cut = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            committing = threading.Event()
            threading.Thread(target=self.forward, args=(client, server, committing, True), daemon=True).start()
            threading.Thread(target=self.forward, args=(server, client, committing, False), daemon=True).start()

    def forward(self, source, sink, committing, from_client):
        while True:
            try:
                data = source.recv(65536)
                if from_client and b"COMMIT" in data and self.cuts_left:
                    committing.set()
                elif not from_client and committing.is_set() and self.cuts_left:
                    self.cuts_left, self.cut, data = self.cuts_left - 1, self.cut + 1, b""
                if data:
                    sink.sendall(data)
                    continue
            except OSError:
                pass
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            return


def test_a_write_whose_acknowledgement_was_lost_is_not_done_twice(postgres, new_database, fill, opened):
    url, network = new_database(), Cutter(postgres.port)
    seen = fill(url)
    store = opened(url.replace(str(postgres.port), str(network.listener.getsockname()[1])))
    network.cuts_left = 2
    store.plan([Block(1, 1, (0, 1), 0.2)])
    network.cuts_left = 1
    store.answer(1, 0, response())
    store.answer(1, 1, response())
    network.cuts_left = 1
    assert store.begin_round() == 1
    network.listener.close()
    assert network.cut == 4
    assert seen.blocks() == [(Block(1, 1, (0, 1), 0.2), 2)]
    assert (seen.begun(), seen.open_round()) == ([1], 2)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_names_are_taken_again_after_a_restart(own, mode):
    url = own.create("study")
    store, other = Store(url), Store(url, patience_s=5)
    store.create(pool(), [], {})
    store.enter("left")
    own.restart(mode)
    store.renew("left")
    other = Store(url)
    with pytest.raises(StudyError, match="another process is the station 'left'"):
        other.enter("left")
    own.restart(mode)
    other.enter("left")
    with pytest.raises(StudyError, match="another process is the station 'left'"):
        store.renew("left")
    store.close()
    other.close()
