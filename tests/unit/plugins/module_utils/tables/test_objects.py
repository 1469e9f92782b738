# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in the stanza form: what lsdef -z printed comes back byte for byte, and what has no place here is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables import objects
from ansible_collections.diskless.statelite.plugins.module_utils.tables.exports import plan_export
from ansible_collections.diskless.statelite.plugins.module_utils.tables.stanzas import HEADER, parse_stanzas
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from .sites import tables_of


def taken(site, content=None, **options):
    asked = {"site": str(site), "table": None, "content": content, "src": None, "exclusive": None, "allow_empty": False}
    plan = plan_import({**asked, "doubtful": "refuse", **options}, print)
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines, plan.result()


def exported(site, table=None, form="stanza", dest=None):
    plan = plan_export({"site": str(site), "table": table, "form": form, "dest": dest}, print)
    if plan.lines():
        plan.apply()
    return plan.result()["content"]


WHOLE = f"""{HEADER}

n1:
    objtype=node
    addkcmdline=console=ttyS0
    groups=compute,all
    ip=10.1.1.1
    mac=52:54:00:00:00:01
    netboot=pxe
    os=debian12
    supportproxydhcp=no
    unit=7
    usercomment=the first

compute:
    objtype=group
    grouptype=static
    provmethod=img1

dyn:
    objtype=group
    grouptype=dynamic
    wherevals=os==debian12

img1:
    objtype=osimage
    groups=g1,g2
    osvers=debian12
    pkglist=/install/p.pkglist
    usercomment=" kept blank"

lab:
    objtype=network
    mask=255.255.255.0
    net=10.1.1.0

4.8:
    objtype=policy
    commands=litefile
    rule=allow

clustersite:
    objtype=site
    domain=cluster.example
    installdir=/install
"""


def test_every_type_of_object_comes_back_byte_for_byte(site):
    lines, result = taken(site, WHOLE)
    assert result["doubtful"] == []
    assert exported(site) == WHOLE
    assert taken(site, WHOLE)[0] == []
    rows = tables_of(site)
    assert rows["noderes"] == [{"node": "n1", "netboot": "pxe", "proxydhcp": "no"}]
    assert rows["nodepos"] == [{"node": "n1", "u": "7"}]
    assert rows["nodetype"] == [{"node": "n1", "os": "debian12"}, {"node": "compute", "provmethod": "img1"}]
    assert rows["linuximage"] == [{"imagename": "img1", "pkglist": "/install/p.pkglist", "comments": " kept blank"}]
    assert rows["networks"] == [{"netname": "lab", "net": "10.1.1.0", "mask": "255.255.255.0"}]
    assert len(lines) > 10


@pytest.mark.parametrize("name", ["lsdef_node_z", "lsdef_osimage_z"])
def test_what_the_original_printed_comes_back(site, name):
    text = recorded.answer(name)["out"]
    found = parse_stanzas(text, "lsdef")
    assert found
    assert taken(site, text)[1]["doubtful"] == []
    assert exported(site) == text


def test_a_joined_row_that_says_nothing_goes_and_what_no_attribute_says_stays(site):
    taken(site, "#node,os,comments\nn1,debian12,its os\n", table="nodetype")
    taken(site, "#node,rack\nn1,r1\n", table="nodepos")
    taken(site, "n1:\n  objtype=node\n  groups=all\n")
    rows = tables_of(site)
    assert rows["nodetype"] == [{"node": "n1", "comments": "its os"}]
    assert "nodepos" not in rows
    assert rows["nodelist"] == [{"node": "n1", "groups": "all"}]


def test_a_disabled_row_of_a_joined_table_stays_until_an_attribute_is_given(site):
    taken(site, "#node,groups\nn1,all\n", table="nodelist")
    taken(site, "#node,os,disable\nn1,debian12,yes\n", table="nodetype")
    assert taken(site, exported(site))[0] == []
    taken(site, "n1:\nobjtype=node\ngroups=all\nos=debian13\n")
    assert tables_of(site)["nodetype"] == [{"node": "n1", "os": "debian13"}]


def test_other_objects_stay_unless_it_is_exclusive(site):
    taken(site, WHOLE)
    taken(site, "n2:\nobjtype=node\ngroups=all\nrack=r2\n")
    assert {row["node"] for row in tables_of(site)["nodelist"]} == {"n1", "n2"}
    lines, _result = taken(site, "n2:\nobjtype=node\ngroups=all\nrack=r2\n", exclusive=True)
    assert [line for line in lines if line.startswith(("nodelist n1: removed", "noderes n1: removed", "nodetype n1: removed"))]
    assert {row["node"] for row in tables_of(site)["nodelist"]} == {"n2"}


def test_groups_values_are_not_written_into_nodes(site):
    taken(site, WHOLE)
    assert "provmethod" not in exported(site, "nodelist")


def test_defaults_fill_in_what_an_object_leaves_out(site):
    text = 'default-node:\n  groups=all\n  os = "debian12"\nn1:\n objtype=node\nn2:\n objtype=node\n os=other\n'
    taken(site, text)
    assert tables_of(site)["nodetype"] == [{"node": "n1", "os": "debian12"}, {"node": "n2", "os": "other"}]


def test_every_fault_is_named_at_once_and_nothing_is_written(site):
    text = "n1:\nobjtype=node\nbmc=10.0.0.1\nnonsense\nn2:\ngroups=all\n"
    with pytest.raises(SiteError) as refused:
        taken(site, text)
    assert [fault.where for fault in refused.value.faults] == ["content line 4", "content line 5: n2"]
    with pytest.raises(SiteError) as refused:
        taken(site, "n1:\nobjtype=node\nbmc=10.0.0.1\nr1:\nobjtype=rack\nn1:\nobjtype=node\n")
    assert [fault.where for fault in refused.value.faults] == ["node n1 (line 1): bmc", "rack r1 (line 4)", "node n1 (line 6)"]
    assert not site.exists()


def test_of_rows_with_one_key_a_sound_one_is_taken_in_and_the_same_text_again_changes_nothing(site):
    """Found by fuzzing: the faulty row came in disabled, and the next run replaced it."""
    text = "#priority,image,directory\n1,,no directory\n1,,/lt\n"
    _lines, result = taken(site, text, table="litetree", doubtful="disable")
    assert [(doubt["where"], doubt["done"]) for doubt in result["doubtful"]] == [("litetree 1 ALL (line 2): directory", "left out")]
    assert tables_of(site)["litetree"] == [{"priority": "1", "directory": "/lt"}]
    assert taken(site, text, table="litetree", doubtful="disable")[0] == []


def test_what_has_no_place_is_left_out_and_named_when_that_is_asked(site):
    text = "n1:\nobjtype=node\ngroups=all\nbmc=10.0.0.1\nmac=nonsense\nr1:\nobjtype=rack\n"
    _lines, result = taken(site, text, doubtful="disable")
    assert [(doubt["where"], doubt["done"]) for doubt in result["doubtful"]] == [
        ("node n1 (line 1): bmc", "left out"),
        ("rack r1 (line 6)", "left out"),
        ("mac n1 (line 1): mac", "disabled"),
    ]
    rows = tables_of(site)
    assert rows["nodelist"] == [{"node": "n1", "groups": "all"}]
    assert rows["mac"] == [{"node": "n1", "mac": "nonsense", "disable": "yes"}]


def test_a_member_that_is_not_in_the_group_is_a_fault(site):
    group = "g:\nobjtype=group\ngrouptype=static\nmembers=n1,n2\n"
    with pytest.raises(SiteError, match="the node n2 is not in the group g"):
        taken(site, "n1:\nobjtype=node\ngroups=g\nn2:\nobjtype=node\ngroups=all\n" + group)
    taken(site, "n1:\nobjtype=node\ngroups=g\nn2:\nobjtype=node\ngroups=all,g\n" + group)
    assert len(tables_of(site)["nodelist"]) == 2


def test_what_the_form_has_no_words_for_is_refused(site):
    taken(site, '#node,groups,comments\nn1,all,"two\nlines"\n', table="nodelist")
    with pytest.raises(SiteError, match="node n1: usercomment: the stanza form has no words for it"):
        exported(site)
    with pytest.raises(SiteError, match="rows of litefile are no objects"):
        exported(site, "litefile")


def test_a_dump_of_the_original_comes_in_whole_with_every_doubt_named(site, tmp_path):
    dump = tmp_path / "dump"
    dump.mkdir()
    (dump / "litefile.csv").write_text(
        '#image,file,options,comments,disable\n"ALL","/etc/a","tmpfs",,\n"ALL","/etc/../b","ro",,\n"ALL","/etc/c","RO",,\n'
        '"ALL","/etc/a/","persistent",,\n"ALL",,"ro",,\n',
        encoding="utf-8",
    )
    (dump / "nodelist.csv").write_text('#node,groups,newcolumn\n"n1","all","x"\n', encoding="utf-8")
    (dump / "auditlog.csv").write_text('#recid,audittime\n"1","now"\n', encoding="utf-8")
    with pytest.raises(SiteError, match="there is no table auditlog here"):
        taken(site, src=str(dump))
    _lines, result = taken(site, src=str(dump), doubtful="disable")
    assert [(Path(doubt["where"]).name, doubt["done"]) for doubt in result["doubtful"]] == [
        ("auditlog.csv", "left out"),
        ("nodelist n1 (line 2): newcolumn", "left out"),
        ("b (line 3): file", "disabled"),
        ("c (line 4): options", "disabled"),
        ("litefile ALL '' (line 6): file", "left out"),
        (": options", "disabled"),
    ]
    kept = {row["file"]: row.get("disable") for row in tables_of(site)["litefile"]}
    assert kept == {"/etc/a": None, "/etc/../b": "yes", "/etc/c": "yes", "/etc/a/": "yes"}
    assert taken(site, src=str(dump), doubtful="disable")[0] == []


def test_all_tables_go_into_a_directory_and_come_back(site, tmp_path):
    taken(site, WHOLE)
    out = tmp_path / "out"
    out.mkdir()
    exported(site, form="csv", dest=str(out))
    other = tmp_path / "other" / "site.db"
    other.parent.mkdir()
    taken(other, src=str(out), allow_empty=True)
    assert tables_of(other) == tables_of(site)
    assert exported(other) == WHOLE
    plan = plan_export({"site": str(other), "table": None, "form": "csv", "dest": str(out)}, print)
    assert plan.lines() == []


def test_no_two_columns_have_one_attribute():
    for kind in objects.TYPES.values():
        own = set(kind.main.names) - {kind.named, "comments", "disable"}
        joined = sum(len(set(table.names) - {*table.key, "comments", "disable"}) for table in kind.joined)
        assert len(kind.attributes) == len(own) + joined + 1, kind.name


cells = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(comment=cells, room=cells)
def test_any_value_comes_back(tmp_path_factory, comment, room):
    site = tmp_path_factory.mktemp("site") / "site.db"
    row = {"node": "n1", "groups": "all"}
    taken(site, json.dumps({**row, "comments": comment}) + "\n", table="nodelist")
    taken(site, json.dumps({"node": "n1", "room": room}) + "\n", table="nodepos", doubtful="disable")
    before = tables_of(site)
    first = exported(site)
    other = tmp_path_factory.mktemp("other") / "site.db"
    taken(other, first)
    assert exported(other) == first
    assert tables_of(other)["nodelist"] == before["nodelist"]


FIRST = "n1:\nobjtype=node\ngroups=all\nip=10.0.0.1\nos=debian12\n"
TWO_TYPES = f"{FIRST}n2:\nobjtype=node\ngroups=all\nip=10.0.0.2\ng:\nobjtype=group\nprovmethod=img\n"


def test_exclusive_objects_take_nothing_of_another_type(site):
    taken(site, TWO_TYPES)
    assert taken(site, "g2:\nobjtype=group\nprovmethod=img\n", exclusive=True)[0] == [
        "nodetype g2: added provmethod='img'",
        "nodetype g: removed provmethod='img'",
    ]
    lines, _result = taken(site, FIRST, exclusive=True)
    assert lines == ["hosts n2: removed ip='10.0.0.2'", "nodelist n2: removed groups='all'"]


def test_a_file_beside_the_dump_is_no_table(site, tmp_path):
    (tmp_path / "litefile.csv").write_text("#image,file\nALL,/etc/a\n", encoding="utf-8")
    (tmp_path / "litefile.old.csv").write_text("#image,file\nALL,/etc/c\n", encoding="utf-8")
    with pytest.raises(SiteError, match=r"there is no table litefile\.old here"):
        taken(site, src=str(tmp_path))


def test_what_stands_stays_where_a_doubtful_row_is_set_aside(site):
    litefile = "#image,file,options\nALL,/etc/a,tmpfs\nALL,/etc/b,persistent\n"
    taken(site, litefile, table="litefile")
    left_out = '{"image": "ALL", "file": "/etc/a", "options": "tmpfs"}\n{"image": "ALL", "file": "/etc/b", "options": "con\\u0000"}\n'
    lines, result = taken(site, left_out, table="litefile", doubtful="disable")
    assert lines == []
    assert [doubt["done"] for doubt in result["doubtful"]] == ["left out"]
    lines, result = taken(site, "#image,file,options\nALL,/etc/b,persistant\n", table="litefile", doubtful="disable", exclusive=False)
    assert (lines, result["doubtful"][0]["done"]) == ([], "left out")
    taken(site, "#node,ip\nn1,10.0.0.1\nn2,10.0.0.2\n", table="hosts")
    lines, result = taken(site, "#node,ip\nn1,10.0.0.2\n", table="hosts", doubtful="disable", exclusive=False)
    assert (lines, result["doubtful"][0]["done"]) == ([], "left out")
    lines, result = taken(site, "#node,ip\nn0,10.0.0.2\n", table="hosts", doubtful="disable", exclusive=False)
    assert (lines, result["doubtful"][0]["done"]) == (["hosts n0: added ip='10.0.0.2' disable='yes'"], "disabled")


def test_a_doubtful_denial_is_refused_whatever_is_asked(site):
    policy = "#priority,commands,rule\n1,litefile,deny\nx,litetree,deny\n5,litefile,allow\n"
    with pytest.raises(SiteError, match="without the row more is allowed"):
        taken(site, policy, table="policy", doubtful="disable")
    assert not site.exists()


def test_ten_thousand_clashes_are_set_aside_at_once(site):
    rows = "".join(
        f"n{number},10.0.{number // 250}.{number % 250}\nm{number},10.0.{number // 250}.{number % 250}\n" for number in range(5000)
    )
    _lines, result = taken(site, "#node,ip\n" + rows, table="hosts", doubtful="disable")
    assert len(result["doubtful"]) == 5000
