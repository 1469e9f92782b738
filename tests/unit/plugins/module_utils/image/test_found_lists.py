# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no column names is found among the site's own files, the most particular name first (behaviour.md f.3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.definition import define
from ansible_collections.diskless.statelite.plugins.module_utils.image.dryrun import arguments
from ansible_collections.diskless.statelite.plugins.module_utils.image.exlist import Pattern
from ansible_collections.diskless.statelite.plugins.module_utils.image.packages import postinstall_of, read_exlist
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import Image


def image(tmp_path: Path, **columns: str) -> Image:
    row = {
        "osvers": "debian12",
        "osarch": "x86_64",
        "profile": "compute",
        "provmethod": "netboot",
        "pkgdir": "deb http://m/d bookworm main",
    }
    return Image("i", {**row, "pkglist": "linux-image-amd64", **columns}, str(tmp_path))


def put(tmp_path: Path, name: str, text: str, mode: int = 0o644) -> Path:
    path = tmp_path / "custom/netboot/debian" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_an_exclude_list_is_found_and_a_named_one_counts_more(tmp_path: Path) -> None:
    assert read_exlist(image(tmp_path), {}) == []
    put(tmp_path, "compute.exlist", "./boot*\n")
    assert read_exlist(image(tmp_path), {}) == [Pattern("./boot*")]
    put(tmp_path, "compute.debian12.x86_64.exlist", "./boot*\n+./boot/keep\n")
    assert read_exlist(image(tmp_path), {}) == [Pattern("./boot*"), Pattern("./boot/keep", True)]
    named = put(tmp_path, "named", "./srv/*\n")
    assert read_exlist(image(tmp_path, exlist=str(named)), {}) == [Pattern("./srv/*")]


def test_a_script_is_found_told_in_the_command_and_has_to_be_executable(tmp_path: Path) -> None:
    assert postinstall_of(image(tmp_path)) == ""
    script = put(tmp_path, "compute.debian12.postinstall", "#!/bin/sh\n", 0o755)
    definition = define(image(tmp_path), "/none", 60, here=False)
    assert [list(words) for words in definition.postinstall] == [[str(script)]]
    words = arguments(definition)
    assert words[words.index("--postinstall") + 1] == str(script)
    named = define(image(tmp_path, postinstall="/bin/true -x"), "/none", 60, here=False)
    assert [list(words) for words in named.postinstall] == [["/bin/true", "-x"]]
    script.chmod(0o644)
    with pytest.raises(SiteError, match="is not executable"):
        define(image(tmp_path), "/none", 60, here=False)
