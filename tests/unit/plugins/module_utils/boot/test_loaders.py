# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every node's method has its loader; one that somebody else put there stays."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot import loaders
from ansible_collections.diskless.statelite.plugins.module_utils.boot.loaders import LoaderPlan, plan_loaders
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server


class Machine:
    """A server with GRUB's modules for PCs, the loaders of iPXE, and an image for arm64 that has GRUB's modules for that."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tftp = root / "tftpboot"
        self.image = root / "images/arm"
        self.modules(root / "grub/x86_64-efi")
        self.modules(self.image / "rootimg/usr/lib/grub/arm64-efi")
        (root / "ipxe").mkdir()
        for name in ("undionly.kpxe", "snponly.efi"):
            (root / "ipxe" / name).write_text(name)
        osimage = {"imagename": "arm", "osvers": "debian12", "osarch": "aarch64", "profile": "compute", "provmethod": "statelite"}
        self.tables: dict[str, list[dict[str, str]]] = {
            "site": [{"key": "tftpdir", "value": str(self.tftp)}],
            "osimage": [osimage],
            "linuximage": [{"imagename": "arm", "rootimgdir": str(self.image)}],
            "nodelist": [{"node": name} for name in ("n1", "n2", "n3", "n4")],
            "nodetype": [{"node": "n1", "arch": "x86_64"}, {"node": "n2", "provmethod": "arm"}],
            "noderes": [
                {"node": f"n{number}", "netboot": netboot} for number, netboot in enumerate(("grub2", "grub2-http", "xnba", "pxe"), 1)
            ],
        }

    def modules(self, place: Path, size: int = 1) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for name in ("moddep.lst", "modinfo.sh", "kernel.img", "normal.mod"):
            (place / name).write_text(name * size)

    def plan(self) -> LoaderPlan:
        params: dict[str, Any] = {"grub_directories": [str(self.root / "grub")], "ipxe_directory": str(self.root / "ipxe")}
        return plan_loaders(Site(self.tables), params)

    def apply(self) -> LoaderPlan:
        plan = self.plan()
        plan.apply()
        return plan


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    def mkstandalone(words: list[str], **_more: Any) -> str:
        given = dict(word.partition("=")[::2] for word in words)
        Path(given["--output"]).write_text(f"{given['--format']} {(Path(given['--directory']) / 'kernel.img').read_text()}")
        return ""

    monkeypatch.setattr(loaders, "run_command", mkstandalone)
    monkeypatch.setattr(loaders, "is_installed", lambda _program: True)
    return Machine(tmp_path)


def test_each_architecture_has_its_grub_and_modules_come_from_an_image_where_the_server_has_none(machine: Machine) -> None:
    made = machine.apply()
    assert {grub.arch: grub.modules for grub, _record in made.made} == {
        "aarch64": str(machine.image / "rootimg/usr/lib/grub/arm64-efi"),
        "x86_64": str(machine.root / "grub/x86_64-efi"),
    }
    assert (machine.tftp / "boot/grub2/grub2.aarch64").read_text() == "arm64-efi kernel.img"
    assert machine.plan().lines() == []


def test_ipxe_is_led_to_the_script_of_the_host_name_that_dhcp_gives(machine: Machine) -> None:
    machine.tables["site"].append({"key": "httpport", "value": "8080"})
    machine.apply()
    script = (machine.tftp / "xcat/xnba/boot.ipxe").read_text()
    assert "chain http://${next-server}:8080/tftpboot/xcat/xnba/nodes/${hostname}${end} || exit" in script
    assert (machine.tftp / "xcat/xnba/undionly.kpxe").read_text() == "undionly.kpxe"


def test_new_modules_make_a_new_loader(machine: Machine) -> None:
    machine.apply()
    machine.modules(machine.root / "grub/x86_64-efi", 2)
    assert len(machine.apply().lines()) == 1
    assert "kernel.imgkernel.img" in (machine.tftp / "boot/grub2/grub2.x86_64").read_text()
    assert machine.plan().lines() == []


def test_a_loader_of_somebody_else_stays_and_is_told(machine: Machine) -> None:
    loader = machine.tftp / "boot/grub2/grub2.x86_64"
    loader.parent.mkdir(parents=True)
    loader.write_text("xCAT's own")
    assert machine.apply().result()["foreign"] == [str(loader)]
    assert loader.read_text() == "xCAT's own"


def test_a_run_that_was_killed_before_the_loader_was_in_its_place_is_finished(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write, done = loaders.write_file, iter(range(9))

    def at_the_third(*arguments: Any) -> None:
        if next(done) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    machine.apply()
    machine.modules(machine.root / "grub/x86_64-efi", 2)
    monkeypatch.setattr(loaders, "write_file", at_the_third)
    with pytest.raises(KeyboardInterrupt):
        machine.apply()
    monkeypatch.setattr(loaders, "write_file", write)
    machine.apply()
    assert "kernel.imgkernel.img" in (machine.tftp / "boot/grub2/grub2.x86_64").read_text()
    assert machine.plan().lines() == []


def test_what_is_nowhere_is_told_for_every_architecture_at_once(machine: Machine) -> None:
    (machine.root / "grub/x86_64-efi/moddep.lst").unlink()
    (machine.image / "rootimg/usr/lib/grub/arm64-efi/moddep.lst").unlink()
    (machine.root / "ipxe/snponly.efi").unlink()
    with pytest.raises(SiteError) as refused:
        machine.plan()
    assert [fault.where for fault in refused.value.faults] == ["node n2", "node n1", f"{machine.root}/ipxe/snponly.efi"]
    assert not machine.tftp.exists()


def test_a_link_out_of_an_image_is_not_followed(machine: Machine) -> None:
    place = machine.image / "rootimg/usr/lib/grub"
    place.rename(machine.root / "elsewhere")
    place.symlink_to(machine.root / "elsewhere")
    with pytest.raises(SiteError, match="nor in an image for aarch64"):
        machine.plan()


def test_the_loader_of_an_image_that_only_nodeset_was_told_is_had_as_it_says(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.tables["noderes"][0]["netboot"] = "grub2"
    server.tables["osimage"][0]["osarch"] = "aarch64"
    server.tables["nodetype"] = []
    with pytest.raises(SiteError, match=r"grub2\.aarch64 is not there\. Have nodetype say that the node is aarch64, by its image or arch"):
        server.nodeset("n1", "osimage=img1")
    server.tables["nodetype"] = [{"node": "compute", "arch": "aarch64"}]
    with pytest.raises(SiteError, match="arm64-efi"):
        plan_loaders(Site(server.tables), {"grub_directories": [], "ipxe_directory": ""})


def test_files_where_the_loaders_directories_belong_are_told_by_their_paths_before_anything_is_made(machine: Machine) -> None:
    machine.tftp.mkdir()
    for name in ("boot", "xcat"):
        (machine.tftp / name).write_text("")
    with pytest.raises(SiteError) as error:
        machine.plan()
    assert [fault.where for fault in error.value.faults] == [str(machine.tftp / name) for name in ("boot", "xcat")]


def test_a_server_without_the_program_is_told_before_it_is_run(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "is_installed", lambda _program: False)
    with pytest.raises(SiteError, match=r"grub-mkstandalone: is not installed\. Install the package grub-common"):
        machine.plan()


def test_grub_reads_what_it_is_given_and_has_the_commands_of_it(tmp_path: Path) -> None:
    script = tmp_path / "grub.cfg"
    script.write_text(loaders.SCRIPT)
    subprocess.run(["grub-script-check", str(script)], check=True)
    words = {line.split()[0] for line in loaders.SCRIPT.replace("if net_bootp", "net_bootp").splitlines()}
    of_no_module = {"if", "fi", "for", "done", "set", "source"}
    of_others = {"net_bootp": "net", "exit": "minicmd"}
    assert {of_others.get(word, word) for word in words - of_no_module} <= set(loaders.MODULES.split())
