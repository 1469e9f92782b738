# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tables in and out: what tabdump wrote comes back byte for byte, and a fault leaves the table as it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.exports import plan_export
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import

from .sites import tables_of

SAMPLES = Path(__file__).parent / "samples"
OLD = '#image,file,options,comments,disable\n"ALL","/etc/a","tmpfs","he said ""hi"", ok",\n,"/etc/b","link","two\nlines",\n'


def taken(site, content, table="litefile", **options):
    given = {"site": str(site), "table": table, "content": content, "src": None, "exclusive": True, "allow_empty": False, **options}
    plan = plan_import(given, print)
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines


def given(site, table="litefile", form="csv", dest=None):
    plan = plan_export({"site": str(site), "table": table, "form": form, "dest": dest}, print)
    lines = plan.lines()
    if lines:
        plan.apply()
    return plan.result()["content"], lines


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_table_given_and_taken_again_is_the_same(site, form):
    taken(site, OLD)
    assert given(site)[0] == OLD
    assert taken(site, given(site, form=form)[0]) == []


def test_a_row_of_a_key_that_is_there_replaces_it_and_others_go_or_stay(site):
    taken(site, OLD)
    assert taken(site, "#image,file,options\nALL,/etc/b,ro\n", exclusive=False) == [
        "litefile ALL /etc/b: comments: 'two\\nlines' -> ''",
        "litefile ALL /etc/b: options: 'link' -> 'ro'",
    ]
    assert taken(site, "#image,file,options\nALL,/etc/b,ro\n") == [
        "litefile ALL /etc/a: removed options='tmpfs' comments='he said \"hi\", ok'"
    ]


@pytest.mark.parametrize(
    "content",
    [
        'image,file\n"a","/b"\n',
        '#image,nofile\n"a","/b"\n',
        '#image,file\n"a","/b","c"\n',
        '#image,file\n"a,"/b"\n',
        '#image,file\n"a","/b\n',
        '#image,file\n"a","/ok"\n"a",""\n',
        '#image,file,options\n"a","/b","ro"\n"a","/b/","con"\n',
        "#image,file\n# a comment line\n",
        "#image,file\n",
        "",
    ],
)
def test_a_fault_anywhere_leaves_the_table_as_it_was(site, content):
    taken(site, OLD)
    with pytest.raises(SiteError):
        taken(site, content)
    assert given(site)[0] == OLD


def test_an_empty_text_empties_the_table_when_that_is_said(site):
    taken(site, OLD)
    taken(site, "#image,file\n", allow_empty=True)
    assert tables_of(site) == {}
    assert given(site)[0] == "#image,file,options,comments,disable\n"


def test_two_rows_of_litetree_with_one_priority_both_stay(site):
    text = '#priority,image,directory,mntopts,comments,disable\n"1","img1","s:/a",,,\n"1","img2","s:/b",,,\n"1",,"s:/c",,,\n'
    taken(site, text, table="litetree")
    assert given(site, "litetree")[0] == text


@pytest.mark.parametrize(("name", "rows"), [("redhat", 42), ("sles", 24)])
def test_the_documents_sample_tables_are_taken_verbatim(site, name, rows):
    text = (SAMPLES / f"litefile-{name}.csv").read_text(encoding="utf-8")
    taken(site, text)
    assert len(tables_of(site)["litefile"]) == rows
    assert given(site)[0] == "\n".join(line for line in text.split("\n") if line) + "\n"
    assert taken(site, text) == []


def test_a_file_is_written_when_it_differs_and_for_its_owner_alone(site, tmp_path):
    taken(site, OLD)
    dest = tmp_path / "litefile.csv"
    assert given(site, dest=str(dest))[1] == [f"{dest}: 2 rows"]
    assert dest.read_text(encoding="utf-8") == OLD
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600
    assert given(site, dest=str(dest))[1] == []


def test_a_missing_directory_is_refused_before_anything_is_done(site, tmp_path):
    with pytest.raises(SiteError, match="there is no directory"):
        plan_export({"site": str(site), "table": "site", "form": "csv", "dest": str(tmp_path / "missing" / "x.csv")}, print)


def test_only_the_file_itself_is_written_with_the_owner_and_mode_it_had(site, tmp_path):
    taken(site, OLD)
    dest, beside, target = tmp_path / "out/litefile.csv", tmp_path / "out/litefile.csv.new", tmp_path / "target"
    dest.parent.mkdir()
    for path in (dest, beside, target):
        path.write_text("precious", encoding="utf-8")
        path.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(dest, 65534, 65533)
        os.chown(beside, 65532, 65532)
    before = dest.stat()
    given(site, dest=str(dest))
    after = dest.stat()
    assert dest.read_text(encoding="utf-8") == OLD
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert beside.read_text(encoding="utf-8") == "precious"
    dest.unlink()
    dest.symlink_to(target)
    given(site, dest=str(dest))
    assert not dest.is_symlink()
    assert target.read_text(encoding="utf-8") == "precious"
    assert sorted(os.listdir(dest.parent)) == ["litefile.csv", "litefile.csv.new"]
