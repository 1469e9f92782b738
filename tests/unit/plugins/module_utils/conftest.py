# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of database that a test of a site runs on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import Store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.postgresql import Server, SiteOnServer, servers


class SiteInFile(type(Path())):
    """A site whose database is an SQLite file, at this path."""

    @property
    def shown(self) -> str:
        """How lines and faults call it."""
        return str(self)

    @property
    def snapshot(self) -> Path:
        """Where its tables are published."""
        return self.parent / "published" / "site.json"

    def execute(self, statement: str) -> None:
        """Do something to the tables that no module does."""
        with contextlib.closing(sqlite3.connect(self, isolation_level=None)) as connection:
            connection.execute(statement)

    def forget(self) -> None:
        """Take the database away, not what was published of it."""
        self.unlink()

    def dumped(self) -> bytes:
        """Return all that the database holds."""
        return self.read_bytes()

    @contextlib.contextmanager
    def told(self, store: Store) -> Iterator[list[str]]:
        """Collect the statements that a store gives to its database."""
        statements: list[str] = []
        store.database.connection().set_trace_callback(statements.append)
        yield statements

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be a writer that does not end."""
        with contextlib.closing(sqlite3.connect(self, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield


@pytest.fixture(scope="session")
def both() -> Iterator[tuple[Server, Server]]:
    """Give a running server and one that can be made its standby."""
    with servers() as made:
        yield made


@pytest.fixture(scope="session")
def server(both: tuple[Server, Server]) -> Server:
    return both[0]


@pytest.fixture
def on_server(server: Server, tmp_path: Path) -> Iterator[SiteOnServer]:
    """Give a site that has a database on the server, which nobody wrote to yet."""
    with server.database() as name:
        yield SiteOnServer(server, name, tmp_path / "etc")


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> SiteInFile | SiteOnServer:
    """Give a site that nobody wrote to yet, on each kind of database in turn."""
    return SiteInFile(tmp_path / "etc" / "site.db") if request.param == "sqlite" else request.getfixturevalue("on_server")
