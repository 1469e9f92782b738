# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many files of one directory are replaced whole, with their content on the disk before the first has its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import files
from ansible_collections.diskless.statelite.plugins.module_utils.apply.files import FEW, write_all


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_files_and_links_are_as_given_and_nothing_else_is_left(tmp_path: Path, count: int) -> None:
    (tmp_path / "n0").write_text("old")
    (tmp_path / "link").symlink_to("old")
    names = {f"n{number}": f"content {number}" for number in range(count)}
    write_all(str(tmp_path), {name: text.encode() for name, text in names.items()}, {"link": "n0"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {**names, "link": "content 0"}
    assert os.readlink(tmp_path / "link") == "n0"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_nothing_has_its_name_before_all_content_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    synced: list[set[str]] = []
    few, many = os.fsync, files._sync_file_system

    def noted_few(descriptor: int) -> None:
        synced.append({path.name for path in tmp_path.iterdir() if path.is_file()})
        few(descriptor)

    def noted_many(path: str) -> None:
        synced.append({path.name for path in tmp_path.iterdir() if path.is_file()})
        many(path)

    monkeypatch.setattr(os, "fsync", noted_few)
    monkeypatch.setattr(files, "_sync_file_system", noted_many)
    write_all(str(tmp_path), {f"n{number}": b"x" for number in range(count)}, {})
    assert synced[:-1] == [set()] * (FEW if count == FEW else 1)
    assert len(synced[-1]) == count


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "n0").write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_all(str(tmp_path), {"n0": b"new"}, {"l": "n0"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"n0": "old"}
