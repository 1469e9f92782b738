# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exclude lists: what is read from which file, and every fault of them."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.exlist import Pattern, parse_exlist


def parse(items: list[str], files: dict[str, str], **environment: str) -> list[Pattern]:
    return parse_exlist(items, files.get, environment, "exlist")


def test_patterns_keep_their_order_and_plus_takes_in_again() -> None:
    text = "# what no node needs\n./usr/share/doc/*\n-./usr/share/man/*   # manuals\n+./usr/share/doc/ours*\n\n./a name with blanks\n"
    assert parse(["/l"], {"/l": text}) == [
        Pattern("./usr/share/doc/*"),
        Pattern("./usr/share/man/*"),
        Pattern("./usr/share/doc/ours*", included=True),
        Pattern("./a name with blanks"),
    ]


def test_an_include_starts_from_the_directory_of_the_top_level_file_and_loops_are_refused() -> None:
    files = {"/a/top": "#INCLUDE:below/one#\n./top\n", "/a/below/one": "#INCLUDE:$NAME#\n", "/a/two": "./two\n"}
    assert parse(["/a/top"], files, NAME="two") == [Pattern("./two"), Pattern("./top")]
    with pytest.raises(SiteError, match="includes itself: /a/top -> /a/two -> /a/top"):
        parse(["/a/top"], {"/a/top": "#INCLUDE:two#", "/a/two": "#INCLUDE:top#"})


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SiteError) as raised:
        parse(["/l", "/none"], {"/l": "/usr/share/doc\n./../etc\n#INCLUDE:gone#\n"})
    assert [fault.where for fault in raised.value.faults] == ["/l line 1", "/l line 2", "/l line 3", "exlist"]
    assert parse([], {}) == []
