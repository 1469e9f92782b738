# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CSV as tabdump writes it and JSON lines, both ways without a byte lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.columns import clean
from ansible_collections.diskless.statelite.plugins.module_utils.tables.forms import parse, to_csv, to_json_lines
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES, check_rows
from hypothesis import given
from hypothesis import strategies as st

LITEFILE = TABLES["litefile"]
SAMPLES = Path(__file__).parent / "samples"
"""The tables of section 2.2 of the statelite document, as its text has them, blank lines included."""

TABDUMP = """#image,file,options,comments,disable
"ALL","/etc/a","tmpfs","he said ""hi"", ok",
"ALL","/etc/b","link","plain",
"img1","/etc/c d",,,"1"
"x","/etc/multi","rw","line1
line2",
,"/etc/blankimage","rw",,
"""

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: not text or not (set("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f") & {text[0], text[-1]})
)


def rows_of(text, table=LITEFILE):
    return [clean(table, row) for row in parse(text, table.names, "content").rows]


def faults_of(text, table=LITEFILE):
    with pytest.raises(SiteError) as raised:
        parse(text, table.names, "content")
    return [fault.where for fault in raised.value.faults]


def test_what_tabdump_printed_comes_back_byte_for_byte():
    assert to_csv(LITEFILE, rows_of(TABDUMP)) == TABDUMP
    assert rows_of(TABDUMP)[3] == {"image": "x", "file": "/etc/multi", "options": "rw", "comments": "line1\nline2"}


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(LITEFILE.names, CELLS)), max_size=6))
def test_any_rows_survive_both_forms(rows):
    rows = [clean(LITEFILE, row) for row in rows if any(row.values()) and not row["image"].startswith("#")]
    text = to_csv(LITEFILE, rows)
    assert rows_of(text) == rows
    assert to_csv(LITEFILE, rows_of(text)) == text
    assert rows_of(to_json_lines(rows)) == rows


def test_a_column_of_ours_stands_in_the_text_only_when_a_row_sets_it():
    assert to_csv(LITEFILE, [{"file": "/a"}]).startswith("#image,file,options,comments,disable\n")
    assert to_csv(LITEFILE, [{"file": "/a", "required": "yes"}]) == '#image,file,options,comments,disable,required\n,"/a",,,,"yes"\n'


def test_columns_may_be_a_subset_in_any_order_and_rows_may_be_short():
    assert rows_of('#"options",image,file\nro,ALL,/a\n"con"\n') == [{"image": "ALL", "file": "/a", "options": "ro"}, {"options": "con"}]


def test_blank_lines_line_ends_of_windows_and_a_repeated_header_are_no_rows():
    text = '\ufeff\n#image,file\r\n\r\n"ALL","/a"\r\n   \n#image,file\n"ALL","/b"'
    assert [row["file"] for row in rows_of(text)] == ["/a", "/b"]
    assert faults_of(text + '"') == ["content line 7"]


def test_an_empty_surplus_cell_as_in_the_documents_example_is_let_pass():
    row = {"node": "japan", "statemnt": "cnfs:/gpfs/state"}
    assert rows_of('#node,image,statemnt,comments,disable\n"japan",,"cnfs:/gpfs/state",,,\n', TABLES["statelite"]) == [row]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('image,file\n"a","/b"\n', ["content line 1"]),
        ("#image,nofile,file,file\n", ["content line 1", "content line 1"]),
        ('#image,file\n"a","/b\n', ["content line 2"]),
        ('#image,file\n"a,"/b"\n\n"c" ,"/d"\n"ok","/e"\n', ["content line 2", "content line 4"]),
        ('#image,file\n"a\nb","/b"\na,b,c\n', ["content line 4"]),
        ('#image,file\n# "ALL","/b"\n', ["content line 2"]),
        ("#image,file\n\u201cALL\u201d,\u201c/etc/a\u201d\n", ["content line 2"]),
        ('{"file": "/a"}\n{"file": \n[1]\n', ["content line 2", "content line 3"]),
    ],
)
def test_every_fault_of_the_form_is_told_with_its_line(text, lines):
    assert faults_of(text) == lines


@pytest.mark.parametrize(("name", "rows", "last"), [("redhat", 42, "/xcatpost/"), ("sles", 24, "/xcatpost/")])
def test_the_documents_sample_tables_import_verbatim(name, rows, last):
    parsed = parse((SAMPLES / f"litefile-{name}.csv").read_text(encoding="utf-8"), LITEFILE.names, "content")
    assert check_rows(LITEFILE, parsed.rows, parsed.places) == []
    assert (len(parsed.rows), parsed.rows[-1]["file"]) == (rows, last)


def test_only_a_newline_ends_a_line():
    text = '\u2028\n#image,file\n"ALL","/etc/a\u2028b\u2029\x85"\n"x'
    assert faults_of(text) == ["content line 4"]
    assert rows_of(text[:-2]) == [{"image": "ALL", "file": "/etc/a\u2028b\u2029\x85"}]


def test_a_text_without_rows_holds_none():
    assert rows_of("") == rows_of("\n\n") == rows_of("#image,file\n") == []
