# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of the controller as one archive, and back; here because the lookup runs on the controller only."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.lookup.file_tree import packed
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.file_tree import plan_file_tree, unpacked


def test_a_directory_makes_the_same_archive_whatever_its_times(tmp_path: Path) -> None:
    script = tmp_path / "module-setup.sh"
    script.write_text("#!/bin/sh\n")
    first = packed(str(tmp_path))
    os.utime(script, (1, 1))
    assert packed(str(tmp_path)) == first
    assert [file.path for file in unpacked(first)] == ["/module-setup.sh"]


def test_something_else_than_an_archive_of_files_is_refused(tmp_path: Path) -> None:
    for content in ("nothing", base64.b64encode(b"nothing").decode()):
        with pytest.raises(SiteError, match="option content"):
            plan_file_tree({"dest": str(tmp_path), "content": content}, print)
