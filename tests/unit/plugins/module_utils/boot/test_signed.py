# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At a site with a key nodes are given only what the site signed, as it signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import verify
from ansible_collections.diskless.statelite.plugins.module_utils.apply.signing import site_keys
from ansible_collections.diskless.statelite.plugins.module_utils.boot.rollback import read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.boot.sealing import read_sealed
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_manifest import have_key
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server


class Signing(Server):
    """A management node whose site has a key, and two generations that were published before."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.generation(2)
        have_key(root)
        with open_store(str(root / "site.db")) as store:
            for name, rows in self.tables.items():
                store.write(plan_table(TABLES[name], [], rows))

    def change(self, **options: Any) -> list[str]:
        params = {"image": "img1", "keep": 2, "dead": None, "spool": str(self.root / "reports"), "site": str(self.root / "site.db")}
        plan = read_and_plan({**params, "current": None, "reason": None, "seal": None, **options}, lambda _text: None)
        lines = plan.lines()
        if lines:
            plan.apply()
        return lines

    def at(self, number: int) -> Generation:
        return Generation(str(self.imagedir), number)


@pytest.fixture
def server(tmp_path: Path) -> Signing:
    return Signing(tmp_path)


def test_nodeset_refuses_what_nobody_signed_until_it_is_sealed(server: Signing) -> None:
    with pytest.raises(SiteError, match="nobody signed it") as refused:
        server.nodeset()
    assert "seal: [2]" in refused.value.faults[0].mend
    assert not server.directory.exists() or server.names() == set()
    assert server.change(seal=[2, 1]) == [
        "img1: seal generation 2 as it is: it has no manifest",
        "img1: seal generation 1 as it is: it has no manifest",
    ]
    assert server.change(seal=[2, 1]) == []
    server.nodeset()
    assert "generations/2/rootimg" in server.boot_file("n1")


def test_nodeset_refuses_a_changed_kernel_by_its_path(server: Signing) -> None:
    server.change(seal=[2])
    (server.imagedir / "generations/2/kernel").write_text("kernel 3")
    with pytest.raises(SiteError, match=r"generations/2/kernel.*somebody changed it"):
        server.nodeset()
    assert server.change(seal=[2])[0].startswith("img1: seal generation 2 as it is: ")
    assert verify(server.at(2), site_keys(str(server.root)), tree=True).id == "2+1"
    server.nodeset()


def test_a_site_does_not_go_back_to_what_was_changed(server: Signing) -> None:
    with pytest.raises(SiteError, match="nobody signed it"):
        server.change(current="1")
    server.change(seal=[1, 2])
    (server.imagedir / "generations/1/initrd-statelite.gz").write_text("another")
    with pytest.raises(SiteError, match=r"initrd-statelite\.gz"):
        server.change(current="previous")
    (server.imagedir / "generations/1/initrd-statelite.gz").write_text("initramfs 1")
    assert len(server.change(current="previous", reason="try")) == 2
    server.nodeset()
    assert "generations/1/rootimg" in server.boot_file("n1")


def test_what_is_sealed_when_it_is_published_needs_nothing_else(server: Signing) -> None:
    server.generation(3)
    publish(server.at(3), site_keys(str(server.root)))
    server.nodeset()
    assert "generations/3/rootimg" in server.boot_file("n1")


def test_a_seal_of_what_is_not_there_is_refused(server: Signing) -> None:
    with pytest.raises(SiteError, match="no generation 7"):
        server.change(seal=[7])
    with pytest.raises(SiteError, match="Seal first"):
        server.change(seal=[1], current="1")


def test_what_is_wrong_is_told(server: Signing) -> None:
    server.change(seal=[2])
    (server.root / "reports").mkdir()
    params = {"image": "img1", "spool": str(server.root / "reports"), "site": str(server.root / "site.db")}
    first, second = read_sealed({**params, "verify": True}, lambda _text: None)["generations"]
    assert (first["id"], first["sealed"], first["trouble"]) == ("1", "", "it has no manifest")
    assert (second["id"], second["trouble"]) == ("2", "")
    (server.imagedir / "generations/2/rootimg/new").write_text("")
    told = read_sealed({**params, "verify": True}, lambda _text: None)
    assert "not in the signed list" in told["generations"][1]["trouble"]
    assert "not in the signed list" in told["text"]
    assert read_sealed({**params, "verify": False}, lambda _text: None)["generations"][1]["trouble"] == ""
