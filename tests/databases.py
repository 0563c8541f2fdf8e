"""Throw-away databases: an SQLite file a test, and one PostgreSQL cluster a session.

A test that takes `database_url` runs on both databases, each time on a new, migrated one; in a
module with `DATABASES` on those alone. `empty_database_url` gives one without any table.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy import Engine

from mailcare.records.schema import upgrade
from mailcare.records.session import engine_for
from tests.surroundings import without

DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")
OWNER = "postgres"  # initdb and postgres refuse to run as root
BOTH = ["sqlite", "postgresql"]
_numbers = count(1)


@dataclass
class Cluster:
    """A running PostgreSQL server that listens on a Unix socket in `folder` only."""

    folder: Path
    server: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        return f"postgresql://mailcare@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        connection = psycopg2.connect(host=self.folder, user="mailcare", dbname="postgres")
        try:
            connection.autocommit = True
            connection.cursor().execute(statement)
        finally:
            connection.close()

    def cut(self, name: str) -> None:
        """End every connection to a database, as a restart of the server does."""
        self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    def kill(self) -> None:
        """Kill every process of the server at once, as the kernel does where memory runs out."""
        server = psutil.Process(self.server.pid)
        parts = [server, *server.children()]
        for one in parts:
            with suppress(psutil.NoSuchProcess):  # it has ended by itself
                one.kill()
        self.server.wait(30)
        for one in parts:  # the memory of one that still ends keeps the next server from starting
            with suppress(psutil.NoSuchProcess):
                while one.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.01)

    def start_again(self) -> None:
        self.server = _start(self.folder)

    @contextmanager
    def new(self, template: str) -> Iterator[str]:
        """Create a database from a template and yield its name; drop it at the end."""
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield name
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def quick_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mailcare-db-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql_cluster(quick_folder: Path) -> Iterator[Cluster]:
    with _cluster(quick_folder / "postgresql") as cluster:
        yield cluster


@pytest.fixture
def mortal_cluster(quick_folder: Path) -> Iterator[Cluster]:
    """Yield a server of the test's own, which it may kill and start again."""
    with _cluster(quick_folder / f"mortal_{next(_numbers)}") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgresql_template(postgresql_cluster: Cluster) -> Iterator[str]:
    with postgresql_cluster.new("template0") as name:
        upgrade(postgresql_cluster.url(name))
        yield name


@pytest.fixture(scope="session")
def sqlite_template(quick_folder: Path) -> Path:
    file = quick_folder / "template.db"
    upgrade(f"sqlite:///{file}")
    return file


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a database on those of its module, both where it names none.

    What stands above the steps names one: where databases differ is tried on both, below.
    """
    marks = metafunc.definition.iter_markers("parametrize")
    own = {name for mark in marks for name in str(mark.args[0]).split(",")}
    if "database_url" in metafunc.fixturenames and "database_url" not in own:
        names = getattr(metafunc.module, "DATABASES", BOTH)
        metafunc.parametrize("database_url", names, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of a new database at the head of the migrations."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        with _new_file(template.parent) as file:
            shutil.copy(template, file)
            yield f"sqlite:///{file}"
    else:
        cluster = request.getfixturevalue("postgresql_cluster")
        with cluster.new(request.getfixturevalue("postgresql_template")) as name:
            yield cluster.url(name)


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[str]:
    """Yield the URL of a database without tables."""
    if request.param == "sqlite":
        with _new_file(quick_folder) as file:
            yield f"sqlite:///{file}"
    else:
        cluster = request.getfixturevalue("postgresql_cluster")
        with cluster.new("template0") as name:
            yield cluster.url(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Yield an engine over a new, migrated database; a lock is waited for half a second."""
    engine = engine_for(database_url, busy_timeout_s=0.5)
    yield engine
    engine.dispose()


def _programs() -> Path:
    found = sorted(DEBIAN_POSTGRESQL.glob("*/bin/initdb"), key=_major_version)
    if not found:
        without(f"PostgreSQL's server programs under {DEBIAN_POSTGRESQL} (Debian: postgresql)")
    if os.geteuid() == 0 and OWNER not in {user.pw_name for user in pwd.getpwall()}:
        without(f"the user {OWNER}, as PostgreSQL does not run as root")
    return found[-1].parent


@contextmanager
def _new_file(folder: Path) -> Iterator[Path]:
    file = folder / f"test_{next(_numbers)}.db"
    yield file
    for leftover in folder.glob(f"{file.name}*"):
        leftover.unlink()


def _major_version(initdb: Path) -> int:
    return int(initdb.parent.parent.name)


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, OWNER, OWNER)
    subprocess.run(
        [*_as_owner(), _programs() / "initdb", "--pgdata", folder / "data",
         "--username", "mailcare", "--auth", "trust", "--encoding", "UTF8",
         "--locale", "C.UTF-8", "--no-sync"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    cluster = Cluster(folder, _start(folder))
    yield cluster
    cluster.server.send_signal(signal.SIGINT)  # "fast": open connections are cut
    cluster.server.wait(30)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    programs = _programs()
    # Nothing here outlives the session: no write has to reach the disk. A commit still reaches the
    # kernel before it is answered, so that it outlives its server.
    settings = ["fsync=off", "full_page_writes=off", "listen_addresses="]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [*_as_owner(), programs / "postgres", "-D", folder / "data", "-k", folder,
             *(word for setting in settings for word in ("-c", setting))],
            stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
    _wait_until_ready(programs, folder, server)
    return server


def _as_owner() -> list[str]:
    # A session that is killed takes its server along.
    words = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        words += ["--reuid", OWNER, "--regid", OWNER, "--clear-groups"]
    return words


def _wait_until_ready(programs: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    ask = [programs / "pg_isready", "-q", "-h", folder, "-d", "postgres"]
    for _ in range(600):
        assert server.poll() is None, (folder / "log").read_text()
        if subprocess.run(ask, check=False, cwd="/").returncode == 0:
            return
        try:
            server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("PostgreSQL did not start within 30 s")
