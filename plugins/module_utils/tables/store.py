# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a site in its database: one transaction a write, a version a commit, a snapshot after it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import SiteError
from .address import COPY, DEFAULT_SITE, Address, address_of
from .columns import Row, Table
from .database import Cursor, Database
from .plan import Change
from .postgresql import PostgresqlDatabase
from .replica import Replica
from .schema import LATER, TABLES
from .snapshot import SCHEMA, publish, published
from .sqlite import SqliteDatabase
from .statements import META, carry_out, make_table, make_tables, rows_of, set_version

__all__ = ["DEFAULT_SITE", "Store", "open_store"]

Tables = dict[str, list[Row]]


def open_store(site: str) -> Store | Replica:
    """Return the store of the site database at `site` (a path or URL, see `address_of`), which need not exist yet.

    A published snapshot (a path that ends in .json) can be read in its place on a server that has no database.
    """
    address = address_of(site)
    if address.site.endswith(COPY) and not address.url:
        return Replica(address)
    return Store(address, PostgresqlDatabase(address) if address.url else SqliteDatabase(address.site))


class Store:
    """One site database. Reading never creates or changes it; a database that is not there yet reads as empty, version 0."""

    def __init__(self, address: Address, database: Database) -> None:
        self.site = address.site
        self.directory = address.directory
        self.snapshot = address.snapshot
        self.shown = address.shown
        self.database = database
        self._missing: frozenset[str] = frozenset()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @property
    def made(self) -> bool:
        """Whether a writer has made the tables."""
        return self.database.exists and self.database.run(self._state) is not None

    @property
    def version(self) -> int:
        """The number of committed writes so far."""
        return self.read(())[0]

    @property
    def revision(self) -> str:
        """What stands for the rows as the last write left them: another version, or other rows of one version, differ in it."""
        if not self.database.exists:
            return "0"

        def work(cursor: Cursor) -> str:
            state = self._state(cursor)
            return "0" if state is None else f"{state[1]} {state[0]} {self.database.revision(cursor)}".strip()

        return self.database.run(work)

    def tables(self, names: Iterable[str] | None = None) -> Tables:
        """Return the rows of the tables named (all by default), each in database order with its set cells."""
        return self.read(names)[1]

    def read(self, names: Iterable[str] | None = None) -> tuple[int, Tables]:
        """Return (version, rows by table) as of one moment."""
        wanted = [TABLES[name] for name in (TABLES if names is None else names)]
        if not self.database.exists:
            return 0, {table.name: [] for table in wanted}

        def work(cursor: Cursor) -> tuple[int, Tables]:
            state = self._state(cursor)
            if state is None:
                return 0, {table.name: [] for table in wanted}
            return state[1], self._rows(cursor, wanted)

        return self.database.run(work)

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
        token = uuid.uuid4().hex
        made: list[Sequence[Change]] = []

        def work(cursor: Cursor) -> Sequence[Change]:
            _identity, version = self._state(cursor) or make_tables(self.database, cursor)
            self._complete(cursor)
            if made and self.database.done(cursor, token):
                return made[-1]
            todo = changes
            if read_at is not None and version != read_at:
                if again is None:
                    raise SiteError.of(self.shown, "another writer came in between", "Run the task again")
                todo = again(self._rows(cursor, TABLES.values()))
            carry_out(self.database, cursor, todo)
            if todo:
                set_version(self.database, cursor, version + 1)
                self.database.note(cursor, version + 1, token)
            made.append(todo)
            return todo

        with self._failures_named():
            self.database.create()
        todo = self.database.run(work, writing=True)
        self.publish()
        return todo

    def unpublished(self) -> list[str]:
        """Return a line when the database was not made yet or its last write was not published, as after a killed writer."""
        state = self.database.run(self._state) if self.database.exists else None
        if state is None:
            return [f"{self.shown}: created"]
        found = published(self.snapshot)
        if not self._to_publish(found, state):
            return []
        return [f"{self.snapshot}: version {found[1] if found else 'none'} -> {state[1]}"]

    def publish(self) -> None:
        """Publish the database as it is, unless the snapshot says the same already."""

        def work(cursor: Cursor) -> tuple[str, int, Tables] | None:
            state = self._state(cursor) or ("", 0)
            if not self._to_publish(published(self.snapshot), state):
                return None
            return (*state, self._rows(cursor, TABLES.values()))

        with self._failures_named():
            publish(self.snapshot, lambda: self.database.run(work))

    def _to_publish(self, found: tuple[str, int] | None, state: tuple[str, int]) -> bool:
        """Tell whether the database says something else than the snapshot; a replica that lags behind the snapshot has no say."""
        behind = self.database.replica and found is not None and found[0] == state[0] and found[1] > state[1]
        return found != state and not behind

    def _state(self, cursor: Cursor) -> tuple[str, int] | None:
        """Return (identity, version), or None for a database without any table, as a writer killed in its first run leaves it.

        Raises SiteError when it is not a site database, or one of a newer release.
        """
        names = self.database.names(cursor)
        if not names:
            self._missing = frozenset()
            return None
        if "meta" not in names or not names.issuperset(TABLES.keys() - LATER):
            raise SiteError.of(self.shown, "it is no site database", "Give another one, or move what is there away")
        self._missing = LATER - names
        cursor.execute(META)
        meta: dict[str, str] = dict(cursor)
        if int(meta["schema"]) > SCHEMA:
            what = f"the database has schema version {meta['schema']}, made by a newer release"
            raise SiteError.of(self.shown, what, f"Upgrade diskless.statelite; this release knows schema version {SCHEMA}")
        return meta["database"], int(meta["version"])

    def _rows(self, cursor: Cursor, wanted: Iterable[Table]) -> Tables:
        """Return the rows of tables; one that came with a later release than the database has none."""
        return {table.name: [] if table.name in self._missing else rows_of(self.database, cursor, table) for table in wanted}

    def _complete(self, cursor: Cursor) -> None:
        """Make the tables that came with a later release than the database."""
        for name in sorted(self._missing):
            make_table(self.database, cursor, TABLES[name])
            self.database.share(cursor, name)
        self._missing = frozenset()

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        """Turn failures of the operating system into SiteError with the path."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.site
            raise SiteError.of(
                str(where), f"it can't be written: {error.strerror}", "Run as root, or give a site that you may write"
            ) from error
