# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an image is built again and why, when not, and what is refused; no build is run here (integration target genimage)."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.lock import only_run
from ansible_collections.diskless.statelite.plugins.module_utils.apply.withdrawn import lift, withdraw
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.build import staging_left
from ansible_collections.diskless.statelite.plugins.module_utils.image.genimage import SPEC, Genimage, plan_genimage
from ansible_collections.diskless.statelite.plugins.module_utils.image.interfaces import interface_files
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import Image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site


class Made:
    """A management node's files in one directory, and the rows of one image."""

    def __init__(self, path: Path) -> None:
        self.path = path
        texts = {
            "dracut/module-setup.sh": "#!/bin/bash\n",
            "rootfs/etc/issue": "welcome\n",
            "ca.pem": "-----BEGIN CERTIFICATE-----\n",
            "id.pub": "ssh-ed25519 AAAA\n",
            "share/pkglist/compute.debian12.pkglist": "vim\nlinux-image-amd64\n",
        }
        for name, text in texts.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        self.osimage = {
            "imagename": "i",
            "osvers": "debian12",
            "osarch": os.uname().machine,
            "profile": "compute",
            "provmethod": "statelite",
        }
        self.linuximage = {"imagename": "i", "pkgdir": "http://mirror/debian", "rootimgdir": str(path / "image")}
        names = {"dracut_module": "dracut", "rootfs": "rootfs", "ca": "ca.pem", "authorized_keys": "id.pub", "share": "share"}
        self.params: dict[str, Any] = {name: option.get("default") for name, option in SPEC.items()}
        self.params.update({option: str(path / name) for option, name in names.items()}, image="i")

    def plan(self) -> Genimage:
        return plan_genimage(Site({"osimage": [self.osimage], "linuximage": [self.linuximage]}), self.params)

    def build(self, number: int) -> None:
        """Put a generation there as a build of what is declared now would leave it."""
        record = {"inputs": dict(self.plan().inputs.record), "kernel_version": "6.1", "packages": {"vim": "9"}}
        generation = Generation(str(self.path / "image"), number)
        (Path(generation.path) / "rootimg").mkdir(parents=True)
        for name in ("kernel", "initrd-statelite.gz"):
            (Path(generation.path) / name).write_text("")
        generation.write_record(record)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_an_image_without_a_generation_is_built(made: Made) -> None:
    plan = made.plan()
    assert plan.lines() == [f"i: build generation 1 in {made.path}/image", "i: there is no generation yet"]
    assert plan.result()["generation"] is None
    assert not (made.path / "image").exists()


def test_unchanged_inputs_are_no_reason(made: Made) -> None:
    made.build(1)
    assert made.plan().lines() == []
    (made.path / "share/pkglist/compute.debian12.pkglist").write_text("# in another order, with a comment\nlinux-image-amd64\nvim\n")
    assert made.plan().lines() == []
    made.linuximage.update(permission="700", addkcmdline="quiet")
    assert made.plan().lines() == []


def test_each_input_that_changed_is_named(made: Made) -> None:
    made.build(1)
    (made.path / "share/pkglist/compute.debian12.pkglist").write_text("linux-image-amd64\nnano\n-vim\n")
    (made.path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nnew\n")
    (made.path / "dracut/agent.sh").write_text("#!/bin/sh\n")
    (made.path / "rootfs/etc/issue").unlink()
    made.osimage["environvar"] = "PROXY=http://secret@proxy"
    made.linuximage["netdrivers"] = "igb"
    lines = made.plan().lines()
    assert lines == [
        f"i: build generation 2 in {made.path}/image",
        "i: pkglist changed: +nano -vim",
        "i: pkglist changed, kept out: +vim",
        "i: definition changed: netdrivers: unset -> igb",
        "i: environment changed: PROXY new",
        "i: credential /etc/statelite/ca.pem changed",
        "i: dracut module /agent.sh new",
        "i: root file /etc/issue gone",
    ]


def test_a_generation_that_is_not_whole_is_built_again(made: Made) -> None:
    made.build(3)
    (made.path / "image/generations/3/kernel").unlink()
    assert made.plan().lines()[1] == "i: generation 3 has no kernel"


def test_genimage_publishes_nothing(made: Made) -> None:
    """A generation is published when it is complete: by liteimg, or by packimage for a root in memory."""
    for made.osimage["provmethod"] in ("netboot", "statelite"):
        made.build(1)
        assert made.plan().lines() == []
        assert not (made.path / "image/current").exists()
        shutil.rmtree(made.path / "image")


def test_what_an_interrupted_build_left_goes_even_when_nothing_is_to_be_built(made: Made) -> None:
    made.build(1)
    left = made.path / "image/generations/.2.staging"
    (left / "rootimg").mkdir(parents=True)
    plan = made.plan()
    assert plan.lines() == [f"i: remove {left}, which an interrupted build left"]
    plan.apply()
    assert staging_left(str(made.path / "image")) == []
    assert (made.path / "image/generations/1/kernel").exists()


def test_a_second_genimage_is_refused_by_name(made: Made) -> None:
    made.osimage["provmethod"] = "netboot"
    made.build(1)
    first = made.plan()
    lock = made.path / "image/.genimage.lock"
    lock.touch()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        hold_lock(str(lock), writer)
    os.read(reader, 1)
    try:
        with pytest.raises(SiteError, match=f"process {child}"):
            first.apply()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    first.apply()


def hold_lock(path: str, writer: int) -> None:
    """Hold the lock in this process until it is killed."""
    with only_run(path, "the image"):
        os.write(writer, b"x")
        while True:
            time.sleep(60)


def test_every_fault_of_a_definition_is_told_at_once(made: Made) -> None:
    made.osimage.update(osvers="plan9", osarch="vax", provmethod="install", environvar="=", profile="")
    made.linuximage.update(pkglist="/none", postinstall="/none.sh", exlist="/none.exlist", otherpkglist="/none.other")
    made.params.update(dracut_module="/nowhere", rootfs="/nowhere", ca="/nowhere", authorized_keys="")
    with pytest.raises(SiteError) as raised:
        made.plan()
    assert len(raised.value.faults) == 12


def test_an_unknown_image_is_named(made: Made) -> None:
    made.params["image"] = "other"
    with pytest.raises(SiteError, match="imagename other: there is no such image"):
        made.plan()


def test_a_custom_list_comes_before_ours(made: Made) -> None:
    site = {"key": "installdir", "value": str(made.path / "install")}
    custom = made.path / "install/custom/netboot/debian"
    custom.mkdir(parents=True)
    (custom / "compute.pkglist").write_text("nano\n")
    plan = plan_genimage(Site({"osimage": [made.osimage], "linuximage": [made.linuximage], "site": [site]}), made.params)
    assert plan.definition.packages.install == ("nano",)


def test_a_withdrawn_generation_is_not_built_again_until_what_is_declared_changes(made: Made) -> None:
    made.build(1)
    (made.path / "share/pkglist/compute.debian12.pkglist").write_text("vim\nnano\nlinux-image-amd64\n")
    made.build(2)
    withdraw(str(made.path / "image"), 2, 1, "nano does not work")
    plan = made.plan()
    assert plan.lines() == []
    assert plan.result()["generation"] == 1
    assert plan.result()["held"].endswith("nano does not work")
    made.params["force"] = True
    assert made.plan().lines() == [f"i: build generation 3 in {made.path}/image", "i: a build is asked for"]
    made.params["force"] = False
    (made.path / "share/pkglist/compute.debian12.pkglist").write_text("vim\nless\nlinux-image-amd64\n")
    assert "i: pkglist changed: +less" in made.plan().lines()
    lift(str(made.path / "image"), 2)
    (made.path / "share/pkglist/compute.debian12.pkglist").write_text("vim\nnano\nlinux-image-amd64\n")
    assert (made.plan().lines(), made.plan().result()["generation"]) == ([], 2)


def test_interfaces_of_an_image_are_in_it_and_a_new_one_is_a_reason(made: Made) -> None:
    made.build(1)
    made.linuximage.update(nodebootif="eth0", otherifce="eth1,eth0, ib0")
    plan = made.plan()
    wants = "/etc/systemd/system/sys-subsystem-net-devices-{0}.device.wants/statelite-interface@{0}.service"
    files = {file.path: file for file in plan.inputs.overlay}
    assert "iface eth0 inet manual" in files["/etc/network/interfaces.d/eth0"].content.decode()
    assert [path for path in files if ".wants/" in path] == [wants.format("eth1"), wants.format("ib0")]
    assert files[wants.format("ib0")].target == "../statelite-interface@.service"
    assert b"routers" not in files["/etc/statelite/interface.conf"].content
    assert f"i: root file {wants.format('ib0')} new" in plan.lines()
    made.linuximage["otherifce"] = "eth1,../evil"
    with pytest.raises(SiteError, match=r"column otherifce: '\.\./evil' is no interface name"):
        made.plan()


@pytest.mark.parametrize(("osvers", "directory"), [("rocky9.4", "network-scripts/"), ("sles15.5", "network/")])
def test_each_distribution_is_told_to_leave_the_boot_interface_alone(osvers: str, directory: str) -> None:
    image = Image("i", {"imagename": "i", "osvers": osvers, "nodebootif": "e1"}, "/install")
    assert [file.path for file in interface_files(image)] == [f"/etc/sysconfig/{directory}ifcfg-e1"]


def test_columns_that_bring_files_of_no_package_are_refused_and_not_passed_over(made: Made) -> None:
    made.linuximage.update(driverupdatesrc="dud:/install/drivers.img", kerneldir="/install/kernels")
    with pytest.raises(SiteError) as refused:
        made.plan()
    places = {fault.where.rpartition(" ")[2]: fault.mend for fault in refused.value.faults}
    assert sorted(places) == ["driverupdatesrc", "kerneldir"]
    assert places["kerneldir"].endswith("leave kerneldir unset")


def test_networkmanager_is_told_where_a_release_has_nothing_else() -> None:
    image = Image("i", {"imagename": "i", "osvers": "rocky10.1", "nodebootif": "e1", "otherifce": "e2,ib0"}, "/install")
    files = {file.path.removeprefix("/etc/NetworkManager/"): file for file in interface_files(image)}
    place = "system-connections/statelite-{}.nmconnection"
    assert sorted(files) == ["conf.d/95-statelite-e1.conf", place.format("e2"), place.format("ib0")]
    assert files["conf.d/95-statelite-e1.conf"].content.endswith(b"match-device=interface-name:e1\nmanaged=0\n")
    ethernet = files[place.format("e2")]
    assert (ethernet.mode, b"type=ethernet\ninterface-name=e2\n" in ethernet.content) == (0o600, True)
    assert b"never-default=true" in ethernet.content
    assert b"type=infiniband" in files[place.format("ib0")].content
