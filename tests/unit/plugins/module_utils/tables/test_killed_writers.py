# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A writer of the database killed at any point: the next run ends as an undisturbed one, and readers always have a snapshot."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

from ansible_collections.diskless.statelite.plugins.module_utils.tables.snapshot import load_snapshot, snapshot_path

from .sites import declare, tables_of

KILLS = 50
OLD = [{"file": f"/old/{number}"} for number in range(200)]
NEW = [{"file": f"/old/{number}", "options": "con"} for number in range(0, 200, 2)] + [{"file": f"/new/{number}"} for number in range(200)]


def killed_after(site, seconds):
    """Run a writer in a child, kill it after some seconds; return whether it was still at work."""
    child = os.fork()
    if child == 0:
        try:
            declare(site, rows=NEW, exclusive=True)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def contents(site):
    version, tables = load_snapshot(snapshot_path(str(site)))
    return version, tables_of(site), {name: rows for name, rows in tables.items() if rows}


def test_fifty_killed_writes_end_in_the_state_of_an_undisturbed_one(tmp_path):
    dice = random.Random(20260101)
    old = tmp_path / "old"
    declare(old / "site.db", rows=OLD)
    undisturbed = tmp_path / "undisturbed" / "site.db"
    shutil.copytree(old, undisturbed.parent)
    started = time.monotonic()
    declare(undisturbed, rows=NEW, exclusive=True)
    lasts = time.monotonic() - started
    expected = contents(undisturbed)
    interrupted = 0
    for number in range(KILLS):
        site = tmp_path / str(number) / "site.db"
        first_run = number % 5 == 0
        if not first_run:
            shutil.copytree(old, site.parent)
        interrupted += killed_after(site, dice.uniform(0, lasts))
        if not first_run:
            version, tables = load_snapshot(snapshot_path(str(site)))
            assert (version, len(tables["litefile"])) in ((1, len(OLD)), (2, len(NEW)))
        if os.path.exists(snapshot_path(str(site))):
            load_snapshot(snapshot_path(str(site)))
        declare(site, rows=NEW, exclusive=True)
        assert contents(site)[1:] == expected[1:]
        assert first_run or contents(site)[0] == expected[0]
        assert declare(site, rows=NEW, exclusive=True) == []
        assert sorted(os.listdir(site.parent)) == ["published", "site.db"]
        assert os.listdir(site.parent / "published") == ["site.json"]
    assert interrupted > KILLS / 4
