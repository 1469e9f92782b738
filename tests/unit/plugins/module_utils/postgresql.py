# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server of the tests' own: Debian's programs, a directory below /tmp, a Unix socket, no network, no root."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg2
from ansible_collections.diskless.statelite.plugins.module_utils.tables.postgresql import LOCK
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import Store

FAST = """\
listen_addresses = ''
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 60
max_wal_senders = 4
autovacuum = off
log_statement = all
log_line_prefix = '%p %d '
lc_messages = C
"""
DOORS = """\
local all guarded scram-sha-256
local all stranger reject
local all all trust
local replication all trust
"""
OTHERS = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
PASSWORD = "geheim-17"
PRIMARY, STANDBY = 5432, 5433
SOON = 120.0


def programs() -> Path:
    """Return the folder of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert found, "no PostgreSQL server is installed: the package postgresql of tests/lab/packages.txt"
    return found[-1].parent


def runs_as() -> dict[str, object]:
    """Return how to start what refuses to be root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


class Server:
    """One server, the primary or a standby of it, that can be stopped, killed and started again."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self.data = directory / f"data{port}"
        self.log = directory / f"log{port}"
        self._taken = 0

    def run(self, program: str, *words: str) -> None:
        """Run one of the server's programs to its end."""
        made = subprocess.run(
            [programs() / program, *words], capture_output=True, text=True, check=False, cwd=self.directory, timeout=120, **runs_as()
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def make(self) -> None:
        """Make an empty primary."""
        self.run("initdb", "--pgdata", str(self.data), "--username", "postgres", "--no-sync", "--no-locale", "--encoding", "UTF8")
        (self.data / "pg_hba.conf").write_text(DOORS, encoding="utf-8")
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write(f"{FAST}unix_socket_directories = '{self.directory}'\n")

    def copy(self, primary: Server) -> None:
        """Make a standby that follows the primary."""
        here = ["--host", str(primary.directory), "--port", str(primary.port), "--username", "postgres"]
        self.run("pg_basebackup", *here, "--pgdata", str(self.data), "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast")

    def start(self) -> None:
        self.run("pg_ctl", "start", "--wait", f"--pgdata={self.data}", f"--log={self.log}", "--silent", "-o", f"-p {self.port}")

    def stop(self, how: str = "fast") -> None:
        """Stop it; `immediate` is as a power cut, but for what the machine holds."""
        self.run("pg_ctl", "stop", "--wait", f"--pgdata={self.data}", f"--mode={how}", "--silent")

    def promote(self) -> None:
        """Make a standby the primary."""
        self.run("pg_ctl", "promote", "--wait", f"--pgdata={self.data}", "--silent")

    @property
    def runs(self) -> bool:
        return (self.data / "postmaster.pid").exists()

    def url(self, name: str, directory: Path | None = None, role: str = "postgres", **more: str) -> str:
        """Return the URL of a database; with what else stands in it."""
        parameters = {"host": str(self.directory), "port": str(self.port), **more}
        if directory is not None:
            parameters["directory"] = str(directory)
        return f"postgresql://{role}@/{name}?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())

    @contextlib.contextmanager
    def connected(self, name: str = "postgres") -> Iterator[psycopg2.extensions.cursor]:
        """Give a cursor of a connection past all of ours, each statement a transaction."""
        connection = psycopg2.connect(self.url(name))
        connection.autocommit = True
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def told(self, name: str) -> list[str]:
        """Return the statements that the server was told for a database so far, in order."""
        return re.findall(rf"^\d+ {name} LOG:  statement: (.*)$", self.log.read_text(encoding="utf-8"), re.MULTILINE)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Give the name of a database of the test's own, without our tables; one that another test had is taken again.

        What is known of it stands in the server alone: ansible-test runs each test in a process of its own.
        """
        name = f"site{self._taken}"
        self._taken += 1
        if not self.runs:
            self.start()
        self.new(name)
        self.empty(name)
        try:
            yield name
        finally:
            self._taken -= 1
            if not self.runs:
                self.start()
            self.empty(name)

    def new(self, name: str, *words: str) -> str:
        """Make a database unless it is there; return its name."""
        with self.connected() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {name} {' '.join(words)}")
        return name

    def empty_of_clients(self, name: str) -> None:
        """Cut every connection to a database."""
        with self.connected(name) as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}", (name,))

    def empty(self, name: str) -> None:
        """Take our tables out of a database, and whoever uses them."""
        self.empty_of_clients(name)
        with self.connected(name) as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS statelite CASCADE")

    def follow(self, primary: Server) -> None:
        """Be a running standby of the primary; the second time there is nothing to do."""
        if not self.data.exists():
            self.copy(primary)
        if not self.runs:
            self.start()

    def caught_up(self, primary: Server) -> None:
        """Wait until a standby has all that the primary wrote."""
        with primary.connected() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()")
            (written,) = cursor.fetchone()
        end = time.monotonic() + SOON
        while time.monotonic() < end:
            with self.connected() as cursor:
                cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s", (written,))
                if cursor.fetchone() == (True,):
                    return
            time.sleep(0.02)
        raise AssertionError("the standby does not follow")


@contextlib.contextmanager
def servers() -> Iterator[tuple[Server, Server]]:
    """Give a running primary and a standby that is not made yet; take everything away at the end."""
    directory = Path(tempfile.mkdtemp(prefix="statelite-pg-", dir="/tmp"))
    if runs_as():
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    primary, standby = Server(directory, PRIMARY), Server(directory, STANDBY)
    try:
        primary.make()
        primary.start()
        with primary.connected() as cursor:
            cursor.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
            cursor.execute("CREATE ROLE looker LOGIN")
            cursor.execute("CREATE ROLE stranger LOGIN")
        yield primary, standby
    finally:
        for server in (standby, primary):
            if server.runs:
                server.stop("immediate")
        shutil.rmtree(directory)


class SiteOnServer:
    """A site whose database is on a server: what the tests ask of the path of an SQLite file."""

    kind = "postgresql"

    def __init__(self, server: Server, name: str, parent: Path) -> None:
        self.server, self.name, self.parent = server, name, parent
        self.shown = f"postgresql://postgres@/{name}"
        self.snapshot = parent / "published" / "site.json"

    def __str__(self) -> str:
        return self.server.url(self.name, self.parent)

    def exists(self) -> bool:
        """Tell whether a writer has made the tables."""
        with self.server.connected(self.name) as cursor:
            cursor.execute("SELECT to_regclass('statelite.meta') IS NOT NULL")
            return cursor.fetchone() == (True,)

    def execute(self, statement: str) -> None:
        """Do something to the tables that no module does."""
        with self.server.connected(self.name) as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS statelite; SET search_path = statelite")
            cursor.execute(statement)

    def forget(self) -> None:
        """Take the tables away, not what was published of them."""
        self.execute("DROP SCHEMA statelite CASCADE")

    def settled(self) -> None:
        """Wait until the server has noticed that its clients are gone; one that had asked for a commit gets it."""
        end = time.monotonic() + SOON
        with self.server.connected(self.name) as cursor:
            while time.monotonic() < end:
                cursor.execute(f"SELECT count(*) {OTHERS}", (self.name,))
                if cursor.fetchone() == (0,):
                    return
                time.sleep(0.005)
        raise AssertionError("a connection stays")

    def dumped(self) -> str:
        """Return all that the database holds."""
        words = ["--host", str(self.server.directory), "--port", str(self.server.port), "--username", "postgres", self.name]
        made = subprocess.run([programs() / "pg_dump", *words], capture_output=True, text=True, check=True)
        return "\n".join(line for line in made.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))

    @contextlib.contextmanager
    def told(self, _store: Store) -> Iterator[list[str]]:
        """Collect the statements that the server was given for the database meanwhile."""
        before = len(self.server.told(self.name))
        statements: list[str] = []
        yield statements
        statements += self.server.told(self.name)[before:]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be a writer that does not end."""
        with self.server.connected(self.name) as cursor:
            cursor.execute(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK})")
            yield
