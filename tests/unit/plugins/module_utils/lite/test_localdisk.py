# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's own disk, foretold: empty at a first boot, known to nobody but the node afterwards, and kept over reboots."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.lite.nodeview import DISK_WORDS

from .test_node_view import Lab

FILES = {"/srv/scratch/": "localdisk", "/etc/motd": "localdisk", "/var/log/": "localdisk", "/var/log/old": "bind,tmpfs"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.file("10.0.0.2/common/etc/motd", "level\n")
    made.litefile(FILES)
    return made


def told(lab: Lab, path: str, **options: str) -> tuple[str, str, str]:
    row = lab.tree(**options)[path]
    return row["origin"], row["place"], row["survives"]


def test_at_a_first_boot_the_disk_gets_what_levels_and_image_have(lab: Lab) -> None:
    assert told(lab, "/etc/motd", state="empty") == ("level 2", "localdisk", "yes")
    assert told(lab, "/srv/scratch", state="empty") == ("default", "localdisk", "yes")
    assert told(lab, "/var/log", state="empty") == ("default", "localdisk", "yes")
    assert told(lab, "/var/log/old", state="empty") == ("default", "tmpfs", "no")
    assert lab.ask(state="empty")["groups"][0]["count"] == 4


def test_what_a_node_has_kept_on_its_disk_is_not_guessed(lab: Lab) -> None:
    row = lab.tree()["/etc/motd"]
    assert (row["type"], row["reason"], row["place"], row["survives"]) == ("unknown", DISK_WORDS, "localdisk", "yes")
    group = lab.ask("n1")["groups"][0]
    assert {entry["path"]: entry["status"] for entry in group["entries"]} == {
        "/etc/motd": "unknown",
        "/srv/scratch": "unknown",
        "/var/log": "unknown",
        "/var/log/old": "done",
    }
    assert group["boots"], "whether the disk is there is seen at boot"


def test_a_copy_of_the_disk_is_looked_at_when_it_is_named(lab: Lab) -> None:
    lab.file("disks/n1/etc/motd", "kept\n")
    disks = {"localdisk:": str(lab.work / "disks"), "10.0.0.1:": str(lab.work / "10.0.0.1"), "10.0.0.2:": str(lab.work / "10.0.0.2")}
    found = lab.ask("n1-n2", level_paths=disks)
    rows = {group["nodes"][0]: {row["path"]: row for row in group["tree"]} for group in found["groups"]}
    assert rows["n1"]["/etc/motd"]["origin"] == "kept"
    assert rows["n1"]["/var/log"]["origin"] == "default"
    assert rows["n2"]["/etc/motd"]["reason"] == DISK_WORDS, "no copy of its disk was named"


def test_one_path_on_the_disk_is_explained(lab: Lab) -> None:
    found = lab.explained("/srv/scratch/big")
    assert found["writes_go_to"] == "the node's own disk (label statelite), /srv/scratch/big"
    assert (found["seen"]["type"], found["seen"]["reason"]) == ("unknown", DISK_WORDS)
    found = lab.explained("/etc/motd")
    assert (found["writes_go_to"], found["survives"]) == ("the node's own disk (label statelite), /etc/motd", "yes")
    assert [(one["source"], one["used"]) for one in found["sources"]] == [
        ("kept", False),
        ("level 1", False),
        ("level 2", False),
        ("default", False),
    ]
    assert found["sources"][0]["result"] == f"not known: {DISK_WORDS}"
    assert "writes go to: the node's own disk (label statelite), /etc/motd; kept over reboots" in lab.ask("n1", path="/etc/motd")["text"]
