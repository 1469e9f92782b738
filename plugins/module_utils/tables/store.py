# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a site in an SQLite database: one transaction a write, a version a commit, a snapshot after it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import unquote

from ..errors import SiteError
from .columns import Row, Table
from .plan import Change
from .schema import TABLES
from .snapshot import SCHEMA, load_snapshot, publish, published, snapshot_path

__all__ = ["DEFAULT_SITE", "Store", "database_path", "load_snapshot", "open_store"]

DEFAULT_SITE = "/etc/statelite/site.db"
WAIT = 60.0
"""Seconds that a writer waits for another one to finish."""

Tables = dict[str, list[Row]]


def database_path(site: str) -> str:
    """Return the path of the database that the option `site` names: an absolute path, or its URL (sqlite: or file:).

    Raises SiteError for any other URL: other databases come with a later release, and a password never stands in one.
    """
    scheme, is_url, rest = site.partition("://")
    if is_url and re.match(r"[^/@]*:[^/@]*@", rest):
        raise SiteError.of(
            f"site {scheme}://...", "the URL holds a password", "Keep it in a service file or PGPASSFILE, and leave it out of the URL"
        )
    if is_url and scheme not in ("sqlite", "file"):
        raise SiteError.of(
            f"site {site}",
            f"databases of kind {scheme} are not in this release",
            f"Give the path of an SQLite database, such as {DEFAULT_SITE}",
        )
    path = unquote(rest) if is_url else site
    if not path.startswith("/"):
        example = f"{scheme}://{DEFAULT_SITE}" if is_url else DEFAULT_SITE
        raise SiteError.of(f"site {site!r}", "it is no absolute path", f"Give the whole path, such as {example}")
    return "/" + path.lstrip("/")


def open_store(site: str) -> Store:
    """Return the store of the site database at `site` (a path or URL, see `database_path`), which need not exist yet."""
    return Store(database_path(site))


class Store:
    """One site database. Reading never creates or changes it; a database that is not there yet reads as empty, version 0."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.snapshot = snapshot_path(path)
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def exists(self) -> bool:
        """Whether a writer has made the database; an empty file is one that was killed before it had."""
        try:
            return os.stat(self.path).st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    @property
    def version(self) -> int:
        """The number of committed writes so far."""
        return self.read(())[0]

    def tables(self, names: Iterable[str] | None = None) -> Tables:
        """Return the rows of the tables named (all by default), each in database order with its set cells."""
        return self.read(names)[1]

    def read(self, names: Iterable[str] | None = None) -> tuple[int, Tables]:
        """Return (version, rows by table) as of one moment."""
        wanted = [TABLES[name] for name in (TABLES if names is None else names)]
        if not self.exists:
            return 0, {table.name: [] for table in wanted}
        with self._transaction("BEGIN") as connection:
            state = self._state(connection)
            if state is None:
                return 0, {table.name: [] for table in wanted}
            return state[1], {table.name: _rows(connection, table) for table in wanted}

    def write(
        self,
        changes: Sequence[Change],
        read_at: int | None = None,
        again: Callable[[Tables], Sequence[Change]] | None = None,
    ) -> Sequence[Change]:
        """Carry the changes out in one transaction, publish the snapshot, and return the changes made.

        When another writer came in between (the version is no longer `read_at`), `again` plans anew from the rows as they are,
        while this writer holds the lock; without it that is refused. Without `read_at` the changes are made as they are.
        Creates the database, and its directory, when there is none. Nothing changed, nothing written.
        """
        with self._failures_named():
            self._create_file()
        with self._transaction("BEGIN IMMEDIATE") as connection:
            version = (self._state(connection) or _make(connection))[1]
            if read_at is not None and version != read_at:
                if again is None:
                    raise SiteError.of(self.path, "another writer came in between", "Run the task again")
                changes = again({table.name: _rows(connection, table) for table in TABLES.values()})
            for change in changes:
                _carry_out(connection, change)
            if changes:
                connection.execute("UPDATE meta SET value = ? WHERE name = 'version'", (str(version + 1),))
        self.publish()
        return changes

    def unpublished(self) -> list[str]:
        """Return a line when the database was not made yet or its last write was not published, as after a killed writer."""
        if not self.exists:
            return [f"{self.path}: created"]
        with self._transaction("BEGIN") as connection:
            state = self._state(connection)
        if state is None:
            return [f"{self.path}: created"]
        found = published(self.snapshot)
        if found == state:
            return []
        return [f"{self.snapshot}: version {found[1] if found else 'none'} -> {state[1]}"]

    def publish(self) -> None:
        """Publish the database as it is, unless the snapshot says the same already."""

        def current() -> tuple[str, int, Tables]:
            with self._transaction("BEGIN") as connection:
                identity, version = self._state(connection) or ("", 0)
                return identity, version, {table.name: _rows(connection, table) for table in TABLES.values()}

        with self._failures_named():
            publish(self.snapshot, current)

    def _create_file(self) -> None:
        """Make the directory and an empty file, readable by root and the group alone, when there is none."""
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        except FileExistsError:
            return
        os.fchmod(descriptor, 0o640)
        os.close(descriptor)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            location = f"file:{_uri_quoted(self.path)}?mode=rw"
            self._connection = sqlite3.connect(location, uri=True, timeout=WAIT, isolation_level=None)
        return self._connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """Run a block in a transaction; whatever it raises rolls back. Failures of SQLite become SiteError."""
        try:
            connection = self._open()
            connection.execute(begin)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise SiteError.of(self.path, f"the site database can't be used: {error}", _mend(error)) from error

    def _state(self, connection: sqlite3.Connection) -> tuple[str, int] | None:
        """Return (identity, version), or None for a database without any table, as a writer killed in its first run leaves it.

        Raises SiteError when it is not a site database, or one of a newer release.
        """
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not names:
            return None
        if "meta" not in names or not names.issuperset(TABLES):
            raise SiteError.of(self.path, "it is no site database", "Give another path, or move the file away")
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        if int(meta["schema"]) > SCHEMA:
            what = f"the database has schema version {meta['schema']}, made by a newer release"
            raise SiteError.of(self.path, what, f"Upgrade diskless.statelite; this release knows schema version {SCHEMA}")
        return meta["database"], int(meta["version"])

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        """Turn failures of the operating system into SiteError with the path."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.path
            raise SiteError.of(
                str(where), f"it can't be written: {error.strerror}", "Run as root, or give a site that you may write"
            ) from error


def _mend(error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"Another writer has held it for {WAIT:.0f} s: wait for it to end, then run again"
    return "Check that the path is a site database and that its directory can be written"


def _uri_quoted(path: str) -> str:
    """Return the path as it stands in an SQLite URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _make(connection: sqlite3.Connection) -> tuple[str, int]:
    """Make the tables and return (identity, version 0).

    row_key is the normalised key, so that a blank image and ALL can't both stand; rows keep the order in which they came.
    """
    identity = uuid.uuid4().hex
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    meta = (("schema", str(SCHEMA)), ("database", identity), ("version", "0"))
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
    for table in TABLES.values():
        columns = ", ".join(f'"{name}" TEXT' for name in table.names)
        connection.execute(f'CREATE TABLE "{table.name}" (row_key TEXT PRIMARY KEY NOT NULL, {columns})')
    return identity, 0


def _rows(connection: sqlite3.Connection, table: Table) -> list[Row]:
    columns = ", ".join(f'"{name}"' for name in table.names)
    cursor = connection.execute(f'SELECT {columns} FROM "{table.name}" ORDER BY rowid')
    return [{name: cell for name, cell in zip(table.names, cells) if cell} for cells in cursor]


def _carry_out(connection: sqlite3.Connection, change: Change) -> None:
    table, key = change.table, json.dumps(change.key, ensure_ascii=False)
    if change.after is None:
        connection.execute(f'DELETE FROM "{table.name}" WHERE row_key = ?', (key,))
        return
    columns = ", ".join(f'"{name}"' for name in table.names)
    places = ", ".join("?" * (len(table.names) + 1))
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in table.names)
    cells = [change.after.get(name) or None for name in table.names]
    statement = f'INSERT INTO "{table.name}" (row_key, {columns}) VALUES ({places}) ON CONFLICT (row_key) DO UPDATE SET {updates}'
    connection.execute(statement, (key, *cells))
