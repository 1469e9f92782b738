# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A writer of the database killed at any point: the next run ends as an undisturbed one, and nodes are answered all along."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.snapshot import load_snapshot
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.asking import Asking, Serving, only
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import Answering, make_pki

from .sites import declare, tables_of

KILLS = {"sqlite": 50, "postgresql": 25}
FIRST_RUNS = 10
OLD = [{"file": f"/old/{number}"} for number in range(200)]
NEW = [{"file": f"/old/{number}", "options": "con"} for number in range(0, 200, 2)] + [{"file": f"/new/{number}"} for number in range(200)]
QUESTIONS = [("litefile",), ("bootplan", "image=img1")]
OURS = {"sqlite": ["published", "site.db"], "postgresql": ["published"]}


class Killing:
    """Kills writers of a site at random moments of their work, and counts those that were at it.

    How long a writer takes is told by the quickest seen so far: one that ended before its moment came brings the next moments forward.
    """

    def __init__(self, site, seed, lasts):
        self.site = site
        self.dice = random.Random(seed)
        self.lasts = lasts
        self.interrupted = 0

    def kill(self, rows):
        """Run a writer in a child and kill it."""
        child = os.fork()
        if child == 0:
            try:
                declare(self.site, rows=rows, exclusive=True)
            finally:
                os._exit(0)
        started = time.monotonic()
        moment = started + self.dice.uniform(0, self.lasts)
        while time.monotonic() < moment:
            if os.waitpid(child, os.WNOHANG)[0]:
                self.lasts = time.monotonic() - started
                break
            time.sleep(0.001)
        else:
            os.kill(child, signal.SIGKILL)
            self.interrupted += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        self.site.settled()


def timed(site, rows):
    """Run a writer undisturbed; return how long it took."""
    started = time.monotonic()
    declare(site, rows=rows, exclusive=True)
    return time.monotonic() - started


def contents(site):
    _version, tables = load_snapshot(site.snapshot)
    return tables_of(site), {name: rows for name, rows in tables.items() if rows}


def clean(site):
    return sorted(os.listdir(site.parent)) == OURS[site.kind] and os.listdir(site.parent / "published") == ["site.json"]


@pytest.fixture
def laid_out(site, tmp_path):
    """Return a site whose node n1 is this machine, and whose image is laid out."""
    rows = {
        "policy": [{"priority": "4.7", "commands": "litefile,litetree", "rule": "allow"}],
        "nodelist": [{"node": "n1", "groups": "all"}],
        "hosts": [{"node": "n1", "ip": "127.0.0.1"}],
        "nodetype": [{"node": "n1", "provmethod": "img1"}],
        "osimage": [{"imagename": "img1", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "img1", "rootimgdir": str(tmp_path / "image")}],
    }
    with open_store(str(site)) as store:
        store.write([Change(TABLES[name], None, row) for name, each in rows.items() for row in each])
    (tmp_path / "image/rootimg/old").mkdir(parents=True)
    plan_tree(str(tmp_path / "image/rootimg"), Wanted("img1", entries_for(Site({**rows, "litefile": OLD[:3]}), "img1"))).apply()
    return site


def test_nodes_are_answered_through_many_killed_writers(laid_out, tmp_path):
    site, kills = laid_out, KILLS[laid_out.kind]
    pki = make_pki(tmp_path / "pki")
    snapshot = str(site.snapshot)
    declare(site, rows=OLD, exclusive=True)
    with Serving(snapshot, tmp_path / "spool", pki) as service, Asking(service.port, pki, QUESTIONS) as asking:
        said = {"OLD": asking.now()}
        lasts = timed(site, NEW)
        expected = {"NEW": contents(site)}
        said["NEW"] = asking.now()
        lasts = max(lasts, timed(site, OLD))
        expected["OLD"] = contents(site)
        assert said["OLD"] == asking.now()
        assert all(said["OLD"][question] != said["NEW"][question] for question in QUESTIONS)
        asking.gathered()
        killing = Killing(site, 20260101, lasts)
        for number in range(kills):
            before, after, rows = ("OLD", "NEW", NEW) if number % 2 == 0 else ("NEW", "OLD", OLD)
            version = load_snapshot(snapshot)[0]
            killing.kill(rows)
            published, tables = load_snapshot(snapshot)
            with open_store(str(site)) as store:
                committed = store.version
            assert (published, {name: each for name, each in tables.items() if each}) in (
                (version, expected[before][1]),
                (version + 1, expected[after][1]),
            )
            assert published <= committed <= version + 1
            assert tables_of(site) == expected[before if committed == version else after][0]
            meanwhile = asking.now()
            assert meanwhile == said[before if published == version else after]
            if number % 5 == 0:
                with Answering(snapshot, tmp_path / "other", pki) as restarted:
                    assert Asking(restarted.port, pki, QUESTIONS).now() == meanwhile
            declare(site, rows=rows, exclusive=True)
            assert asking.now() == said[after]
            only(asking.gathered(), said[before], said[after])
            assert contents(site) == expected[after]
            assert load_snapshot(snapshot)[0] == version + 1
            assert declare(site, rows=rows, exclusive=True) == []
            assert clean(site)
        assert asking.answered > 4 * kills * len(QUESTIONS)
        assert service.process.poll() is None
    assert killing.interrupted > kills / 4


def test_a_first_run_that_was_killed_is_mended_by_the_next_one(site):
    killing = Killing(site, 20260102, timed(site, NEW))
    expected = contents(site)
    for _number in range(FIRST_RUNS):
        site.forget()
        shutil.rmtree(site.parent)
        killing.kill(NEW)
        if site.snapshot.exists():
            load_snapshot(site.snapshot)
        declare(site, rows=NEW, exclusive=True)
        assert contents(site) == expected
        assert declare(site, rows=NEW, exclusive=True) == []
        assert clean(site)
    assert killing.interrupted > FIRST_RUNS / 4
