# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel and initramfs are replaced as a pair, and what else lies beside them stays, also when the run is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.pairs import Pair


class Killed(BaseException):
    """What ends a process."""


def test_what_lies_beside_a_pair_outlives_a_run_that_is_killed_at_any_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "xcat/osimage/img1"
    for name in ("kernel", "initrd", "3/kernel", "4/kernel"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("old")
        (tmp_path / os.path.basename(name)).write_text("new one")
    pair = Pair("xcat/osimage/img1", {name: str(tmp_path / name) for name in ("kernel", "initrd")})
    rename = os.rename
    for left in (0, 1, 2, 9):
        with monkeypatch.context() as context:
            count = iter(range(left))

            def killed(source: str, destination: str, count: Iterator[int] = count) -> None:
                if next(count, None) is None:
                    raise Killed
                rename(source, destination)

            context.setattr(os, "rename", killed)
            try:
                pair.put(str(tmp_path))
            except Killed:
                assert left < 9 and pair.differs(str(tmp_path))
    assert not pair.differs(str(tmp_path))
    assert sorted(os.listdir(target)) == ["3", "4", "initrd", "kernel"]
    assert [(target / name).read_text() for name in ("3/kernel", "4/kernel", "kernel")] == ["old", "old", "new one"]
    assert os.listdir(target.parent) == ["img1"]
