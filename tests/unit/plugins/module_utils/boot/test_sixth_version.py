# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 addresses in boot files: in brackets wherever a colon follows, and read right by dracut's own NFS functions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.packs import STATELESS, write_packs
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .server import Server

NFS_LIB = Path("/usr/lib/dracut/modules.d/95nfs/nfs-lib.sh")
READ = """
strstr() { [ "${1##*"$2"*}" != "$1" ]; }
str_starts() { [ "${1#"$2"}" != "$1" ]; }
. "$1"
nfs_to_var "$2" eth0
printf '%s %s %s %s' "$nfs" "$server" "$path" "$options"
"""


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    made.tables["site"][2]["value"] = "fd00::1"
    return made


def words_of(text: str) -> dict[str, str]:
    """Return the kernel words of a boot file by their names."""
    return dict(word.partition("=")[::2] for word in text.replace('"', "").split())


@pytest.mark.parametrize("options", ["", "nfsvers=4.2,proto=tcp6,rsize=8192"])
def test_dracut_reads_server_path_and_options_of_the_root(server: Server, tmp_path: Path, options: str) -> None:
    server.tables["osimage"][0]["nfsrootopts"] = options
    server.tables["statelite"] = [{"node": "compute", "statemnt": "[fd00::2]:/srv/state"}]
    server.nodeset("n1")
    words = words_of(server.boot_file("n1"))
    library = tmp_path / "nfs-lib.sh"
    lines = NFS_LIB.read_text(encoding="utf-8").splitlines(keepends=True)
    library.write_text("".join(line for line in lines if "net-lib.sh" not in line and "dracut-lib.sh" not in line), encoding="utf-8")
    found = subprocess.run(["sh", "-c", READ, "sh", str(library), words["root"]], capture_output=True, text=True, check=True, timeout=120)
    told = found.stdout.split(" ")
    assert told[:3] == ["nfs", "[fd00::1]", f"{server.imagedir}/generations/1/rootimg"]
    assert told[3] == f"ro,{options}" if options else told[3].startswith("ro,vers=3")
    assert (words["STATEMNT"], words["XCAT"]) == ("[fd00::2]:/srv/state", "[fd00::1]:3001")
    assert words["ip"] == "dhcp6"


def test_a_root_in_memory_is_fetched_from_an_address_in_brackets(server: Server) -> None:
    server.tables["osimage"][0]["provmethod"] = "netboot"
    server.tables["site"].append({"key": "httpport", "value": "8080"})
    (server.imagedir / "generations/1/initrd-stateless.gz").write_text("initramfs 1")
    (server.imagedir / "generations/1/rootimg-stateless.sfs").write_text("packed")
    generation = Generation(str(server.imagedir), 1)
    write_packs(generation, {STATELESS: {"file": "rootimg-stateless.sfs", "digest": f"sha256:{'5' * 64}", "size": 6}})
    server.nodeset("n1", "osimage")
    assert f"imgurl=http://[fd00::1]:8080/{generation.path}/rootimg-stateless.sfs" in server.boot_file("n1")


@pytest.mark.parametrize(
    ("netboot", "place"),
    [
        ("petitboot", "kernel http://[fd00::1]:80/tftpboot/xcat/osimage/img1"),
        ("grub2-http", "set root=http,[fd00::1]\n"),
        ("grub2-tftp", "set root=tftp,[fd00::1]\n"),
    ],
)
def test_a_loader_that_names_its_server_has_it_in_brackets(server: Server, netboot: str, place: str) -> None:
    server.boots_by(netboot)
    server.nodeset("n1")
    files = [path for path in server.tftp.rglob("n1") if path.is_file()]
    assert place in files[0].read_text()
    assert "root=nfs:[fd00::1]:/" in files[0].read_text()


def test_an_ip_word_of_the_administrators_stands_alone(server: Server) -> None:
    server.tables["bootparams"] = [{"node": "n1", "addkcmdline": "quiet ip=[fd00::11]::[fd00::1]:64:n1:eth0:none"}]
    server.nodeset("n1,n2")
    assert [word for word in server.boot_file("n1").split() if word.startswith("ip=")] == ["ip=[fd00::11]::[fd00::1]:64:n1:eth0:none"]
    assert words_of(server.boot_file("n2"))["ip"] == "dhcp6"


def test_a_node_is_known_by_its_address_however_that_is_spelled() -> None:
    hosts = [{"node": "n1", "ip": "FD00:0:0::0011"}, {"node": "n2", "ip": "10.1.0.2"}]
    site = Site({"nodelist": [{"node": "n1"}, {"node": "n2"}], "hosts": hosts})
    assert site.node_at("fd00::11") == "n1"
    assert site.node_at("10.1.0.2") == "n2"
    assert site.node_at("fd00::12") is None


def test_two_spellings_of_one_address_are_two_nodes_with_the_same(server: Server) -> None:
    server.tables["hosts"] = [{"node": "n1", "ip": "FD00:0::11"}, {"node": "n2", "ip": "fd00::11"}, {"node": "n3", "ip": "fd00::13"}]
    with pytest.raises(SiteError, match="nodes n1 and n2 have the same address fd00::11"):
        server.nodeset()


def test_a_server_has_one_spelling_whatever_the_tables_have(server: Server) -> None:
    server.tables["noderes"][0].update(nfsserver="FD00:0:0::5", xcatmaster="sn6")
    server.tables["hosts"].append({"node": "sn6", "ip": "FD00::0006"})
    server.nodeset("n1")
    words = words_of(server.boot_file("n1"))
    assert words["root"].startswith("nfs:[fd00::5]:/")
    assert words["XCAT"] == "[fd00::6]:3001"
