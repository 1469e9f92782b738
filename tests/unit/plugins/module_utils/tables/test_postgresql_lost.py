# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site on a PostgreSQL server that stops, dies or is followed by another one: nothing is lost and nothing is made twice."""

from __future__ import annotations

import multiprocessing
import threading
import time

import psycopg2.extensions
import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.seen import key_of
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables import postgresql
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.publishing import plan_snapshot
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.snapshot import load_snapshot
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

from .sites import declare, plan, tables_of

ONE = [{"file": "/tmp/"}]


@pytest.fixture
def site(on_server):
    return on_server


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(postgresql, "PATIENCE", 0.2)


@pytest.fixture(scope="module")
def replica(postgresql_servers):
    """Return a standby that follows the primary."""
    primary, standby = postgresql_servers
    standby.follow(primary)
    return standby


def refusal(act, *arguments, **options):
    with pytest.raises(SiteError) as raised:
        act(*arguments, **options)
    (fault,) = raised.value.faults
    return fault


def test_a_server_that_is_started_anew_between_reading_and_writing_is_no_matter(site):
    declare(site, rows=ONE)
    for how in ("fast", "immediate"):
        made = plan(site, rows=[{"file": f"/{how}"}])
        site.server.stop(how)
        site.server.start()
        assert made.apply() is None
    assert [row["file"] for row in tables_of(site)["litefile"]] == ["/tmp/", "/fast", "/immediate"]
    assert load_snapshot(str(site.snapshot))[0] == 3


def test_a_server_that_is_down_for_a_while_is_waited_for(site):
    declare(site, rows=ONE)
    site.server.stop("immediate")
    starting = threading.Timer(1.0, site.server.start)
    starting.start()
    assert declare(site, rows=[{"file": "/b"}]) == ["litefile ALL /b: added"]
    starting.join()


def test_a_server_that_stays_down_is_told_with_the_mend_and_its_rows_stay_published(site, impatient):
    declare(site, rows=ONE)
    site.server.stop()
    try:
        fault = refusal(declare, site, rows=[{"file": "/b"}])
        assert fault.where == site.shown
        assert "See whether the server runs" in fault.mend
        assert load_snapshot(str(site.snapshot))[1]["litefile"] == ONE
    finally:
        site.server.start()


POINTS = {
    "before the first statement": ("BEGIN", False),
    "among the rows": ('INSERT INTO "litefile"', False),
    "before the commit": ("COMMIT", False),
    "after the commit": ("COMMIT", True),
}
"""How the statement begins at which the connection is cut, and whether the server carries it out before."""


@pytest.mark.parametrize("point", POINTS)
def test_a_connection_that_is_cut_in_a_write_leaves_it_made_once(site, monkeypatch, point):
    declare(site, rows=ONE)
    armed, cut = [], []

    class Cutting(psycopg2.extensions.cursor):
        """Ends its own connection once, when it comes to the point."""

        def execute(self, statement, *values):
            begins, done_first = POINTS[point]
            if armed and not cut and statement.startswith(begins):
                cut.append(statement)
                if done_first:
                    super().execute(statement, *values)
                with site.server.connected() as killer:
                    killer.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (site.name,))
            super().execute(statement, *values)

    opened = postgresql.PostgresqlDatabase._open

    def open_cutting(self, kind):
        opened(self, kind)
        self._connection.cursor_factory = Cutting

    monkeypatch.setattr(postgresql.PostgresqlDatabase, "_open", open_cutting)
    made = plan(site, rows=[{"file": "/b"}])
    armed.append(True)
    assert made.apply() is None
    assert len(cut) == 1
    assert made.result()["counts"] == {"added": 1, "changed": 0, "removed": 0}
    assert [row["file"] for row in tables_of(site)["litefile"]] == ["/tmp/", "/b"]
    with open_store(str(site)) as store:
        assert store.version == 2
    assert load_snapshot(str(site.snapshot))[0] == 2


def test_a_lost_connection_that_the_driver_takes_for_open_is_lost_all_the_same(site, monkeypatch):
    """As psycopg2 does when the answer to several statements breaks off."""
    declare(site, rows=ONE)
    once, told = postgresql.PostgresqlDatabase._once, []

    def broken_off(self, work, writing):
        if writing and not told:
            self._connected(writing)
            told.append("once")
            raise psycopg2.DatabaseError("server closed the connection unexpectedly")
        return once(self, work, writing)

    monkeypatch.setattr(postgresql.PostgresqlDatabase, "_once", broken_off)
    assert declare(site, rows=[{"file": "/b"}]) == ["litefile ALL /b: added"]
    assert told == ["once"]


def test_a_writer_that_waited_for_another_has_all_its_patience_when_the_connection_is_lost(site, monkeypatch):
    declare(site, rows=ONE)
    monkeypatch.setattr(postgresql, "PATIENCE", 0.3)
    with site.server.connected(site.name) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (postgresql.LOCK,))
        told = []
        writer = threading.Thread(target=lambda: told.append(declare(site, rows=[{"file": "/b"}])))
        writer.start()
        first = waiting_for_another(other)
        time.sleep(postgresql.PATIENCE)
        other.execute("SELECT pg_terminate_backend(%s)", (first,))
        waiting_for_another(other, but=first)
        other.execute("SELECT pg_advisory_unlock(%s)", (postgresql.LOCK,))
        writer.join()
    assert told == [["litefile ALL /b: added"]]


def waiting_for_another(cursor, but=0):
    """Return the process of the server that waits for the lock of writers, as soon as there is one."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        cursor.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid <> %s", (but,))
        found = cursor.fetchone()
        if found is not None:
            return found[0]
        time.sleep(0.02)
    raise AssertionError("no writer waits for the other one")


def _many(site, first):
    for number in range(first, first + 15):
        declare(site, rows=[{"file": f"/f{number}"}])


def test_writers_go_on_when_the_server_dies_under_them(site):
    declare(site, rows=ONE)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_many, args=(site, first)) for first in (0, 100)]
    for writer in writers:
        writer.start()
    while len(tables_of(site)["litefile"]) < 5:
        assert all(writer.is_alive() for writer in writers)
    site.server.stop("immediate")
    site.server.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(tables_of(site)["litefile"]) == 31
    assert load_snapshot(str(site.snapshot))[0] == 31


# Replicas


def both_of(site, replica, *, first="primary", **more):
    """Return the URL that names primary and replica."""
    ports = {"primary": site.server.port, "replica": replica.port}
    order = [ports[first], *(port for name, port in ports.items() if name != first)]
    return site.server.url(
        site.name, site.parent, host=f"{site.server.directory},{site.server.directory}", port=",".join(map(str, order)), **more
    )


def test_a_service_node_reads_from_a_replica_and_publishes_what_it_has(site, replica, tmp_path, monkeypatch):
    declare(site, rows=ONE)
    replica.caught_up(site.server)
    url = replica.url(site.name, tmp_path / "service")
    assert tables_of(url) == {"litefile": ONE}
    with open_store(url) as store:
        assert store.unpublished() == [f"{tmp_path}/service/published/site.json: version none -> 1"]
        store.publish()
        assert store.unpublished() == []
    assert load_snapshot(str(tmp_path / "service/published/site.json"))[1]["litefile"] == ONE
    monkeypatch.setattr(postgresql, "PATIENCE", 0.2)
    fault = refusal(declare, url, rows=[{"file": "/b"}])
    assert "PRIMARY,REPLICA" in fault.mend


def test_what_a_replica_has_is_published_by_a_module_that_writes_nothing(site, replica, tmp_path):
    url = replica.url(site.name, tmp_path / "service")
    replica.caught_up(site.server)
    assert "nobody wrote" in refusal(plan_snapshot, {"site": url}, print).what
    for version, name in enumerate(("/a", "/b"), 1):
        declare(site, rows=[{"file": name}])
        replica.caught_up(site.server)
        made = plan_snapshot({"site": url}, print)
        assert made.lines() == [f"{tmp_path}/service/published/site.json: version {version - 1 or 'none'} -> {version}"]
        made.apply()
        assert made.result() == {"snapshot": f"{tmp_path}/service/published/site.json", "version": version}
        assert plan_snapshot({"site": url}, print).lines() == []
    assert (tmp_path / "service/published/site.json").read_text() == site.snapshot.read_text()
    assert "copy" in refusal(plan_snapshot, {"site": str(site.snapshot)}, print).what


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_store_that_is_open_survives_what_cuts_its_connection(site, monkeypatch, driver):
    monkeypatch.setattr(postgresql, "DRIVERS", (driver,))
    declare(site, rows=ONE)
    with open_store(str(site)) as store:
        assert store.version == 1
        site.server.empty_of_clients(site.name)
        assert store.version == 1
        site.server.stop("immediate")
        site.server.start()
        store.write([Change(TABLES["litefile"], None, {"file": "/b"})])
        site.server.empty_of_clients(site.name)
        assert store.read(["litefile"]) == (2, {"litefile": [*ONE, {"file": "/b"}]})


def test_of_two_hosts_the_one_that_can_be_written_to_is_written_to(site, replica):
    for number, first in enumerate(("primary", "replica")):
        assert f"litefile ALL /{number}: added" in declare(both_of(site, replica, first=first), rows=[{"file": f"/{number}"}])
    chosen = both_of(site, replica, target_session_attrs="prefer-standby")
    replica.caught_up(site.server)
    with open_store(chosen) as store:
        assert len(store.tables(["litefile"])["litefile"]) == 2
        assert store.database.replica
    assert declare(chosen, rows=[{"file": "/c"}]) == ["litefile ALL /c: added"]


def test_a_replica_that_lags_publishes_nothing_older_and_its_reader_plans_anew(site, replica):
    url = both_of(site, replica, target_session_attrs="prefer-standby")
    declare(url, rows=ONE)
    replica.caught_up(site.server)
    with replica.connected() as cursor:
        cursor.execute("SELECT pg_wal_replay_pause()")
        try:
            declare(site, rows=[{"file": "/b"}])
            late = plan(url, rows=[*ONE, {"file": "/b"}])
            assert late.lines() == ["litefile ALL /b: added"]
            assert late.apply() == []
            with open_store(replica.url(site.name, site.parent)) as store:
                assert store.version == 1
                assert store.unpublished() == []
                store.publish()
            assert load_snapshot(str(site.snapshot))[0] == 2
        finally:
            cursor.execute("SELECT pg_wal_replay_resume()")


def test_readers_go_on_with_the_replica_while_the_primary_is_down(site, replica):
    declare(site, rows=ONE)
    replica.caught_up(site.server)
    url = both_of(site, replica)
    site.server.stop("immediate")
    try:
        assert tables_of(url) == {"litefile": ONE}
        assert plan(url, rows=ONE).lines() == []
    finally:
        site.server.start()
    assert declare(url, rows=[{"file": "/b"}]) == ["litefile ALL /b: added"]


# What was brought back


def test_rows_that_were_brought_back_from_a_copy_are_others_though_they_count_the_same(site):
    declare(site, rows=ONE)
    with open_store(str(site)) as store:
        before = store.revision
        assert store.revision == before
    site.execute("DELETE FROM litefile; UPDATE meta SET value = '0' WHERE name = 'version'")
    declare(site, rows=[{"file": "/b"}])
    with open_store(str(site)) as store:
        assert store.version == 1
        asked = {"noderange": "all", "state": "osimage"}
        assert key_of(store.site, before, asked, ()) != key_of(store.site, store.revision, asked, ())


def test_a_dead_machines_lock_is_given_up_by_the_server(site, monkeypatch):
    declare(site, rows=ONE)
    monkeypatch.setattr(postgresql, "WAIT", 0.3)
    with open_store(str(site)) as store:
        store.database.run(lambda cursor: None)
        told = []
        connection = store.database._connected(True)
        with connection.cursor() as cursor:
            cursor.execute(f"{postgresql.WRITING}; SET LOCAL idle_in_transaction_session_timeout = 300")
            cursor.execute(f"SELECT pg_advisory_xact_lock({postgresql.LOCK})")
            told = declare(site, rows=[{"file": "/b"}])
    assert told == ["litefile ALL /b: added"]


def test_a_far_server_is_asked_little(site):
    rows = [{"file": f"/f{number}"} for number in range(1000)]
    before = len(site.server.told(site.name))
    with open_store(str(site)) as store:
        store.write([Change(TABLES["litefile"], None, row) for row in rows])
    asked = site.server.told(site.name)[before:]
    assert len(asked) < 100
    assert sum(text.startswith('INSERT INTO "litefile"') for text in asked) < 15
