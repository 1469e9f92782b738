# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many files of one directory are replaced whole, with their content on the disk before the first has its name."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import files
from ansible_collections.diskless.statelite.plugins.module_utils.apply.files import FEW, STAGING, write_all


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


def tree(directory: Path) -> dict[str, tuple[str, str]]:
    return {path.name: (os.readlink(path), "link") if path.is_symlink() else (path.read_text(), "file") for path in directory.iterdir()}


def test_what_a_run_killed_at_its_third_rename_left_is_gone_after_the_next_one(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    wanted = {f"n{number}": b"new" for number in range(5)}
    for directory in (undisturbed, killed):
        directory.mkdir()
        (directory / "n0").write_text("old")
        (directory / f"{STAGING}note").write_text("somebody else's")
    write_all(str(undisturbed), wanted, {"link": "n0"})
    child = os.fork()
    if child == 0:
        rename, done = os.rename, iter(range(9))

        def at_the_third(old: str, new: str, **directories: int) -> None:
            if next(done) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(old, new, **directories)

        try:
            files.os.rename = at_the_third
            write_all(str(killed), wanted, {"link": "n0"})
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [path for path in killed.iterdir() if path.is_dir()]
    write_all(str(killed), wanted, {"link": "n0"})
    assert tree(killed) == tree(undisturbed)


def test_where_a_directory_cannot_be_locked_leftovers_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", no_lock)
    (tmp_path / f"{STAGING}x").mkdir()
    write_all(str(tmp_path), {"n0": b"new"}, {})
    assert {path.name for path in tmp_path.iterdir()} == {f"{STAGING}x", "n0"}
