# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that join tables: what an omitted, an empty and a given dictionary does, from options, CSV and JSON lines."""

from __future__ import annotations

import json

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import read_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

from .sites import declare, tables_of

N1 = {
    "node": "n1",
    "groups": ["compute", "all"],
    "mac": "52:54:00:77:00:11",
    "ip": "10.77.0.11",
    "nodetype": {"os": "debian12", "arch": "x86_64"},
    "nodepos": {"room": "tokyo"},
    "hosts": {"hostnames": "one"},
}
CSV = (
    "#node,groups,mac,ip,nodetype.os,nodetype.arch,nodepos.room,hosts.hostnames\n"
    '"n1","compute,all","52:54:00:77:00:11","10.77.0.11","debian12","x86_64","tokyo","one"\n'
)
ROWS_OF_N1 = {
    "nodelist": [{"node": "n1", "groups": "compute,all"}],
    "mac": [{"node": "n1", "mac": "52:54:00:77:00:11"}],
    "hosts": [{"node": "n1", "ip": "10.77.0.11", "hostnames": "one"}],
    "nodetype": [{"node": "n1", "os": "debian12", "arch": "x86_64"}],
    "nodepos": [{"node": "n1", "room": "tokyo"}],
}


@pytest.mark.parametrize("given", [{"rows": [N1]}, {"content": CSV}, {"content": json.dumps(N1)}], ids=["rows", "csv", "json"])
def test_a_node_is_written_into_its_tables_from_every_source(site, given):
    declare(site, things.NODE, **given)
    assert tables_of(site) == ROWS_OF_N1
    assert declare(site, things.NODE, rows=[N1]) == []


def test_src_is_read_on_this_machine(site, tmp_path):
    (tmp_path / "nodes.csv").write_text(CSV, encoding="utf-8")
    declare(site, things.NODE, src=str(tmp_path / "nodes.csv"))
    assert tables_of(site) == ROWS_OF_N1
    (tmp_path / "nodes.csv").write_bytes(b"#node\n\xff\n")
    for source in ("nodes.csv", "missing.csv"):
        with pytest.raises(SiteError, match=source):
            declare(site, things.NODE, src=str(tmp_path / source))


def test_what_is_omitted_is_left_alone_and_what_is_empty_goes(site):
    declare(site, things.NODE, rows=[N1])
    assert declare(site, things.NODE, rows=[{"node": "n1", "groups": ["compute", "all"]}]) == []
    lines = declare(site, things.NODE, rows=[{"node": "n1", "groups": ["all"], "nodetype": {}, "ip": "", "hosts": {"hostnames": "uno"}}])
    assert lines == [
        "hosts n1: hostnames: 'one' -> 'uno'",
        "hosts n1: ip: '10.77.0.11' -> ''",
        "nodelist n1: groups: 'compute,all' -> 'all'",
        "nodetype n1: removed os='debian12' arch='x86_64'",
    ]


def test_a_blank_cell_of_a_csv_column_is_blank_in_the_table(site):
    declare(site, things.NODE, rows=[N1])
    declare(site, things.NODE, content='#node,groups,nodetype.os,nodetype.arch\n"n1","compute,all","debian13",\n')
    assert tables_of(site)["nodetype"] == [{"node": "n1", "os": "debian13"}]
    assert tables_of(site)["nodepos"] == ROWS_OF_N1["nodepos"]


def test_what_nodes_report_of_themselves_stays(site):
    declare(site, things.Thing("nodelist", things.NODE.table), rows=[{"node": "n1", "groups": "x", "status": "booted"}])
    declare(site, things.NODE, rows=[N1], exclusive=True)
    assert tables_of(site)["nodelist"] == [{"node": "n1", "groups": "compute,all", "status": "booted"}]


def test_a_node_that_goes_takes_its_rows_along_and_leaves_those_of_groups(site):
    declare(site, things.NODEGROUP, rows=[{"groupname": "compute", "noderes": {"netboot": "pxe"}, "nodetype": {"os": "debian12"}}])
    groups = tables_of(site)
    declare(site, things.NODE, rows=[N1, {"node": "n2", "ip": "10.77.0.12"}])
    declare(site, things.NODE, rows=[{"node": "n2"}], state="absent")
    declare(site, things.NODE, rows=[{"node": "n3"}], exclusive=True)
    assert tables_of(site) == {**groups, "nodelist": [{"node": "n3"}]}
    declare(site, things.NODEGROUP, rows=[], exclusive=True, allow_empty=True)
    assert tables_of(site) == {"nodelist": [{"node": "n3"}]}


def test_an_image_joins_its_columns_of_linux(site):
    image = {"imagename": "i", "groups": ["g1", "g2"], "liteattach": "bind", "linux": {"pkglist": "/p", "permission": "755"}}
    declare(site, things.OSIMAGE, rows=[image])
    assert tables_of(site) == {
        "osimage": [{"imagename": "i", "groups": "g1,g2", "liteattach": "bind"}],
        "linuximage": [{"imagename": "i", "pkglist": "/p", "permission": "755"}],
    }
    assert declare(site, things.OSIMAGE, rows=[{**image, "linux": None}]) == []


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"node": "n1", "nodetype": {"os": 12, "flavour": "x"}}, "nodelist n1 (line 1): nodetype.flavour"),
        ({"node": "n1", "colour": "red"}, "nodelist n1 (line 1): colour"),
        ({"node": "n1", "nodetype": "debian12"}, "nodelist n1 (line 1): nodetype"),
        ({"node": "n1", "ip": {"a": 1}}, "nodelist n1 (line 1): ip"),
        ({"node": "n1", "comments": True}, "nodelist n1 (line 1): comments"),
        ({"node": "n1", "mac": "52:54"}, "mac n1 (line 1): mac"),
        ({"ip": "10.0.0.1"}, "nodelist '' (line 1): node"),
    ],
)
def test_a_value_that_no_table_can_hold_is_told_with_its_place(site, row, where):
    with pytest.raises(SiteError) as raised:
        declare(site, things.NODE, content=json.dumps(row))
    assert where in [fault.where for fault in raised.value.faults]
    assert not site.exists()


def test_every_fault_of_every_row_is_told_at_once_with_key_and_mend(site):
    rows = [
        {"file": "/ok"},
        {"file": "/y", "required": "maybe"},
        {"file": "/z", "optoins": "x"},
        {"image": "i", "file": "etc/x"},
        {"file": ["/a", "/b"]},
        "x",
    ]
    for options in ({}, {"exclusive": True}):
        with pytest.raises(SiteError) as raised:
            declare(site, rows=rows, **options)
        assert sorted(fault.where for fault in raised.value.faults) == [
            "litefile (row 6)",
            "litefile ALL '' (row 5): file",
            "litefile ALL /y (row 2): required",
            "litefile ALL /z (row 3): optoins",
            "litefile i etc/x (row 4): file",
        ]
        assert all(fault.mend for fault in raised.value.faults)
    assert not site.exists()


@pytest.mark.parametrize(("value", "cell"), [(True, "yes"), (False, "no"), ("true", "yes"), ("Off", "no"), (1, "yes")])
def test_a_bool_is_taken_in_every_form_that_ansible_has_for_it(site, value, cell):
    declare(site, rows=[{"file": "/a", "required": value}, {"file": "/b", "disable": True}])
    assert tables_of(site)["litefile"] == [{"file": "/a", "required": cell}, {"file": "/b", "disable": "yes"}]


def test_two_nodes_of_one_address_are_refused(site):
    declare(site, things.NODE, rows=[N1])
    with pytest.raises(SiteError, match=r"n1 has the address 10\.77\.0\.11 too"):
        declare(site, things.NODE, rows=[{"node": "n2", "ip": "10.77.0.11"}])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rows": [], "exclusive": True}, "all 1 rows"),
        ({"rows": [N1], "exclusive": True, "state": "absent"}, "state absent"),
        ({"rows": [{}], "state": "absent"}, "node of the row to remove"),
    ],
)
def test_options_that_would_remove_more_than_is_meant_are_refused(site, options, told):
    declare(site, things.NODE, rows=[N1])
    with pytest.raises(SiteError, match=told):
        declare(site, things.NODE, **options)
    assert tables_of(site) == ROWS_OF_N1


def test_exclusive_for_an_image_leaves_the_rows_of_others(site):
    declare(site, rows=[{"file": "/a"}, {"image": "i", "file": "/a"}, {"image": "i", "file": "/b"}])
    declare(site, rows=[{"image": "i", "file": "/b"}], exclusive=True, exclusive_for="i")
    assert [row["file"] for row in tables_of(site)["litefile"]] == ["/a", "/b"]
    with pytest.raises(SiteError, match="exclusive: true"):
        declare(site, rows=[], exclusive_for="i")


def test_rows_that_are_read_can_be_declared_again_unchanged(site):
    declare(site, things.NODE, rows=[N1, {"node": "n2", "ip": "10.77.0.12"}])
    declare(site, rows=[{"file": "/a", "required": True}, {"image": "i", "file": "/b", "required": False}])
    everything = dict.fromkeys(("node", "image", "file"))
    for thing, count in ((things.NODE, 2), (things.LITEFILE, 2)):
        rows = read_rows(thing, {"site": str(site), **everything}, print)["rows"]
        assert len(rows) == count
        assert declare(site, thing, rows=rows) == []
    assert read_rows(things.NODE, {"site": str(site), "node": ["n1"]}, print)["rows"] == [N1]
    assert read_rows(things.LITEFILE, {"site": str(site), "image": [""], "file": None}, print)["rows"] == [{"file": "/a", "required": True}]


def test_ten_thousand_rows_from_a_text_are_all_written(site):
    text = "#image,file,options\n" + "".join(f'"ALL","/etc/f{number}","ro"\n' for number in range(10000))
    declare(site, content=text)
    with open_store(str(site)) as store:
        assert len(store.tables(["litefile"])["litefile"]) == 10000
    assert declare(site, content=text) == []
