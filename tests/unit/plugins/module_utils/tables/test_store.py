# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site database: who makes it, who waits for whom, and what is written when."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import stat

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.plugins.module_utils.tables.snapshot import load_snapshot, snapshot_path
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

from .sites import declare, files_below, plan, tables_of

ONE = [{"file": "/tmp/"}]


@pytest.fixture
def site(tmp_path):
    return tmp_path / "etc" / "site.db"


def test_the_first_writer_makes_the_database_for_its_owner_and_group(site):
    before = os.umask(0)
    try:
        assert declare(site, rows=[]) == [f"{site}: created"]
    finally:
        os.umask(before)
    assert stat.S_IMODE(site.stat().st_mode) == 0o640
    assert stat.S_IMODE((site.parent / "published" / "site.json").stat().st_mode) == 0o640
    assert declare(site, rows=[]) == []


def test_a_plan_and_a_reader_write_nothing_at_all(site):
    assert plan(site, rows=ONE).lines() == [f"{site}: created", "litefile ALL /tmp/: added"]
    with open_store(str(site)) as store:
        assert store.read(["litefile"]) == (0, {"litefile": []})
    assert not site.parent.exists()


def test_a_second_run_writes_nothing(site):
    declare(site, rows=ONE)
    before = files_below(site.parent)
    assert declare(site, rows=ONE) == []
    assert files_below(site.parent) == before


def test_every_committed_write_has_a_version_and_a_snapshot(site):
    for version, options in enumerate(("ro", "con", "link"), 1):
        declare(site, rows=[{"file": "/etc/motd", "options": options}])
        found, tables = load_snapshot(snapshot_path(str(site)))
        assert (found, tables["litefile"]) == (version, [{"file": "/etc/motd", "options": options}])


def test_a_change_of_one_row_is_one_statement(site):
    declare(site, rows=[{"file": f"/f{number}"} for number in range(500)])
    with open_store(str(site)) as store:
        made = plan(site, rows=[{"file": "/f250", "options": "ro"}])
        statements = []
        store._open().set_trace_callback(statements.append)
        store.write(made._changes)
    assert len([text for text in statements if text.startswith(("INSERT", "DELETE"))]) == 1


def test_rows_keep_the_order_in_which_they_came(site):
    declare(site, rows=[{"file": name} for name in ("/c", "/a", "/b")])
    declare(site, rows=[{"file": "/a", "options": "ro"}])
    assert [row["file"] for row in tables_of(site)["litefile"]] == ["/c", "/a", "/b"]


def test_the_snapshot_has_the_group_of_its_directory(site):
    published = site.parent / "published"
    published.mkdir(parents=True)
    os.chown(published, -1, 12345)
    declare(site, rows=ONE)
    assert (published / "site.json").stat().st_gid == 12345


@pytest.mark.parametrize("spoil", ["remove", "older", "garbage"])
def test_a_stale_snapshot_is_mended_by_the_next_writer_even_without_changes(site, spoil):
    declare(site, rows=ONE)
    path = site.parent / "published" / "site.json"
    sound = path.read_bytes()
    if spoil == "remove":
        path.unlink()
    elif spoil == "older":
        path.write_text(json.dumps({**json.loads(sound), "version": 0}), encoding="utf-8")
    else:
        path.write_bytes(sound[:-20])
    (line,) = declare(site, rows=ONE)
    assert line.startswith(f"{path}: version")
    assert path.read_bytes() == sound
    assert declare(site, rows=ONE) == []


def test_a_snapshot_of_another_database_is_stale(site):
    declare(site, rows=ONE)
    site.unlink()
    declare(site, rows=[{"file": "/other"}])
    assert load_snapshot(snapshot_path(str(site)))[1]["litefile"] == [{"file": "/other"}]


def test_a_database_or_snapshot_of_a_newer_release_is_refused_by_name(site):
    declare(site, rows=ONE)
    with sqlite3.connect(site) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
    connection.close()
    before = site.read_bytes()
    for act in (plan, declare):
        with pytest.raises(SiteError, match=r"schema version 2.*newer release"):
            act(site, rows=ONE)
    assert site.read_bytes() == before
    path = site.parent / "published" / "site.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"schema":1', '"schema":2'), encoding="utf-8")
    with pytest.raises(SiteError, match="schema version 2"):
        load_snapshot(str(path))


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None])
def test_a_file_of_something_else_is_refused_and_kept(site, content):
    site.parent.mkdir()
    if content is None:
        with sqlite3.connect(site) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    else:
        site.write_bytes(content)
    before = site.read_bytes()
    with pytest.raises(SiteError, match="database"):
        declare(site, rows=ONE)
    assert site.read_bytes() == before


def test_an_empty_file_left_by_a_killed_writer_is_taken(site):
    site.parent.mkdir()
    site.touch()
    declare(site, rows=ONE)
    assert tables_of(site) == {"litefile": ONE}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://statelite@db/site", "postgresql are not in this release"),
        ("postgresql://statelite:geheim@db/site", "holds a password"),
        ("site.db", "no absolute path"),
        ("sqlite://site.db", "no absolute path"),
    ],
)
def test_a_site_that_is_no_path_is_refused_and_no_password_shown(url, told):
    with pytest.raises(SiteError, match=told) as raised:
        open_store(url)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize("form", ["{}", "sqlite://{}", "sqlite:///{}", "file://{}"])
def test_a_site_is_named_by_its_path_or_by_its_url(site, form):
    directory = site.parent / "a b%"
    declare(form.format(str(directory / "site.db").replace("%", "%25") if "://" in form else directory / "site.db"), rows=ONE)
    assert tables_of(directory / "site.db") == {"litefile": ONE}
    assert (directory / "published" / "site.json").exists()


def test_a_fault_in_any_row_writes_none(site):
    declare(site, rows=ONE)
    with pytest.raises(SiteError) as raised:
        declare(site, rows=[{"file": "/good"}, {"file": "bad"}, {"file": "/x", "options": "RO"}])
    assert len(raised.value.faults) == 2
    assert tables_of(site) == {"litefile": ONE}


def _declare_one_by_one(site, first, count):
    for number in range(first, first + count):
        declare(site, rows=[{"file": f"/f{number}"}])


def test_writers_at_the_same_time_wait_and_lose_nothing(site):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_declare_one_by_one, args=(site, first, 20)) for first in (0, 100, 200)]
    for writer in writers:
        writer.start()
    versions = []
    while any(writer.is_alive() for writer in writers):
        if os.path.exists(snapshot_path(str(site))):
            versions.append(load_snapshot(snapshot_path(str(site)))[0])
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(tables_of(site)["litefile"]) == 60
    assert load_snapshot(snapshot_path(str(site)))[0] == 60
    assert versions == sorted(versions)
    assert plan(site, rows=ONE).lines() == ["litefile ALL /tmp/: added"]


def test_a_writer_that_came_second_plans_anew(site):
    declare(site, rows=ONE)
    late = plan(site, rows=[*ONE, {"file": "/b"}], exclusive=True)
    declare(site, rows=[{"file": "/b"}, {"file": "/c"}])
    assert late.apply() == ["litefile ALL /c: removed"]
    assert late.result()["counts"] == {"added": 0, "changed": 0, "removed": 1}
    assert [row["file"] for row in tables_of(site)["litefile"]] == ["/tmp/", "/b"]


def test_a_writer_that_came_second_is_checked_against_what_is_there_now(site):
    late = plan(site, things.LITETREE, rows=[{"priority": "1.0", "directory": "/a"}])
    declare(site, things.LITETREE, rows=[{"priority": "1", "directory": "/b"}])
    with pytest.raises(SiteError, match="same place"):
        late.apply()
    assert tables_of(site) == {"litetree": [{"priority": "1", "directory": "/b"}]}


def test_a_lock_held_too_long_is_told(site, monkeypatch):
    declare(site, rows=ONE)
    monkeypatch.setattr("ansible_collections.diskless.statelite.plugins.module_utils.tables.store.WAIT", 0.05)
    holder = sqlite3.connect(site, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SiteError, match="locked"):
        declare(site, rows=[{"file": "/b"}])
    holder.rollback()
    holder.close()
    assert declare(site, rows=[{"file": "/b"}]) == ["litefile ALL /b: added"]
