# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's patterns of hosts in a noderange, what is told of parts that mean nothing, and ten thousand nodes."""

from __future__ import annotations

import time

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand, read_names
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

ROWS = [{"node": f"n{number}", "groups": "compute,rack1" if number < 6 else "compute,rack2"} for number in range(1, 11)]
ROWS += [{"node": "login1"}, {"node": "store7", "groups": "storage"}]
SITE = Site({"nodelist": ROWS, "hosts": [{"node": "n3", "ip": "fd00::3"}]})


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("rack1:storage", "n1 n2 n3 n4 n5 store7"),
        ("compute:&rack1:!n3", "n1 n2 n4 n5"),
        ("compute,&rack1,!n3", "n1 n2 n4 n5"),
        ("!compute", "login1 store7"),
        ("all:!compute", "login1 store7"),
        ("ungrouped", "login1"),
        ("n1*", "n1 n10"),
        ("store?:login*", "login1 store7"),
        ("r*2", "n10 n6 n7 n8 n9"),
        ("~n[12]$", "n1 n2"),
        ("~n[12]", "n1 n10 n2"),
        ("compute[0]", "n1"),
        ("compute[-1]", "n10"),
        ("compute[7:]", "n10 n8 n9"),
        ("rack2[0:1]", "n6 n7"),
        ("n1:n3", "n1 n2 n3"),
        ("n1:login1", "login1 n1"),
        ("n[1-2]:n9", "n1 n2 n9"),
        ("rack[1-2]", "n1 n10 n2 n3 n4 n5 n6 n7 n8 n9"),
        ("rack1,!n1-n3", "n4 n5"),
        ("(rack1:&n[1-9]),-(n1,n2)", "n3 n4 n5"),
        ("compute:&hosts.ip==fd00::3", "n3"),
        ("compute:&/n\\d{1,2}", "n1 n10 n2 n3 n4 n5 n6 n7 n8 n9"),
        ("/n\\d{2,3}/", "n10"),
    ],
)
def test_a_pattern_of_ansible(pattern: str, wanted: str) -> None:
    assert expand(SITE, pattern) == wanted.split()


def test_the_originals_meaning_comes_before_ansibles() -> None:
    """A node or group of the name that Ansible has for itself; names in brackets that are there; a group of one's own called all."""
    rows = [{"node": "a0", "groups": "a,all"}, {"node": "a1", "groups": "a,ungrouped"}, {"node": "b", "groups": "a,all"}]
    site = Site({"nodelist": rows})
    assert expand(site, "all") == ["a0", "b"]
    assert expand(site, "ungrouped") == ["a1"]
    assert expand(site, "a[1]") == ["a1"]
    assert expand(site, "a[2]") == ["b"]


@pytest.mark.parametrize(
    ("noderange", "told"),
    [
        ("n1,x,n3,y", "noderange n1,x,n3,y: there are no nodes and no groups called x, y. Correct the names"),
        ("n1,n9-n12", "part n9-n12: there are no nodes and no groups called n11, n12. Correct the names"),
        ("N1", "called N1. There is n1. "),
        ("n[01-02]", "called n01, n02. There is n1, n2. "),
        ("n1 n2", "called n1 n2. Put commas between the names"),
        ("compute,n[a-b]", r"part n\[a-b\]: 'a-b' in its brackets is no number and no range of numbers. Write numbers"),
        ("n[]", "'' in its brackets is no number"),
        ("n[1-3", "a bracket in it is not closed"),
        ("compute,(n1,n2", r"part \(n1: a parenthesis in it is not closed"),
        ("n1)", "a parenthesis in it is not closed"),
        ("compute,n5-n2", "part n5-n2: '5' to '2' is no range. Write the smaller number first"),
        ("n1,-", "a sign in it has nothing behind it. Name the nodes behind"),
        ("compute[10]", r"compute has 10 nodes, counted from 0. Name a number that is there"),
        ("compute[-11]", r"compute has 10 nodes"),
        ("z*,n1", r"noderange z\*,n1: there are no nodes and no groups called z\*"),
        ("n1,~(", r"part ~\(: '\(' is not a regular expression"),
        ("n1,nodetype.nosuch==a", "there is no node attribute nodetype.nosuch. Write table.column==value"),
    ],
)
def test_what_is_wrong_is_told_by_part_with_the_mend(noderange: str, told: str) -> None:
    with pytest.raises(SiteError, match=told):
        expand(SITE, noderange)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(SiteError) as error:
        expand(SITE, "x,n[1-,n20-n21,/(/,^/none,mgt==x,bogus=1", read_names)
    assert len(error.value.faults) == 6


def test_excluded_nodes_that_are_none_are_told_by_the_setting() -> None:
    site = Site({"nodelist": ROWS, "site": [{"key": "excludenodes", "value": "n1,gone"}]})
    with pytest.raises(SiteError, match="table site, key excludenodes: there are no nodes and no groups called gone"):
        expand(site, "n1-n3")


def test_a_file_of_nodes_is_read_where_the_module_runs(tmp_path) -> None:
    (tmp_path / "nodes").write_text("# mine\nn1-n2\nlogin1: the door\n", encoding="utf-8")
    assert expand(SITE, f"^{tmp_path}/nodes,n9", read_names) == ["login1", "n1", "n2", "n9"]
    with pytest.raises(SiteError, match="the file cannot be read"):
        expand(SITE, f"^{tmp_path}/nowhere", read_names)


def test_a_line_of_a_file_that_only_takes_out_is_refused_with_its_number(tmp_path) -> None:
    file = tmp_path / "nodes"
    file.write_text("n1-n4\n-n3\n!n2 # not now\n\n&n1\n@n1\n", encoding="utf-8")
    with pytest.raises(SiteError) as refused:
        expand(SITE, f"^{file}", read_names)
    places = [(fault.where.rpartition(", ")[2], fault.what) for fault in refused.value.faults]
    signed = [(2, "-n3"), (3, "!n2"), (5, "&n1"), (6, "@n1")]
    assert places == [(f"line {number}", f"'{text}' begins with a sign") for number, text in signed]
    assert (
        refused.value.faults[0].mend == f"Put it behind what it is to act on: 'compute,-n3' on one line, or '^{file},-n3' in the noderange"
    )
    file.write_text("n1-n4,-n3\n", encoding="utf-8")
    assert expand(SITE, f"^{file}", read_names) == ["n1", "n2", "n4"]
    file.write_text("n1-n4\n", encoding="utf-8")
    assert expand(SITE, f"^{file},-n3", read_names) == ["n1", "n2", "n4"]


def test_ten_thousand_nodes_take_no_time() -> None:
    rows = [{"node": f"n{number:05d}", "groups": f"compute,rack{number // 40}"} for number in range(10_000)]
    site = Site({"nodelist": rows, "nodetype": [{"node": "compute", "os": "debian12"}]})
    names = ",".join(row["node"] for row in rows)
    before = time.process_time()
    whole = "compute n[00000-09999] n00000+9999 /n.* ~n n* compute[0:] nodetype.os==debian12 rack[0-249]"
    for noderange in whole.split():
        assert len(expand(site, noderange)) == 10_000
    assert len(expand(site, f"{names},-rack0,&compute")) == 9_960
    assert time.process_time() - before < 15, "half a second where it was measured"
