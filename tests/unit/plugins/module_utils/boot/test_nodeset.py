# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeset writes what changed and no more, checks everything first, and takes away what removed nodes left."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import parse_state
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_a_generation_is_named_by_its_own_path_in_every_word(server: Server) -> None:
    decided = server.nodeset()
    path = f"{server.imagedir}/generations/1"
    assert decided.result()["nodes"]["n1"]["generation"] == 1
    assert server.boot_file("n1").splitlines()[3:5] == [
        " KERNEL xcat/osimage/img1/1/kernel",
        (
            " APPEND initrd=xcat/osimage/img1/1/initrd-statelite.gz"
            f" root=nfs:10.77.0.1:{path}/rootimg:ro,vers=3,nolock STATEMNT= XCAT=10.77.0.1:3001 NODE=n1 FC=0 XCATHTTPPORT=80"
            " MNTOPTS= ip=dhcp rd.neednet=1 statelite.image=img1 statelite.generation=1"
            " statelite.levels=none statelite.machine-id=00895feac77b4cfda9988bc78dd7c398"
        ),
    ]
    assert (server.tftp / "xcat/osimage/img1/1/kernel").read_text() == "kernel 1"


def test_an_image_with_a_row_for_local_disks_has_their_label_in_the_kernel_line(server: Server) -> None:
    server.tables["litefile"] = [{"image": "img1", "file": "/scratch/", "options": "localdisk"}]
    server.nodeset()
    assert " statelite.disk=statelite,noatime" in server.boot_file("n1")
    server.tables["site"] += [{"key": "litedisklabel", "value": "mine"}, {"key": "litediskopts", "value": "nodev,noatime"}]
    server.nodeset()
    assert " statelite.disk=mine,nodev,noatime" in server.boot_file("n1")
    server.tables["litefile"] = [{"image": "other", "file": "/scratch/", "options": "localdisk"}]
    server.nodeset()
    assert "statelite.disk" not in server.boot_file("n1")


def test_a_node_is_found_by_its_name_its_address_and_its_hardware_address(server: Server) -> None:
    server.nodeset("n1")
    directory = server.tftp / "pxelinux.cfg"
    assert {name: os.readlink(directory / name) for name in server.names() - {"n1"}} == {
        "01-52-54-00-77-00-11": "n1",
        "0A4D000B": "n1",
    }


def test_a_second_run_finds_nothing_to_do(server: Server) -> None:
    assert server.nodeset().lines()
    before = {path: path.lstat().st_mtime_ns for path in server.tftp.rglob("*")}
    assert server.plan().lines() == []
    assert {path: path.lstat().st_mtime_ns for path in server.tftp.rglob("*")} == before


@pytest.mark.parametrize("step", range(0, 18, 2))
@pytest.mark.parametrize("netboot", ["pxe", "grub2", "petitboot"])
def test_after_a_run_that_was_killed_the_next_one_leaves_the_tree_of_an_undisturbed_one(server: Server, netboot: str, step: int) -> None:
    server.boots_by(netboot)
    child = os.fork()
    if child == 0:
        done = iter(range(99))

        def counted(call: Any) -> Any:
            def at_the_step(*arguments: Any, **more: Any) -> Any:
                if next(done) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **more)

            return at_the_step

        try:
            os.rename, os.symlink, os.link, os.unlink = (counted(call) for call in (os.rename, os.symlink, os.link, os.unlink))
            server.nodeset()
        finally:
            os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == -signal.SIGKILL or step > 7
    server.nodeset()
    left = tree(server.tftp)
    shutil.rmtree(server.tftp)
    server.boots_by(netboot)
    server.nodeset()
    assert left == tree(server.tftp)


def tree(directory: Path) -> dict[str, str]:
    """What each path below a directory is: the target of a link, the content of a file."""
    return {
        str(path.relative_to(directory)): os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else "directory"
        for path in directory.rglob("*")
    }


def test_planning_writes_nothing(server: Server) -> None:
    assert len(server.plan().lines()) == 1 + 3 * 3
    assert not server.tftp.exists()


def test_only_the_file_of_a_changed_node_is_written_again(server: Server) -> None:
    server.nodeset()
    server.tables["bootparams"] = [{"node": "n2", "addkcmdline": "quiet"}]
    assert server.plan().lines() == [f"+ {server.tftp}/pxelinux.cfg/n2: statelite debian12-x86_64-compute"]


def test_a_new_generation_moves_the_nodes_of_the_range_and_keeps_the_others_whole(server: Server) -> None:
    server.nodeset()
    server.generation(2)
    server.nodeset("n1")
    assert "img1/2/kernel" in server.boot_file("n1")
    assert "img1/1/kernel" in server.boot_file("n2")
    assert {name: (server.tftp / f"xcat/osimage/img1/{name}/kernel").read_text() for name in "12"} == {"1": "kernel 1", "2": "kernel 2"}


def test_a_pair_that_does_not_match_its_image_is_replaced_as_a_whole(server: Server) -> None:
    server.nodeset()
    pair = server.tftp / "xcat/osimage/img1/1"
    (pair / "kernel").write_text("something else")
    old = pair.stat().st_ino
    decided = server.nodeset()
    assert decided.lines() == [f"+ {server.tftp}/xcat/osimage/img1/1: kernel and initramfs of img1"]
    assert ((pair / "kernel").read_text(), pair.stat().st_ino == old) == ("kernel 1", False)
    assert os.listdir(pair.parent) == ["1"]


def test_a_plain_image_beside_generations_keeps_their_pairs(server: Server) -> None:
    server.nodeset()
    (server.imagedir / "current").unlink()
    for name in ("rootimg", "kernel", "initrd-statelite.gz"):
        made = server.imagedir / name
        made.mkdir() if name == "rootimg" else made.write_text(f"plain {name}")
    server.nodeset("n1")
    image = server.tftp / "xcat/osimage/img1"
    assert ((image / "kernel").read_text(), (image / "1/kernel").read_text()) == ("plain kernel", "kernel 1")
    assert "ip=dhcp" in server.boot_file("n1") and ":ro STATEMNT" in server.boot_file("n1")


def test_no_other_interface_than_the_named_one_is_to_get_an_address(server: Server) -> None:
    server.tables["noderes"].append({"node": "n1", "installnic": "eth1"})
    server.nodeset("n1,n2")
    words = server.boot_file("n1").split()
    assert {"netdev=eth1", "ip=eth1:dhcp"} <= set(words)
    assert "ip=dhcp" not in words
    assert "ip=dhcp" in server.boot_file("n2").split()


def test_several_interfaces_are_none_that_a_word_of_dracut_could_name(server: Server) -> None:
    server.tables["noderes"].append({"node": "n1", "installnic": "eth0,eth1"})
    server.nodeset("n1")
    assert {"netdev=eth0,eth1", "ip=dhcp"} <= set(server.boot_file("n1").split())


def test_what_a_removed_node_left_goes_and_what_others_own_stays(server: Server) -> None:
    server.nodeset()
    foreign = server.tftp / "pxelinux.cfg/default"
    foreign.write_text("DEFAULT menu.c32\n")
    (server.tftp / "pxelinux.cfg/01-aa-bb-cc-dd-ee-ff").symlink_to("default")
    server.tables["nodelist"] = server.tables["nodelist"][:2]
    decided = server.nodeset("n1")
    assert sorted(Path(path).name for path in decided.result()["removed"]) == ["01-52-54-00-77-00-13", "0A4D000D", "n3"]
    assert {"default", "01-aa-bb-cc-dd-ee-ff", "n1", "n2"} <= server.names()
    assert not {"n3", "0A4D000D"} & server.names()


def test_a_node_with_a_new_card_loses_its_old_link(server: Server) -> None:
    server.nodeset()
    server.tables["mac"][0]["mac"] = "52-54-00-77-00-AA"
    server.nodeset("n1")
    assert "01-52-54-00-77-00-aa" in server.names()
    assert "01-52-54-00-77-00-11" not in server.names()


def test_an_offline_node_boots_from_its_own_disk_and_back(server: Server) -> None:
    server.nodeset()
    assert server.nodeset("n1", "offline").result()["nodes"] == {
        "n1": {"state": "offline", "method": "pxe", "file": f"{server.tftp}/pxelinux.cfg/n1"}
    }
    assert server.boot_file("n1") == "#offline\nDEFAULT xCAT\nLABEL xCAT\nLOCALBOOT 0\n"
    assert server.nodeset("n1").lines() == [f"+ {server.tftp}/pxelinux.cfg/n1: statelite debian12-x86_64-compute"]


def test_another_name_of_an_interface_leads_to_the_node_unless_it_has_a_file_of_its_own(server: Server) -> None:
    server.tables["mac"][0]["mac"] = "52:54:00:77:00:11!n1|52:54:00:77:00:1a!n1-ib|52:54:00:77:00:1b!n2"
    server.tables["hosts"].append({"node": "n1-ib", "ip": "10.88.0.11"})
    server.nodeset("n1")
    assert {"0A58000B", "0A4D000C"} <= server.names()
    server.nodeset("n2")
    assert os.readlink(server.tftp / "pxelinux.cfg/0A4D000C") == "n2"
    assert server.plan("n1").lines() == []


def faults(error: pytest.ExceptionInfo[SiteError]) -> list[str]:
    return [f"{fault.where}: {fault.what}" for fault in error.value.faults]


def test_every_fault_of_every_node_is_told_at_once_and_nothing_is_written(server: Server) -> None:
    del server.tables["mac"][0], server.tables["hosts"][1]
    server.tables["noderes"] = [{"node": "n1", "netboot": "ybnx"}, {"node": "n2", "netboot": "pxe"}]
    with pytest.raises(SiteError) as error:
        server.plan()
    assert faults(error) == [
        "node n1, noderes.netboot: 'ybnx' is no boot method",
        "node n1, mac.mac: the node has no hardware address",
        "node n2, hosts.ip: the node has no address",
        "node n3, noderes.netboot: is not set",
    ]
    assert not server.tftp.exists()


def remove_layout(server: Server) -> None:
    (server.imagedir / "generations/1/rootimg/.statelite.json").unlink()


def remove_kernel(server: Server) -> None:
    (server.imagedir / "generations/1/kernel").unlink()


def twice_the_same_card(server: Server) -> None:
    server.tables["mac"][1]["mac"] = "52-54-00-77-00-11"


def another_architecture(server: Server) -> None:
    server.tables["osimage"][0]["osarch"] = "aarch64"


def ramdisk(server: Server) -> None:
    server.tables["osimage"][0]["rootfstype"] = "ramdisk"


def no_image(server: Server) -> None:
    server.tables["nodetype"] = []


def quoted_word(server: Server) -> None:
    server.tables["bootparams"] = [{"node": "n1", "addkcmdline": 'a="b"'}]


def no_speed(server: Server) -> None:
    server.tables["nodehm"] = [{"node": "n1", "serialport": "0"}]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (remove_layout, "osimage img1: generation 1 is not laid out for litefile. Run liteimg"),
        (remove_kernel, "generations/1/kernel is not there. Run genimage"),
        (twice_the_same_card, "nodes n1 and n2 have the same hardware address 52:54:00:77:00:11"),
        (another_architecture, "pxe cannot boot aarch64. Methods for aarch64: grub2"),
        (ramdisk, "there is no packed root of its layout"),
        (no_image, "table nodetype, node n1: the node has no image"),
        (quoted_word, "has a blank, a quote or a control character"),
        (no_speed, "serialport is set and serialspeed is not"),
    ],
)
def test_a_node_that_could_not_boot_is_refused(server: Server, spoil: Any, reason: str) -> None:
    spoil(server)
    with pytest.raises(SiteError, match=reason):
        server.plan()


@pytest.mark.parametrize("state", ["runimage=http://x/y", "install", "runcmd=bmcsetup,osimage=img1", "standby", "next"])
def test_a_state_of_another_release_is_refused_by_its_name(state: str) -> None:
    with pytest.raises(SiteError, match="is not in this release"):
        parse_state(state)


def test_serial_console_and_state_are_words_of_the_line(server: Server) -> None:
    server.tables["nodehm"] = [{"node": "compute", "serialport": "0", "serialspeed": "115200", "serialflow": "hard"}]
    server.tables["statelite"] = [{"node": "compute", "statemnt": "$noderes.nfsserver:/srv/state", "mntopts": "hard"}]
    server.nodeset("n1")
    line = server.boot_file("n1").splitlines()[4]
    assert "STATEMNT=10.77.0.1:/srv/state " in line
    assert "console=tty0 console=ttyS0,115200n8r MNTOPTS=hard" in line


def test_the_image_directory_may_have_another_place_on_the_nfs_server(server: Server) -> None:
    server.tables["noderes"][0]["nfsdir"] = "/vol/xCAT/install"
    server.nodeset("n1")
    assert "root=nfs:10.77.0.1:/vol/xCAT/install/netboot/debian12/x86_64/compute/generations/1/rootimg:ro" in server.boot_file("n1")


def test_addresses_of_the_sixth_version_stand_in_brackets(server: Server) -> None:
    server.tables["site"][2]["value"] = "fd00::1"
    server.nodeset("n1")
    assert "root=nfs:[fd00::1]:/" in server.boot_file("n1") and "XCAT=[fd00::1]:3001" in server.boot_file("n1")
