# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a generation is told to hold before it is sent to another machine."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.image.sending import take_stock


def test_a_generation_that_was_packed_is_told_with_its_link(tmp_path: Path) -> None:
    made = Generation(str(tmp_path), 1)
    (Path(made.rootimg) / "etc").mkdir(parents=True)
    (Path(made.path) / "kernel").write_text("kernel")
    (Path(made.path) / "rootimg-0123456789ab.cpio.gz").write_text("all of it")
    (Path(made.path) / "rootimg.cpio.gz").symlink_to("rootimg-0123456789ab.cpio.gz")
    files = take_stock(made).files
    assert sorted(files) == ["kernel", "rootimg-0123456789ab.cpio.gz", "rootimg.cpio.gz"]
    assert files["rootimg.cpio.gz"] == "link to rootimg-0123456789ab.cpio.gz"
