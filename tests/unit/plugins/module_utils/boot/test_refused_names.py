# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node whose file other machines would boot is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.methods import METHODS
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server


@pytest.mark.parametrize("state", ["statelite", "offline"])
def test_all_names_by_which_pxelinux_looks_are_told_at_once(tmp_path: Path, state: str) -> None:
    server = Server(tmp_path)
    names = ["01-52-54-00-77-00-12", "0A4D000B", "default"]
    for table in ("nodelist", "mac", "hosts"):
        for row, name in zip(server.tables[table], names):
            row["node"] = name
    with pytest.raises(SiteError) as error:
        server.plan(state=state)
    assert [fault.where for fault in error.value.faults] == [f"table nodelist, node {name}" for name in names]
    assert not server.tftp.exists()


@pytest.mark.parametrize("name", ["0A01", "C", "b8945908-d6a6-41a9-611d-74a6ab80b83d"])
def test_the_first_digits_of_an_address_and_a_uuid_are_such_names(name: str) -> None:
    assert METHODS["pxe"].reserved.fullmatch(name)


@pytest.mark.parametrize("name", ["n1", "a1", "0A010108x", "node-default", "01-52-54-00-77-00", "rack01", "0a010108"])
def test_other_names_are_not(name: str) -> None:
    assert not METHODS["pxe"].reserved.fullmatch(name)


def test_an_offline_node_with_a_word_for_an_address_has_no_link_by_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.tables["hosts"][0]["ip"] = "somewhere"
    server.tables["mac"][0]["mac"] = "unknown"
    server.nodeset("n1", "offline")
    assert server.names() == {"n1"}
