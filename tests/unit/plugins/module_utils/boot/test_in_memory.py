# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes whose root is in memory: which packed file of which generation they are told to fetch."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.packs import RAMDISK, STATELESS, write_packs
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError

from .server import Server

DIGEST = f"sha256:{'5' * 64}"


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    Path(made.imagedir, "generations/1/initrd-stateless.gz").write_text("initramfs 1")
    return made


def packed(server: Server, *kinds: str, number: int = 1) -> Generation:
    generation = Generation(str(server.imagedir), number)
    for kind in kinds:
        Path(generation.path, f"rootimg-{kind}.sfs").write_text(kind)
    write_packs(generation, {kind: {"file": f"rootimg-{kind}.sfs", "digest": DIGEST, "size": len(kind)} for kind in kinds})
    return generation


def test_a_stateless_node_is_told_the_packed_root_and_its_digest(server: Server) -> None:
    server.tables["osimage"][0]["provmethod"] = "netboot"
    generation = packed(server, STATELESS, RAMDISK)
    server.nodeset("n1", "osimage")
    words = server.boot_file("n1").split()
    assert server.boot_file("n1").startswith("#netboot debian12-x86_64-compute\n")
    assert f"imgurl=http://10.77.0.1:80/{generation.path}/rootimg-stateless.sfs" in words
    assert f"statelite.digest={DIGEST}" in words
    assert "initrd=xcat/osimage/img1/1/initrd-stateless.gz" in words
    assert {"ip=dhcp", "rd.neednet=1", "statelite.image=img1", "statelite.generation=1", "NODE=n1"} <= set(words)
    # The node can do without the answer service: it needs no more than its name and this.
    assert [word for word in words if word.startswith("statelite.machine-id=")]
    assert [word for word in words if word.startswith(("root=", "STATEMNT="))] == []


def test_a_statelite_node_with_its_root_in_memory_has_its_state_over_nfs(server: Server) -> None:
    server.tables["osimage"][0]["rootfstype"] = "ramdisk"
    server.tables["statelite"] = [{"node": "compute", "statemnt": "10.77.0.1:/srv/state"}]
    generation = packed(server, RAMDISK)
    server.nodeset("n1", "statelite")
    words = server.boot_file("n1").split()
    assert words[0] == "#statelite"
    assert f"imgurl=http://10.77.0.1:80/{generation.path}/rootimg-ramdisk.sfs" in words
    assert "STATEMNT=10.77.0.1:/srv/state" in words
    assert "initrd=xcat/osimage/img1/1/initrd-stateless.gz" in words


def test_one_image_serves_statelite_and_stateless_nodes(server: Server) -> None:
    packed(server, STATELESS)
    server.nodeset("n1", "statelite=img1")
    server.nodeset("n2", "netboot=img1")
    assert "root=nfs:" in server.boot_file("n1")
    assert server.boot_file("n2").startswith("#netboot debian12-x86_64-compute\n")
    assert "imgurl=http:" in server.boot_file("n2")
    # Both initramfs stay where the boot files look for them.
    names = {path.name for path in (server.tftp / "xcat/osimage/img1/1").iterdir()}
    assert names == {"kernel", "initrd-statelite.gz", "initrd-stateless.gz"}
    assert server.plan("n1", "statelite=img1").lines() == server.plan("n2", "netboot=img1").lines() == []


def test_what_is_not_packed_is_refused(server: Server) -> None:
    for row, state in (({"provmethod": "netboot"}, "osimage"), ({"rootfstype": "ramdisk"}, "statelite"), ({}, "netboot=img1")):
        server.tables["osimage"][0].update({"provmethod": "statelite", "rootfstype": "", **row})
        with pytest.raises(SiteError, match="Run packimage for this image"):
            server.plan("n1", state)


def test_a_pack_of_another_generation_is_none_of_this_one(server: Server) -> None:
    server.tables["osimage"][0]["provmethod"] = "netboot"
    packed(server, STATELESS)
    server.generation(2)
    Path(server.imagedir, "generations/2/initrd-stateless.gz").write_text("initramfs 2")
    for name in ("packed.json", "rootimg-stateless.sfs"):
        Path(server.imagedir, "generations/2", name).write_bytes(Path(server.imagedir, "generations/1", name).read_bytes())
    with pytest.raises(SiteError, match=r"there is no packed root in .*/generations/2"):
        server.plan("n1", "osimage")


def test_an_image_for_a_root_in_memory_is_not_booted_stateless(server: Server) -> None:
    server.tables["osimage"][0]["rootfstype"] = "ramdisk"
    packed(server, RAMDISK, STATELESS)
    with pytest.raises(SiteError, match="provmethod is 'statelite', not 'netboot'"):
        server.plan("n1", "netboot=img1")
