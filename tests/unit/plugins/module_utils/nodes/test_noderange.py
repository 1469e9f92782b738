# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noderanges give what the original gave (answers nr_*)."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.recorded import cases, restored
from hypothesis import given, settings
from hypothesis import strategies as st

FILE_LINES = "# nodes of the file\nn2\nn3-n4 text after the blank\n"
"""What the recorded run had in /tmp/nrfile (its answer is n2 to n4)."""


def recorded_site() -> Site:
    """The site of the recorded answers; the node types are those that its answers show."""
    return Site(
        {
            "nodelist": restored("restore_nodelist"),
            "noderes": restored("restore_noderes"),
            "nodegroup": restored("restore_nodegroup"),
            "nodetype": [{"node": "n3", "os": "rhels9.4", "arch": "x86_64"}, {"node": "n4", "os": "rhels9.4", "arch": "ppc64le"}],
        }
    )


ANSWERS = {name: answer for name, answer in json.loads((cases() / "answers.json").read_text()).items() if name.startswith("nr_")}


@pytest.mark.parametrize("name", sorted(set(ANSWERS) - {"nr_17", "nr_34"}))  # these two are ours, below
def test_a_recorded_noderange_gives_the_recorded_nodes(name: str) -> None:
    noderange = shlex.split(ANSWERS[name]["cmd"])[1]
    site = recorded_site()
    if ANSWERS[name]["rc"].strip() == "0":
        assert expand(site, noderange, lambda path: FILE_LINES) == ANSWERS[name]["out"].split()
        return
    unknown = re.search(r"noderange: (.*)", ANSWERS[name]["err"])
    with pytest.raises(SiteError) as error:
        expand(site, noderange)
    assert unknown and unknown.group(1).replace(",", ", ") in str(error.value)


def test_a_dynamic_group_has_the_nodes_that_its_condition_chooses() -> None:
    assert expand(recorded_site(), "dyn") == ["n3", "n4"]


def nested_site() -> Site:
    """Groups that are members of groups: outer has middle, that has inner (listed by n1), dyn (n2), and outer again."""
    return Site(
        {
            "nodelist": [{"node": "n1", "groups": "inner"}, {"node": "n2", "groups": "other"}, {"node": "n3", "groups": "other"}],
            "nodetype": [{"node": "n2", "os": "debian12"}],
            "nodegroup": [
                {"groupname": "outer", "membergroups": "middle"},
                {"groupname": "middle", "membergroups": "inner, dyn,outer"},
                {"groupname": "dyn", "grouptype": "dynamic", "wherevals": "nodetype.os==debian12"},
            ],
        }
    )


@pytest.mark.parametrize("group", ["outer", "middle"])
def test_a_group_has_the_nodes_of_its_member_groups_at_every_depth(group: str) -> None:
    assert expand(nested_site(), group) == ["n1", "n2"]


def test_groups_that_are_members_of_each_other_are_asked_once() -> None:
    rows = [{"groupname": "a", "membergroups": "b"}, {"groupname": "b", "membergroups": "a,c"}, {"groupname": "c", "membergroups": "b,c"}]
    nodes = [{"node": "n1", "groups": "a"}, {"node": "n2", "groups": "c"}]
    assert expand(Site({"nodelist": nodes, "nodegroup": rows}), "b") == ["n1", "n2"]


def test_an_exclusion_alone_is_refused() -> None:
    with pytest.raises(SiteError, match="begins with an exclusion"):
        expand(recorded_site(), "-n1")


def test_exclusions_hold_wherever_they_stand() -> None:
    assert "n1" not in expand(recorded_site(), "compute,-n1,n1")


def test_a_padded_range_keeps_its_zeros() -> None:
    site = Site({"nodelist": [{"node": f"n{number:03d}"} for number in range(1, 121)]})
    assert expand(site, "n[001-100]") == [f"n{number:03d}" for number in range(1, 101)]
    assert expand(site, "n098-n101") == ["n098", "n099", "n100", "n101"]
    assert expand(site, "n009+2") == ["n009", "n010", "n011"]


def test_a_node_name_with_a_dash_is_a_name_and_not_a_range() -> None:
    site = Site({"nodelist": [{"node": name} for name in ("rack-1", "rack-2", "rack-3")]})
    assert expand(site, "rack-1") == ["rack-1"]
    assert expand(site, "rack-1-rack-3") == ["rack-1", "rack-2", "rack-3"]


def test_excluded_nodes_of_the_site_are_in_no_range() -> None:
    site = Site({"nodelist": [{"node": "n1"}, {"node": "n2"}], "site": [{"key": "excludenodes", "value": "n2"}]})
    assert expand(site, "n1,n2") == ["n1"]


def test_every_unknown_name_is_listed() -> None:
    with pytest.raises(SiteError, match="called x, y"):
        expand(recorded_site(), "x,n1,y")


@pytest.mark.parametrize("noderange", ["n1-n999999999", "/n(", "nodetype.nosuch==x", "policy.rule==allow", "bogus==1", "^/none"])
def test_a_range_that_means_nothing_is_refused(noderange: str) -> None:
    with pytest.raises(SiteError):
        expand(recorded_site(), noderange)


NAMES = [f"n{number}" for number in range(1, 21)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1), st.lists(st.sampled_from(NAMES)))
def test_a_list_and_exclusions_are_set_arithmetic(wanted: list[str], out: list[str]) -> None:
    text = ",".join([*wanted, *(f"-{name}" for name in out)])
    assert expand(recorded_site(), text) == sorted(set(wanted) - set(out))
