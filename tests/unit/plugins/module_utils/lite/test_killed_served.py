# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""While liteimg lays an image out, is killed and is run again, the nodes of the image are answered: the old plan or the new one."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import current
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.asking import Asking, Question, Serving, only
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import make_pki, publish
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images, test_killed
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_killed import FIRST, KILLS, SECOND

PLAN: Question = ("bootplan", "image=img1")
RUNNING: Question = ("bootplan", "image=img1", "generation=1")
"""What a node asks whose kernel words name the generation that it boots."""


def serve(directory: Path, table: Mapping[str, str]) -> Path:
    """Publish the site of an image directory, with this machine as its node; return the snapshot."""
    rows = {
        "policy": [{"priority": "1", "commands": "litefile,litetree", "rule": "allow"}],
        "nodelist": [{"node": "n1", "groups": "all"}],
        "hosts": [{"node": "n1", "ip": "127.0.0.1"}],
        "nodetype": [{"node": "n1", "provmethod": "img1"}],
        "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "c", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "img1", "rootimgdir": str(directory)}],
        "statelite": [{"node": "n1", "statemnt": "10.0.0.1:/state"}],
        "litefile": images.rows_of(table),
    }
    snapshot = directory.parent / "published" / "site.json"
    publish(snapshot, rows)
    return snapshot


def entries(answer: str) -> set[str]:
    """Return the paths of a plan's entries."""
    return set(re.findall(r"<data>entry\t([^\t]+)\t", answer))


@pytest.mark.parametrize("made", [test_killed.laid_out, test_killed.published], ids=["in place", "new generations"])
def test_nodes_are_answered_through_fifty_killed_runs(tmp_path, made):
    directory = made(tmp_path / "image")
    snapshot = serve(directory, FIRST)
    pki = make_pki(tmp_path / "pki")
    kept = made(tmp_path / "counted")
    total = test_killed.calls(lambda: test_killed.run(kept, SECOND))
    chance = random.Random(20240301)
    questions = [PLAN, RUNNING] if made is test_killed.published else [PLAN]
    hits = 0
    with Serving(snapshot, tmp_path / "spool", pki) as service, Asking(service.port, pki, questions) as asking:
        for number in range(KILLS):
            table = SECOND if number % 2 == 0 else FIRST
            serve(directory, table)
            before = asking.now()
            asking.gathered()
            hits += test_killed.killed(lambda table=table: test_killed.run(directory, table), chance.randint(1, total))
            meanwhile = asking.now()
            test_killed.run(directory, table)
            after = asking.now()
            only(asking.gathered(), before, after)
            assert meanwhile[PLAN] in (before[PLAN], after[PLAN])
            assert entries(before[PLAN]) != entries(after[PLAN])
            assert entries(after[PLAN]) >= {path.rstrip("/") for path in table if path != "/var/run/"}
            assert "pending liteimg" in before[PLAN]
            assert "pending liteimg" not in after[PLAN]
            assert before.get(RUNNING) == after.get(RUNNING)
            assert test_killed.run(directory, table) == []
        assert asking.answered > 4 * KILLS
        assert service.process.poll() is None
    assert hits > KILLS // 4
    if made is test_killed.published:
        assert current(str(directory)).number > KILLS
        assert min(os.listdir(directory / "generations"), key=int) == "1"
