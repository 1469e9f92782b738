# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site database: who makes it, who waits for whom, and what is written when."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables import postgresql, sqlite, things
from ansible_collections.diskless.statelite.plugins.module_utils.tables.snapshot import load_snapshot
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

from .sites import declare, files_below, plan, tables_of

ONE = [{"file": "/tmp/"}]


@pytest.fixture
def file(tmp_path):
    """Return the path of a site that is in a file, for what only a file can be."""
    return tmp_path / "etc" / "site.db"


def test_the_first_writer_makes_the_database_and_a_snapshot_for_its_owner_and_group(site):
    before = os.umask(0)
    try:
        assert declare(site, rows=[]) == [f"{site.shown}: created"]
    finally:
        os.umask(before)
    assert stat.S_IMODE(site.snapshot.stat().st_mode) == 0o640
    assert declare(site, rows=[]) == []


def test_a_file_of_the_database_is_for_its_owner_and_group(file):
    before = os.umask(0)
    try:
        declare(file, rows=[])
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_plan_and_a_reader_write_nothing_at_all(site):
    assert plan(site, rows=ONE).lines() == [f"{site.shown}: created", "litefile ALL /tmp/: added"]
    with open_store(str(site)) as store:
        assert store.read(["litefile"]) == (0, {"litefile": []})
    assert not site.parent.exists()
    assert not site.exists()


def test_a_second_run_writes_nothing(site):
    declare(site, rows=ONE)
    before = files_below(site.parent)
    assert declare(site, rows=ONE) == []
    assert files_below(site.parent) == before


def test_every_committed_write_has_a_version_and_a_snapshot(site):
    for version, options in enumerate(("ro", "con", "link"), 1):
        declare(site, rows=[{"file": "/etc/motd", "options": options}])
        found, tables = load_snapshot(site.snapshot)
        assert (found, tables["litefile"]) == (version, [{"file": "/etc/motd", "options": options}])


def test_a_change_of_one_row_is_one_statement(site):
    declare(site, rows=[{"file": f"/f{number}"} for number in range(500)])
    with open_store(str(site)) as store:
        made = plan(site, rows=[{"file": "/f250", "options": "ro"}])
        with site.told(store) as statements:
            store.write(made._changes)
    written = [text for text in statements if text.startswith(("INSERT", "DELETE")) and " writes " not in text]
    assert len(written) == 1
    assert "/f250" in written[0]


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
    path = site.snapshot
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
    site.forget()
    declare(site, rows=[{"file": "/other"}])
    assert load_snapshot(site.snapshot)[1]["litefile"] == [{"file": "/other"}]


def test_a_database_or_snapshot_of_a_newer_release_is_refused_by_name(site):
    declare(site, rows=ONE)
    site.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
    before = site.dumped()
    for act in (plan, declare):
        with pytest.raises(SiteError, match=r"schema version 2.*newer release"):
            act(site, rows=ONE)
    assert site.dumped() == before
    path = site.snapshot
    path.write_text(path.read_text(encoding="utf-8").replace('"schema":1', '"schema":2'), encoding="utf-8")
    with pytest.raises(SiteError, match="schema version 2"):
        load_snapshot(str(path))


def test_tables_of_something_else_are_refused_and_kept(site):
    site.parent.mkdir()
    site.execute("CREATE TABLE theirs (x TEXT)")
    before = site.dumped()
    with pytest.raises(SiteError, match="no site database") as raised:
        declare(site, rows=ONE)
    assert raised.value.faults[0].where == site.shown
    assert site.dumped() == before


def test_a_file_of_something_else_is_refused_and_kept(file):
    file.parent.mkdir()
    content = b"not a database at all" * 100
    file.write_bytes(content)
    with pytest.raises(SiteError, match="database"):
        declare(file, rows=ONE)
    assert file.read_bytes() == content


def test_an_empty_file_left_by_a_killed_writer_is_taken(file):
    file.parent.mkdir()
    file.touch()
    declare(file, rows=ONE)
    assert tables_of(file) == {"litefile": ONE}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://statelite@db/site", "of kind mysql"),
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
def test_a_site_is_named_by_its_path_or_by_its_url(file, form):
    directory = file.parent / "a b%"
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
        if site.snapshot.exists():
            versions.append(load_snapshot(site.snapshot)[0])
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(tables_of(site)["litefile"]) == 60
    assert load_snapshot(site.snapshot)[0] == 60
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
    for kind in (sqlite, postgresql):
        monkeypatch.setattr(kind, "WAIT", 0.05)
    with site.held(), pytest.raises(SiteError, match="locked"):
        declare(site, rows=[{"file": "/b"}])
    assert declare(site, rows=[{"file": "/b"}]) == ["litefile ALL /b: added"]
