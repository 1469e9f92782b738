# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/noderange.md says of parts, signs and errors is what a noderange gives."""

from __future__ import annotations

import re

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .house import ROOT

TEXT = (ROOT / "docs" / "noderange.md").read_text(encoding="utf-8")
NAMES = [f"n{number}" for number in range(1, 13)] + [f"n{number:03d}" for number in range(1, 101)] + ["node7", "rack-1", "rack-2", "rack-3"]
NAMES += [f"r{rack}u{unit:02d}" for rack in range(1, 4) for unit in range(1, 41)] + ["a", "b", "c"]
SITE = Site({"nodelist": [{"node": name, "groups": "compute"} for name in NAMES] + [{"node": "rackx", "groups": "rack1"}]})
WRITTEN = [text for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for text in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("noderange", WRITTEN)
def test_every_form_of_the_tables_is_a_noderange(noderange: str) -> None:
    found = expand(SITE, noderange, lambda path: "# nodes\nn1-n3 of mine\n")
    assert found or noderange in ("nodetype.os==debian12", "ungrouped", "a@b", "a,b,@c", "a,&b", "a:&b", "~n[12]$ ")


def test_the_errors_are_those_of_the_document() -> None:
    site = Site({"nodelist": [{"node": f"n{number}", "groups": "compute"} for number in range(1, 10)]})
    with pytest.raises(SiteError) as error:
        expand(site, "compute,n[01-03],n9-n2")
    assert all(f"    {fault}\n" in TEXT for fault in error.value.faults)
    assert len(error.value.faults) == 2
