import os
import stat

import pytest

from brainloop.bench import postgres
from brainloop.bench.postgres import binaries, private_postgres
from brainloop.errors import SettingsError, StudyError


@pytest.fixture(scope="module", autouse=True)
def installed():
    try:
        binaries()
    except StudyError as error:
        pytest.skip(f"PostgreSQL is not installed here: {error}")


def test_a_private_server_lives_in_its_folder_and_goes_with_it():
    with private_postgres(settings={"fsync": "off"}) as server:
        folder = server.folder
        assert server.create("study") == server.url("study") == f"postgresql://brainloop@127.0.0.1:{server.port}/study"
        assert (folder / f".s.PGSQL.{server.port}").exists()
        assert server.execute("show listen_addresses") == [("127.0.0.1",)]
        server.restart("immediate")
        assert server.execute("select count(*) from pg_database where datname = 'study'") == [(1,)]
        server.drop("study")
        assert server.execute("select count(*) from pg_database where datname = 'study'") == [(0,)]
    assert not folder.exists()


def test_a_folder_that_the_servers_user_can_reach_is_used_and_kept(tmp_path):
    folder = tmp_path / "server"
    with private_postgres(folder, password="sesame", settings={"fsync": "off"}) as server:
        reachable = os.geteuid() or all(one.stat().st_mode & stat.S_IXOTH for one in folder.parents)
        assert (server.folder == folder) == bool(reachable and len(str(folder)) <= 80)
        server.password = "wrong"
        with pytest.raises(Exception, match="password authentication failed"):
            server.execute("select 1")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "_reachable", lambda _: True)
    (tmp_path / "theirs.txt").write_text("mine")
    with pytest.raises(SettingsError, match="new or empty folder"), private_postgres(tmp_path):
        pass
    assert (tmp_path / "theirs.txt").read_text() == "mine"


def test_a_machine_without_postgresql_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres.Path, "glob", lambda *_: iter(()))
    with pytest.raises(StudyError, match="apt-get install postgresql"):
        binaries()
