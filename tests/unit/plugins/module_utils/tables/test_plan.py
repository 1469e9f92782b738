# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of rows: what is declared stands afterwards, what stands already is no change."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import (
    after_changes,
    by_key,
    exclusive_keys,
    lines_of,
    plan_table,
)
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from hypothesis import given
from hypothesis import strategies as st

LITEFILE = TABLES["litefile"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {"image": st.sampled_from(["", "ALL", "i1", "i2"]), "file": st.sampled_from(["/a", "/b", "/c/"])},
        optional={"options": st.sampled_from(["", "ro", "con"])},
    ),
    unique_by=LITEFILE.key_of,
)


def carried_out(present, changes):
    return after_changes({"litefile": present}, changes).get("litefile", present)


@given(ROWS, ROWS)
def test_declared_rows_stand_others_stay_and_a_second_plan_is_empty(present, declared):
    after = carried_out(present, plan_table(LITEFILE, present, declared))
    assert plan_table(LITEFILE, after, declared) == []
    kept = {key: row for key, row in by_key(LITEFILE, present).items() if key not in by_key(LITEFILE, declared)}
    assert {key: row for key, row in by_key(LITEFILE, after).items() if key in kept} == kept


@given(ROWS, ROWS)
def test_exclusive_leaves_exactly_what_is_declared(present, declared):
    going = exclusive_keys(LITEFILE, present, declared, None, True)
    after = carried_out(present, plan_table(LITEFILE, present, declared, going))
    assert by_key(LITEFILE, after).keys() == by_key(LITEFILE, declared).keys()


@given(ROWS, ROWS, st.sampled_from(["ALL", "", "i1"]))
def test_exclusive_for_an_image_touches_no_row_of_another(present, declared, image):
    going = exclusive_keys(LITEFILE, present, declared, image, True)
    assert {key[0] for key in going} <= {image or "ALL"}
    assert going.isdisjoint(by_key(LITEFILE, declared))


@given(ROWS, ROWS)
def test_changed_is_exactly_a_difference_between_before_and_after(present, declared):
    changes = plan_table(LITEFILE, present, declared)
    after = carried_out(present, changes)
    meaning = [{key: row.get("options", "") for key, row in by_key(LITEFILE, rows).items()} for rows in (present, after)]
    assert bool(lines_of(changes)) == (meaning[0] != meaning[1])


def test_a_blank_image_declared_as_all_is_no_change():
    assert plan_table(LITEFILE, [{"image": "", "file": "/a"}], [{"image": "ALL", "file": "/a", "options": ""}]) == []


def test_an_empty_list_removes_nothing_unless_that_is_said():
    with pytest.raises(SiteError, match="all 1 rows"):
        exclusive_keys(LITEFILE, [{"file": "/a"}], [], None, False)
    with pytest.raises(SiteError, match="image i1"):
        exclusive_keys(LITEFILE, [{"image": "i1", "file": "/a"}], [{"file": "/b"}], "i1", False)
    assert exclusive_keys(LITEFILE, [{"file": "/a"}], [], None, True) == {("ALL", "/a")}


def test_lines_name_the_row_and_both_values_and_are_sorted():
    present = [{"file": "/etc/motd"}, {"file": "/z"}]
    declared = [{"file": "/etc/motd", "options": "con"}, {"image": "i", "file": "/b", "options": "ro"}]
    assert lines_of(plan_table(LITEFILE, present, declared, {("ALL", "/z")})) == [
        "litefile ALL /etc/motd: options: '' -> 'con'",
        "litefile ALL /z: removed",
        "litefile i /b: added options='ro'",
    ]
