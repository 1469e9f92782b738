# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options column in both spellings, and the paths that an entry may have."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.lite import (
    file_problem,
    location_warnings,
    normal_path,
    parse_options,
)

SPELLINGS = [
    ("", "tmpfs", "link"),
    ("ALL", "tmpfs", "link"),
    ("tmpfs,rw", "tmpfs", "link"),
    ("link", "tmpfs", "link"),
    ("tmpfs", "tmpfs", None),
    ("rw", "tmpfs", None),
    ("tempfs", "tmpfs", None),
    ("bind", "tmpfs", "bind"),
    ("bind,tmpfs", "tmpfs", "bind"),
    ("persistent", "persistent", None),
    ("link,persistent", "persistent", "link"),
    ("bind,persistent", "persistent", "bind"),
    ("ro", "ro", None),
    ("link,ro", "ro", "link"),
    ("bind,ro", "ro", "bind"),
    ("con", "con", None),
    ("link,con", "con", "link"),
    ("bind,con", "con", "bind"),
    ("localdisk", "localdisk", "bind"),
]


@pytest.mark.parametrize(("text", "storage", "attachment"), SPELLINGS)
def test_options_are_an_unordered_set_of_words(text, storage, attachment):
    for words in itertools.permutations(text.split(",")):
        assert parse_options(",".join(words)) == (storage, attachment)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("TMPFS", "Write tmpfs"),
        ("all", "Write ALL"),
        ("link, ro", "comma alone"),
        ("ro ", "comma alone"),
        ("ro,con", "Keep one of"),
        ("persistent,tmpfs", "Keep one of"),
        ("link,bind", "Keep link or bind"),
        ("link,bind,ro", "Keep link or bind"),
        ("ALL,ro", "Write ALL alone"),
        ("link,localdisk", "localdisk alone"),
        ("ro,ro", "once"),
        ("rw,", "Use "),
        ("writable", "Use "),
        ("\u201cro\u201d", "without quotes"),
    ],
)
def test_a_fault_in_the_options_is_told_with_its_mend(text, mend):
    with pytest.raises(SiteError) as raised:
        parse_options(text, "litefile ALL /x: options")
    (fault,) = raised.value.faults
    assert fault.where == "litefile ALL /x: options"
    assert mend in fault.mend


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        ("/etc/motd", "/etc/motd", "f"),
        ("/tmp/", "/tmp", "d"),
        ("/etc//hosts", "/etc/hosts", "f"),
        ("/var//log//", "/var/log", "d"),
        ("/etc/./a b:\u00fc", "/etc/a b:\u00fc", "f"),
        ("/etc/.", "/etc", "d"),
    ],
)
def test_a_path_is_normalised_and_names_stay_whole(text, path, kind):
    assert file_problem(text) is None
    assert normal_path(text) == (path, kind)


@pytest.mark.parametrize(
    "text",
    ["etc/motd", "/", "//", "/./", "/etc/../x", "/..", "/a\tb", "/a\nb", "/a\x7f", "/.statelite/tmpfs/x", "/.default/", "\u201c/x\u201d"],
)
def test_a_path_that_could_leave_the_image_or_break_a_plan_is_refused(text):
    assert file_problem(text) is not None


def test_a_state_directory_that_already_ends_in_the_node_is_warned_about():
    rows = [
        {"node": "n01", "statemnt": "s:/state/n01/"},
        {"node": "g", "statemnt": "s:/state/$node"},
        {"node": "g", "statemnt": "s:/state"},
    ]
    assert len(location_warnings(rows)) == 2
