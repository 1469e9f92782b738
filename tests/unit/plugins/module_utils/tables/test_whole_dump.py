# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump of the original comes in whole, tables that nothing here reads too, and goes out byte for byte; what has no place is named."""

from __future__ import annotations

import re

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.exports import plan_export
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import recorded

UNREAD = {
    "boottarget": '#bprofile,kernel,initrd,kcmdline,comments,disable\n"rescue","/k","/i","quiet",,\n',
    "chain": '#node,currstate,currchain,chain,ondiscover,comments,disable\n"n1","netboot rhels9.4-x86_64-compute","boot",,,,\n',
    "osdistro": "#osdistroname,basename,majorversion,minorversion,arch,type,dirpaths,comments,disable\n"
    '"rhels9.4-x86_64","rhels","9","4","x86_64","Linux","/install/rhels9.4/x86_64",,\n',
    "postscripts": '#node,postscripts,postbootscripts,comments,disable\n"xcatdefaults","syslog,remoteshell","otherpkgs",,\n"n1","a b",,,\n',
}
EMPTY = {"auditlog": "#recid,audittime,userid,comments,disable\n", "litetree": "#priority,image,directory,mntopts,comments,disable\n"}
SECRET = {
    "passwd": '#key,username,password,comments,disable\n"system","root","cluster",,\n"omapi","xcat_key","S3cret==",,\n\n"ipmi","a","b",,\n'
}


@pytest.fixture
def dump(tmp_path):
    directory = tmp_path / "dump"
    directory.mkdir()
    tables = recorded.case("nodeset", "nb-xnba-x86_64-statelite-ramdisk")["tables"]
    for name, text in {**tables, **{f"{name}.csv": text for name, text in {**UNREAD, **EMPTY, **SECRET}.items()}}.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def plan_of(site, dump, doubtful):
    return plan_import(
        {"site": str(site), "table": None, "src": str(dump), "exclusive": None, "allow_empty": False, "doubtful": doubtful}, print
    )


def test_a_dump_comes_in_and_goes_out_byte_for_byte(dump, tmp_path):
    site, out = tmp_path / "site.db", tmp_path / "out"
    out.mkdir()
    plan = plan_of(site, dump, "disable")
    plan.apply()
    doubts = plan.result()["doubtful"]
    assert [(doubt["where"], doubt["what"]) for doubt in doubts] == [
        (f"{dump}/passwd.csv", "there is no table passwd here for lines 2-3, 5")
    ]
    assert "cluster" not in str(doubts)
    plan_export({"site": str(site), "table": None, "form": "csv", "dest": str(out)}, print).apply()
    came = {path.name: path.read_text(encoding="utf-8") for path in dump.iterdir() if path.stem not in (*SECRET, "auditlog")}
    assert {name: (out / name).read_text(encoding="utf-8") for name in came} == came
    assert plan_of(site, dump, "disable").lines() == []


def test_rows_that_have_no_place_refuse_a_dump_and_an_empty_table_does_not(dump, tmp_path):
    with pytest.raises(SiteError, match="there is no table passwd here"):
        plan_of(tmp_path / "site.db", dump, "refuse")
    (dump / "passwd.csv").unlink()
    assert plan_of(tmp_path / "site.db", dump, "refuse").lines()


@pytest.mark.parametrize("line", ["system,\u201cgeheim\u201d", '"system","geheim"x', '"system","geh"eim"'])
def test_a_secret_in_a_line_of_another_form_is_not_told(dump, tmp_path, line):
    (dump / "passwd.csv").write_text(f"#key,password\n{line}\n", encoding="utf-8")
    (doubt,) = plan_of(tmp_path / "site.db", dump, "disable").result()["doubtful"]
    assert (doubt["where"], doubt["what"].partition(",")[0]) == (f"{dump}/passwd.csv", "there is no table passwd here")
    assert "geh" not in str(doubt)


def test_an_object_has_the_attributes_of_these_tables(dump, tmp_path):
    site = tmp_path / "site.db"
    plan_of(site, dump, "disable").apply()
    text = plan_export({"site": str(site), "table": None, "form": "stanza", "dest": None}, print).content
    node = text[text.index("\nn1:") :].partition("\n\n")[0]
    assert "    currstate=netboot rhels9.4-x86_64-compute\n" in node
    assert "    postscripts=a b\n" in f"{node}\n"
    assert "\nrhels9.4-x86_64:\n    objtype=osdistro\n    arch=x86_64\n    basename=rhels\n" in text
    assert "\nrescue:\n    objtype=boottarget\n" in text
    other = tmp_path / "other.db"
    options = {"table": None, "content": text, "src": None, "exclusive": None, "allow_empty": False, "doubtful": "refuse"}
    plan_import({"site": str(other), **options}, print).apply()
    assert plan_export({"site": str(other), "table": None, "form": "stanza", "dest": None}, print).content == text


def test_an_object_is_given_by_its_name_and_defines_another(dump, tmp_path):
    site = tmp_path / "site.db"
    plan_of(site, dump, "disable").apply()
    asked = {"site": str(site), "table": "osimage", "form": "stanza", "dest": None}
    one = plan_export({**asked, "names": ["img1"]}, print)
    assert one.result()["count"] == 1
    copied = re.sub(r"^[^ \n]+:", "mycomputeimage:", one.content, flags=re.MULTILINE)  # as the document on diskless images has it for sed
    options = {"table": None, "content": copied, "src": None, "exclusive": None, "allow_empty": False, "doubtful": "refuse"}
    plan_import({"site": str(site), **options}, print).apply()
    assert plan_export({**asked, "names": ["mycomputeimage"]}, print).content == copied
    assert plan_export({**asked, "names": ["img1"]}, print).content == one.content
    with pytest.raises(SiteError, match="names, nosuch: there is no such object"):
        plan_export({**asked, "names": ["img1", "nosuch"]}, print)
    with pytest.raises(SiteError, match="only objects have"):
        plan_export({**asked, "form": "csv", "names": ["img1"]}, print)
