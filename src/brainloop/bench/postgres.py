"""A PostgreSQL server of one's own, for the tests and the bench: on a private port, in a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess  # PostgreSQL's own programs, by whole paths and with words of ours
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brainloop.errors import MissingExtraError, SettingsError, StudyError

__all__ = ["Postgres", "binaries", "private_postgres"]

USER = "brainloop"
"""The owner of everything on a private server."""

START_S = 60.0

STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
"""How a server is told to stop: PostgreSQL 15, section 19.5."""


class Postgres:
    """A private server.

    Use `private_postgres`.

    Parameters
    ----------
    folder : Path
        Where its data, its socket and its log lie.
    password : str or None
        Who must be asked for it; None lets in whoever is on this machine.
    settings : dict of str to str
        Of ``postgresql.conf``.
    """

    def __init__(self, folder: Path, password: str | None, settings: dict[str, str]) -> None:
        self.folder = folder
        self.port = _free_port()
        self.password = password
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = binaries()

    def url(self, database: str, user: str = USER) -> str:
        """Give the URL of a database, by the loopback, without a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a database, and give its URL."""
        self.execute(f'create database "{database}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever uses it."""
        self.execute(f'drop database if exists "{database}" with (force)')

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run a statement as the owner, outside of any transaction; give its rows."""
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtraError("psycopg", "postgres", "a private PostgreSQL server", error) from error
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname=database, password=self.password or "", autocommit=True
        ) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def make(self) -> None:
        """Make the server's data."""
        words: list[str | Path] = [self._binaries / "initdb", "-D", self.folder / "data", "-U", USER]
        words += ["-E", "UTF8", "--locale=C"]
        if self.password is None:
            words += ["--auth=trust"]
        else:
            secret = self.folder / "password"
            secret.write_text(self.password)
            _give(secret)
            words += ["--auth=scram-sha-256", f"--pwfile={secret}"]
        done = subprocess.run(words, capture_output=True, text=True, cwd="/", env=_plain(), check=False, **_as_user())  # noqa: S603
        if done.returncode:
            raise StudyError(f"PostgreSQL could not make its data in {self.folder}: {done.stderr.strip()}")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            **self._settings,
        }
        words: list[str | Path] = [self._binaries / "postgres", "-D", self.folder / "data"]
        words += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", env=_plain(), **_as_user())  # noqa: S603
        ready: list[str | Path] = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        start = time.monotonic()
        while subprocess.run(ready, env=_plain(), check=False).returncode:  # noqa: S603
            if self._process.poll() is not None or time.monotonic() - start > START_S:
                said = (self.folder / "log.txt").read_text(errors="replace").splitlines()[-5:]
                raise StudyError(f"PostgreSQL did not start in {self.folder}: {' / '.join(said)}")
            time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``smart`` waits for clients, ``fast`` sends them off, ``immediate`` is like a crash."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(STOPS[mode])
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, mode: str = "fast") -> None:
        """Stop the server and start it again, on the same port."""
        self.stop(mode)
        self.start()


@contextmanager
def private_postgres(
    folder: Path | None = None, *, password: str | None = None, settings: dict[str, str] | None = None
) -> Iterator[Postgres]:
    """Run a PostgreSQL server for as long as the block lasts.

    It listens on the loopback and on a socket in its folder. PostgreSQL refuses to run as root: where we are, it runs
    as the user ``postgres``.

    Parameters
    ----------
    folder : Path, optional
        New or empty; another, temporary one is taken where the server's user could not reach it, or by default.
    password : str, optional
        Of the owner, `USER`; by default nobody is asked for one.
    settings : dict of str to str, optional
        Of ``postgresql.conf``.

    Yields
    ------
    Postgres
        The server, started.

    Raises
    ------
    StudyError
        If PostgreSQL is not installed, or does not start.
    SettingsError
        If the folder is not empty.
    """
    binaries()
    own = folder is None or not _reachable(folder)
    place = Path(tempfile.mkdtemp(prefix="brainloop-postgres-")) if own or folder is None else folder
    place.mkdir(parents=True, exist_ok=True)
    if any(place.iterdir()):
        raise SettingsError(f"expected a new or empty folder for a PostgreSQL server, got {place}; name another")
    _give(place)
    server = Postgres(place, password, settings or {})
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        if own:
            shutil.rmtree(place, ignore_errors=True)


def binaries() -> Path:
    """Find the folder of PostgreSQL's programs.

    Raises
    ------
    StudyError
        If it is not installed.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    folders.sort(key=lambda path: path.parent.name.zfill(4), reverse=True)
    if asked := shutil.which("pg_config"):
        said = subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
        folders.append(Path(said))
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise StudyError(
        "expected PostgreSQL's programs (initdb, postgres) in PATH or /usr/lib/postgresql; install them, on Debian "
        "with: apt-get install postgresql"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _as_user() -> dict[str, Any]:
    """Say as whom PostgreSQL is run, where we are root."""
    if not _is_root():
        return {}
    import pwd  # not on Windows

    try:
        entry = pwd.getpwnam("postgres")
    except KeyError as error:
        raise StudyError(
            "PostgreSQL does not run as root, and there is no user 'postgres' here; run this as another user"
        ) from error
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    if _is_root():
        user = _as_user()
        os.chown(path, user["user"], user["group"])
        path.chmod(0o700 if path.is_dir() else 0o600)


def _reachable(folder: Path) -> bool:
    """Say whether the server's user could enter a folder's parents, and a socket's path there is short enough."""
    if len(str(folder.resolve())) > 80:  # 107 bytes are what a socket's path may have
        return False
    parents = [parent for parent in folder.resolve().parents if parent.exists()]
    return not _is_root() or all(parent.stat().st_mode & 0o001 for parent in parents)


def _plain() -> dict[str, str]:
    """Give our environment without what would lead PostgreSQL's programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
