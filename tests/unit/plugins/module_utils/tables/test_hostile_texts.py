# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for tables that fuzzing found to be misread or to end in an exception."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.declared import declared_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.forms import Parsed, parse, to_csv
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES, check_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.stanzas import is_stanza_text
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import NODE

LITEFILE = TABLES["litefile"]


@pytest.mark.parametrize("comments", ["first line:\nsecond", "ends with:", "n1:\n    objtype=node"])
def test_a_comment_that_looks_like_an_object_leaves_a_table_a_table(comments):
    text = to_csv(LITEFILE, [{"file": "/x", "comments": comments}])
    assert not is_stanza_text(text)
    assert parse(text, LITEFILE.names, "content").rows[0]["comments"] == comments


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_json_that_is_nested_too_deeply_is_refused_at_its_line(depth):
    with pytest.raises(SiteError, match="content line 2: it is no JSON"):
        parse('{"file": "/x"}\n{"file": ' + "[" * depth, LITEFILE.names, "content")


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\x85", "\x7f", "\x01"])
def test_a_path_that_no_xml_document_can_hold_is_refused(character):
    (fault,) = check_rows(LITEFILE, [{"file": f"/etc/a{character}"}])
    assert "control character" in fault.what


@pytest.mark.parametrize("path", ["/etc/" + "x" * 256, "/etc/" + "\u00fc" * 128, "/" + "x/" * 2000])
def test_a_path_that_no_file_system_takes_is_refused(path):
    (fault,) = check_rows(LITEFILE, [{"file": path}])
    assert "longer than a path can be" in fault.what
    assert check_rows(LITEFILE, [{"file": "/etc/" + "x" * 255}, {"file": "/etc/" + "\u00fc" * 127}]) == []


@pytest.mark.parametrize("whole", [{"room": "r"}, ["r"], "r"])
def test_a_part_that_is_given_whole_and_by_column_is_refused(whole):
    for row in ({"node": "n1", "nodepos": whole, "nodepos.rack": "1"}, {"node": "n1", "nodepos.rack": "1", "nodepos": whole}):
        faults = declared_rows(NODE, Parsed([row], ["row 1"]))[1]
        assert "nodelist (row 1): nodepos.rack: nodepos is given whole as well. Give nodepos.rack or nodepos" in [
            str(fault) for fault in faults
        ]
