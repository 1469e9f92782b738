# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a loss of power the marks of a journal may tell less or more than the tree: the next run ends in the undisturbed tree."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.operations import MakeLink, Move, Operation, RemoveLink
from ansible_collections.diskless.statelite.plugins.module_utils.apply.position import Positions
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import journal_of
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_killed import FIRST, SECOND, plain, run, site

NEXT = (FIRST, SECOND, None, {"/etc/": "link,persistent", "/etc/hosts": "", "/var/": "bind"})


def tree_of(directory: Path) -> dict[str, object]:
    """Return everything of the tree but the times of what was made anew."""
    return images.timeless(images.snapshot(directory / "rootimg"))


def planned(directory: Path, table: dict[str, str] | None) -> list[Operation]:
    """Return the operations of a run."""
    return plan_image(site(table), "img1", table is not None, rootimgdir=str(directory)).tree.operations


def cut_off(directory: Path, table: dict[str, str] | None, done: int, marked: int) -> int:
    """Leave what a machine leaves that lost power when `done` operations were on its disk and `marked` marks; return how many there are."""
    root = str(directory / "rootimg")
    operations = planned(directory, table)
    journal = journal_of(root)
    os.makedirs(journal.directory, exist_ok=True)
    journal._write(operations)
    with Root(root) as opened:
        for operation in operations[:done]:
            operation.run(opened)
    Path(journal.marks).write_bytes(b"." * min(marked, len(operations)))
    return len(operations)


@pytest.mark.parametrize("number", range(1, len(NEXT)))
def test_whatever_marks_and_tree_kept_of_a_run_the_next_one_ends_in_the_undisturbed_tree(tmp_path, number):
    chance = random.Random(number)
    undisturbed = plain(tmp_path / "undisturbed")
    run(undisturbed, NEXT[number - 1])
    count = len(planned(undisturbed, NEXT[number]))
    run(undisturbed, NEXT[number])
    wanted = tree_of(undisturbed)
    for done in range(0, count + 1, 5):
        for marked in sorted({0, chance.randrange(count + 1), count}):
            directory = plain(tmp_path / f"{done}.{marked}")
            run(directory, NEXT[number - 1])
            assert cut_off(directory, NEXT[number], done, marked) == count
            run(directory, NEXT[number])
            assert tree_of(directory) == wanted, (done, marked)
            assert run(directory, NEXT[number]) == []


def test_how_far_a_run_came_is_found_from_the_tree(tmp_path):
    (tmp_path / "a").symlink_to("kept/a")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/a").write_text("the only copy", encoding="utf-8")
    operations = [RemoveLink("/a", "kept/a"), Move("/kept/a", "/a", "restore")]
    with Root(str(tmp_path)) as root:
        for done in range(3):
            assert [Positions(root, operations).found(marked) for marked in range(3)] == [done] * 3
            if done < 2:
                operations[done].run(root)


def test_nothing_is_removed_that_was_not_made(tmp_path):
    (tmp_path / "a").write_text("the only copy", encoding="utf-8")
    with Root(str(tmp_path)) as root:
        with pytest.raises(FileExistsError):
            RemoveLink("/a", "kept/a").run(root)
        with pytest.raises(SiteError, match="changed by somebody else"):
            journal_of(str(tmp_path / "rootimg")).run(root, [RemoveLink("/a", "kept/a"), MakeLink("/b", "a")])
    assert (tmp_path / "a").read_text(encoding="utf-8") == "the only copy"
