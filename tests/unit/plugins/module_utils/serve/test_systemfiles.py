# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of services are what they have to be after one run, and what stands in the way is told all at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve.systemfiles import FilesPlan, plan_files

OWNER = {"owner": "root", "group": "root"}


def planned(*items: dict[str, Any]) -> FilesPlan:
    given = [{"kind": "file", "content": None, "mode": None, **OWNER, **item} for item in items]
    return plan_files({"files": given}, lambda _text: None)


def test_a_changed_file_is_replaced_and_shows_the_lines_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_text("a\nb\n")
    path.chmod(0o644)
    before = path.stat().st_ino
    plan = planned({"path": str(path), "content": "b\nc\n"})
    assert plan.lines() == [f"- {path}: a", f"+ {path}: c"]
    plan.apply()
    assert (path.read_text(), path.stat().st_ino == before) == ("b\nc\n", False)
    assert planned({"path": str(path), "content": "b\nc\n"}).lines() == []


def test_the_same_lines_in_another_order_are_a_change(tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_text("a\nb\n")
    assert planned({"path": str(path), "content": "b\na\n"}).lines() == [f"~ {path}"]


def test_a_directory_behind_a_link_is_the_directory(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o755)
    (tmp_path / "install").symlink_to("disk")
    assert planned({"path": f"{tmp_path}/install", "kind": "directory"}).lines() == []
    planned({"path": f"{tmp_path}/install/", "kind": "directory", "mode": "0700"}).apply()
    assert ((tmp_path / "install").is_symlink(), (tmp_path / "disk").stat().st_mode & 0o777) == (True, 0o700)


def test_a_file_without_content_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert planned({"path": str(tmp_path / "snapshot"), "mode": "0640"}).lines() == []


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SiteError) as error:
        planned(
            {"path": f"{tmp_path}/../x", "content": ""},
            {"path": f"{tmp_path}/file", "kind": "directory"},
            {"path": f"{tmp_path}/y", "kind": "directory", "content": "z", "group": "nobody-of-that-name"},
        )
    assert [fault.what for fault in error.value.faults] == [
        "is no absolute path",
        "there is no group nobody-of-that-name",
        "a directory has no content",
        "no directory is there",
    ]
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    link = tmp_path / "here.conf"
    link.symlink_to("elsewhere/one.conf")
    planned({"path": str(link), "content": "a\n"}).apply()
    assert (link.is_symlink(), (tmp_path / "elsewhere/one.conf").read_text()) == (True, "a\n")
    assert planned({"path": str(link), "content": "a\n"}).lines() == []
