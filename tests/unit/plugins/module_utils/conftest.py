# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of database that a test of a site runs on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.tables import address, store
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import Store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.postgresql import Server, SiteOnServer, servers


class SiteInFile(type(Path())):
    """A site whose database is an SQLite file, at this path."""

    kind = "sqlite"

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

    def settled(self) -> None:
        """Nothing to wait for: a process that is gone writes no more."""

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


STARTED = pytest.StashKey[tuple[Server, Server]]()
ON_SERVER = {"on_server", "postgresql_server", "postgresql_servers"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the server when some test needs it, before ansible-test runs each in a process of its own; stop it at the very end."""
    if any(needs_server(item) for item in session.items):
        stack = contextlib.ExitStack()
        session.config.stash[STARTED] = stack.enter_context(servers())
        session.config.add_cleanup(stack.close)


def needs_server(item: pytest.Item) -> bool:
    """Tell whether a test asks for the server, by a fixture or by the kind of database that it runs on."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return bool(ON_SERVER.intersection(getattr(item, "fixturenames", ()))) or "postgresql" in parameters.values()


@pytest.fixture(scope="session")
def postgresql_servers(pytestconfig: pytest.Config) -> tuple[Server, Server]:
    """Return a running server and one that can be made its standby."""
    return pytestconfig.stash[STARTED]


@pytest.fixture(scope="session")
def postgresql_server(postgresql_servers: tuple[Server, Server]) -> Server:
    return postgresql_servers[0]


@pytest.fixture
def on_server(postgresql_server: Server, tmp_path: Path) -> Iterator[SiteOnServer]:
    """Give a site that has a database on the server, which nobody wrote to yet."""
    with postgresql_server.database() as name:
        yield SiteOnServer(postgresql_server, name, tmp_path / "etc")


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> SiteInFile | SiteOnServer:
    """Give a site that nobody wrote to yet, on each kind of database in turn."""
    return SiteInFile(tmp_path / "etc" / "site.db") if request.param == "sqlite" else request.getfixturevalue("on_server")


ON_BOTH = {
    "boot/test_nodetype_rows.py",
    "boot/test_retention.py",
    "boot/test_rollback.py",
    "boot/test_seen.py",
    "boot/test_signed.py",
    "image/test_copycds.py",
    "lite/test_liteimg.py",
    "lite/test_node_view.py",
    "lite/test_verify.py",
    "nodes/test_queries.py",
    "nodes/test_reports.py",
    "serve/test_exports.py",
}
"""Tests that say no more of their site than that it is called site.db: they run on each kind of database."""

OF_FILES = {
    "test_a_database_that_was_brought_back_is_not_taken_for_the_one_that_was_seen",
    "test_a_run_that_is_cut_off_is_finished_by_the_next",
    "test_the_record_stands_beside_the_database_that_a_url_names",
}
"""Tests in them that copy the file, or name it by its URL."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of these files twice."""
    path = Path(metafunc.definition.fspath)
    if "/".join(path.parts[-2:]) in ON_BOTH and metafunc.function.__name__ not in OF_FILES:
        metafunc.parametrize("called_site", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def called_site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have each site.db where it is, or its tables in a database of the server and all else where it is."""
    with contextlib.ExitStack() as stack:
        if getattr(request, "param", "sqlite") == "postgresql":
            server = request.getfixturevalue("postgresql_server")
            names: dict[str, str] = {}

            def elsewhere(site: str) -> address.Address:
                found = ORIGINAL(site)
                if os.path.basename(found.site) != "site.db":
                    return found
                if found.site not in names:
                    names[found.site] = stack.enter_context(server.database())
                return ORIGINAL(server.url(names[found.site], Path(found.directory)))

            for room in (address, store):
                monkeypatch.setattr(room, "address_of", elsewhere)
        yield


ORIGINAL = address.address_of
