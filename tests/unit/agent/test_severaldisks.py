# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More than one disk that could be the node's own: a late one is never replaced, and of several the one with its directory is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .disks import SIZE, Disks, run
from .node import Node
from .test_agent import node_with
from .test_localdisk import FILES, SMALLEST_XFS, boot, failures, told


@pytest.fixture
def node(tmp_path: Path, pki: Path) -> Node:
    return node_with(tmp_path, pki, FILES)


@pytest.mark.parametrize("late", ["not there", "without medium"])
def test_nothing_is_formatted_after_a_listed_disk_that_is_late_and_its_content_is_there_again(late: str, node: Node, disks: Disks) -> None:
    first, blank = disks.add(), disks.add()
    name = f"/dev/shm/{disks.label}" if late == "not there" else first.device
    disks.declare(node, f"{name},{blank.device}")
    link = Path("/dev/shm", disks.label)
    before = blank.digest()
    try:
        link.symlink_to(first.device)
        assert told(boot(node))["message"] == "formatted"
        first.inside(f"echo 'a year of content' > {first.own(node)}/etc/kept")
        disks.take_medium(first)
        link.unlink()
        missed = boot(node)
        (message,) = failures(missed)
        assert (
            f"{name} {'is not there' if late == 'not there' else 'has no medium'}; {blank.device} comes after {name}, which may hold"
            in message
        )
        assert f"{blank.device} is not formatted: it comes after {name}" in missed.text("console")
        assert blank.digest() == before
        disks.give_medium(first)
        link.symlink_to(first.device)
        done = boot(node, paths=["/etc/kept"])
        assert done.seen["/etc/kept"]["content"] == "a year of content\n", done.log
        assert told(done)["message"] == "-"
        assert blank.digest() == before
    finally:
        link.unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("first", [True, False])
def test_of_several_with_the_label_the_one_with_this_nodes_directory_is_taken(kind: str, first: bool, node: Node, disks: Disks) -> None:
    size = SIZE if kind == "ext4" else SMALLEST_XFS
    both = [disks.add(size), disks.add(size)]
    for disk in both:
        disk.make(disks.label, kind=kind)
    mine, other = both if first else reversed(both)
    mine.inside(f"mkdir -p {mine.own(node)}/etc && echo mine > {mine.own(node)}/etc/kept")
    other.inside(f"mkdir -p {mine.own(node, 'n2')}/etc && echo other > {mine.own(node, 'n2')}/etc/kept")
    disks.declare(node)
    before = other.digest()
    done = boot(node, paths=["/etc/kept"])
    assert done.seen["/etc/kept"]["content"] == "mine\n", done.log
    said = told(done)
    assert (said["status"], said["device"]) == ("mounted", mine.device)
    assert said["message"].startswith("the one of several with the label (")
    assert all(each.device in said["message"] for each in both)
    assert f"local disk: {mine.device} is the one of several" in done.text("console")
    assert other.digest() == before
    assert json.loads((node.work / "spool/n1.json").read_text())["report"]["disk"] == said


def test_several_that_all_hold_this_nodes_directory_are_refused_by_name(node: Node, disks: Disks) -> None:
    both = [disks.add(), disks.add()]
    for disk in both:
        disk.make(disks.label)
        disk.inside(f"mkdir -p {disk.own(node)}")
    disks.declare(node)
    before = [disk.digest() for disk in both]
    (message,) = failures(boot(node))
    assert f"several file systems have the label {disks.label} (" in message
    assert f" hold {both[0].own(node)}" in message
    assert [disk.digest() for disk in both] == before


def test_one_of_several_that_cannot_be_looked_into_may_be_the_one(node: Node, disks: Disks) -> None:
    mine, broken = disks.add(), disks.add()
    for disk in (mine, broken):
        disk.make(disks.label)
    mine.inside(f"mkdir -p {mine.own(node)}")
    run("debugfs", "-w", "-R", "clri <2>", broken.device)
    disks.declare(node)
    (message,) = failures(boot(node))
    assert f"{broken.device} can't be looked into" in message
