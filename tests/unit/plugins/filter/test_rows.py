# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter gives the rows of a text as the modules take them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.diskless.statelite.plugins.filter.rows import FilterModule

rows = FilterModule().filters()["rows"]


def test_rows_of_csv_and_of_json_lines_are_the_same() -> None:
    expected = [{"image": "ALL", "file": "/tmp/"}, {"file": "/x y", "options": "con"}]
    assert rows('#image,file,options,comments,disable\n"ALL","/tmp/",,,\n,"/x y","con",,\n', "litefile") == expected
    assert rows('{"image": "ALL", "file": "/tmp/", "options": ""}\n{"file": "/x y", "options": "con"}\n', "litefile") == expected


@pytest.mark.parametrize(("text", "table"), [("#image,bogus\n", "litefile"), ("{", "litefile"), ("#a\n", "nosuch")])
def test_what_cannot_be_read_is_refused(text: str, table: str) -> None:
    with pytest.raises(AnsibleFilterError):
        rows(text, table)
