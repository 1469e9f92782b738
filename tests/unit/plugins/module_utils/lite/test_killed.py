# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""liteimg is killed with SIGKILL at any point; the next run ends in the tree of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.journal import Journal
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images

KILLS = 50
TREE = [
    {"path": "/etc", "type": "d", "mode": "0755"},
    *({"path": f"/etc/{name}", "type": "f", "mode": "0640", "content": f"{name}\n"} for name in ("hosts", "motd", "fstab", "ntp.conf")),
    {"path": "/etc/local", "type": "l", "target": "hosts"},
    {"path": "/etc/out", "type": "l", "target": "../usr/x"},
    {"path": "/root", "type": "d", "mode": "0700"},
    {"path": "/root/.ssh", "type": "d", "mode": "0700"},
    {"path": "/root/.ssh/id", "type": "f", "mode": "0600", "content": "SECRET\n"},
    {"path": "/usr/x", "type": "f", "mode": "0644", "content": "x\n"},
    {"path": "/var/log/app", "type": "d", "mode": "2755"},
    {"path": "/var/log/app/a.log", "type": "f", "mode": "0644", "content": "a\n"},
    {"path": "/var/run", "type": "l", "target": "/run"},
]
FIRST = {"/etc/hosts": "", "/etc/local": "", "/root/.ssh/": "link,persistent", "/var/log/": "bind", "/srv/new/deep": "", "/var/run/": ""}
SECOND = {
    "/etc/": "",
    "/etc/hosts": "",
    "/etc/new/dir/": "",
    "/root/": "link,persistent",
    "/root/.ssh/": "",
    "/var/log/app/": "bind,persistent",
}


def site(table: dict[str, str] | None) -> Site:
    """Return the tables of a site with one image."""
    return Site(
        {
            "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "c", "provmethod": "statelite"}],
            "litefile": images.rows_of(table or {}),
        }
    )


def run(directory: Path, table: dict[str, str] | None) -> list[str]:
    """Run liteimg on an image directory; None stands for state absent."""
    plan = plan_image(site(table), "img1", table is not None, rootimgdir=str(directory))
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines


def plain(directory: Path) -> Path:
    """Make an image directory with a plain tree."""
    images.build(directory / "rootimg", TREE)
    return directory


def unpublished(directory: Path) -> Path:
    """Make an image directory with one generation as genimage leaves it."""
    first = directory / "generations" / "1"
    images.build(first / "rootimg", TREE)
    for name in ("kernel", "initrd-statelite.gz", "record.json"):
        (first / name).write_text("{}\n", encoding="utf-8")
    return directory


def published(directory: Path) -> Path:
    """Make an image directory with one published generation that is laid out for FIRST."""
    run(unpublished(directory), FIRST)
    return directory


def laid_out(directory: Path) -> Path:
    """Make an image directory with a plain tree that is laid out for FIRST."""
    run(plain(directory), FIRST)
    return directory


def state(directory: Path) -> dict[str, Any]:
    """Return everything that must be as after an undisturbed run: all trees, and nothing beside them.

    Marks without their journal, which a kill between the two unlinks leaves, are read by nobody and written over by the next run.
    """
    found: dict[str, Any] = {}
    for root in sorted(directory.rglob("rootimg")):
        if not root.is_symlink():
            found[str(root.relative_to(directory))] = images.timeless(images.snapshot(root))
    found["current"] = os.readlink(directory / "current") if (directory / "current").is_symlink() else None
    beside = [path for path in directory.rglob("*") if "rootimg" not in path.parts and path.name not in ("lock", ".liteimg", "marks")]
    found["names"] = sorted(str(path.relative_to(directory)) for path in beside)
    return found


def killed(act: Callable[[], object], at: int) -> bool:
    """Run `act` in a child that kills itself at its call number `at` into C; tell whether it got that far."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            if event == "c_call":
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(counted)
        act()
        sys.setprofile(None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def calls(act: Callable[[], object]) -> int:
    """Return how many calls into C an undisturbed run makes."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "c_call"

    sys.setprofile(counted)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "made, table",
    [(plain, FIRST), (laid_out, SECOND), (laid_out, None), (unpublished, FIRST), (published, SECOND)],
    ids=["first run", "edited table", "absent", "publishing", "new generation"],
)
def test_killed_at_random_points_the_next_run_ends_in_the_same_tree(tmp_path, made, table):
    undisturbed = made(tmp_path / "undisturbed")
    total = calls(lambda: run(undisturbed, table))
    expected = state(undisturbed)
    chance = random.Random(20240229)
    hits = 0
    for number in range(KILLS if made in (plain, laid_out) else KILLS // 2):
        directory = made(tmp_path / str(number))
        hits += killed(lambda directory=directory: run(directory, table), chance.randint(1, total))
        run(directory, table)
        assert state(directory) == expected
        assert run(directory, table) == []
    assert hits > KILLS // 4


def test_killed_before_and_after_every_journal_step(tmp_path):
    expected = state_after_all(tmp_path / "undisturbed")
    count = len(plan_image(site(SECOND), "img1", rootimgdir=str(laid_out(tmp_path / "counted"))).tree.operations)
    assert count > 20
    for step in range(2 * count):
        directory = laid_out(tmp_path / str(step))
        if os.fork() == 0:
            original, done = Journal._step, iter(range(count + 1))

            def stepped(self, root, operation, original=original, done=done, step=step):
                number = next(done)
                if step == 2 * number:
                    os.kill(os.getpid(), signal.SIGKILL)
                original(self, root, operation)
                if step == 2 * number + 1:
                    os.kill(os.getpid(), signal.SIGKILL)

            Journal._step = stepped
            run(directory, SECOND)
            os._exit(0)
        assert os.WIFSIGNALED(os.wait()[1])
        lines = run(directory, SECOND)
        assert lines
        assert all(line.startswith("finish ") for line in lines)
        assert state(directory) == expected


def state_after_all(directory: Path) -> dict[str, Any]:
    """Return the state after two undisturbed runs."""
    run(laid_out(directory), SECOND)
    return state(directory)


def test_a_run_that_was_cut_off_is_told_by_a_check_without_writing(tmp_path):
    directory = laid_out(tmp_path / "image")
    if os.fork() == 0:
        original, done = Journal._step, iter(range(9))

        def stepped(self, root, operation):
            if next(done) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            original(self, root, operation)

        Journal._step = stepped
        run(directory, SECOND)
    os.wait()
    before = images.snapshot(directory)
    plan = plan_image(site(SECOND), "img1", rootimgdir=str(directory))
    assert plan.lines()
    told = plan.result()
    assert images.snapshot(directory) == before
    plan.apply()
    assert plan.result() == told
