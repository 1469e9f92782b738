# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeset gives what the original recorded: boot files, links, paths and every word of the kernel line (cases/README.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.info import read_info
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.imported import import_whole, tables_of
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.recorded import case, names

AROUND = {
    "nodelist": '#node,groups,comments,disable\n"n1","compute,all",,\n"n2","compute,all",,\n',
    "hosts": '#node,ip,hostnames,otherinterfaces,comments,disable\n"n1","10.1.1.1",,,,\n"n2","10.1.1.2",,,,\n"sn1","10.1.0.2",,,,\n',
}
"""What stood around the cases: addresses that the original resolved by DNS."""

OURS = re.compile(r"ip=(?:eth\d:)?dhcp|rd\.neednet=1|statelite\.(image|generation|levels|machine-id)=.*")
STUB = b"\0" * 64 + b"PE\0\0\x64\x86" + b"\0" * 442
"""The kernel of the cases: 512 bytes, by which UEFI can start it."""

PACKED = {
    "kind-xnba-stateless-gz": "rootimg.gz",
    "kind-xnba-stateless-tar.xz": "rootimg.tar.xz",
    "kind-xnba-stateless-sfs": "rootimg.sfs",
    "kind-xnba-stateless-cpio.xz": "rootimg.cpio.xz",
    "kind-xnba-stateless-tar.gz": "rootimg.tar.gz",
}
ALREADY = re.compile(r"/xcat/(genesis|elilo|xnba)[.-]|/boot/grub2/grub2\.|/pxelinux\.0$|/yaboot$")
"""What the TFTP directory of the cases had before."""

LATER = re.compile(r"nodeset \S+ (runcmd|standby|next|enact|shutdown|iscsiboot|runimage|install|ondiscover)")
BETTER = {"statelite-dironly-var": ("STATEMNT=:/nodedata/n1", "STATEMNT=/nodedata/n1")}
"""Cases whose kernel line has a fault of the original, and the right word."""

REFUSED = {
    "err-badarg": "there is no such state",
    "err-image-noprofile": "profile is not set",
    "err-netboot-unknown": "'foo' is no boot method",
    "err-no-mac": "the node has no hardware address",
    "err-noarg": "there is no such state",
    "err-node-unknown": "called nosuch",
    "err-osimage-empty": "names no image",
    "err-provmethod-empty": "provmethod is not set",
    "err-provmethod-unknown": "provmethod is 'weird'",
    "err-deprecated-statelite": "the node has no image",
    "missing-initrd-stateless-cpio.gz": "initrd-stateless.gz is not there. Run genimage",
    "missing-initrd-statelite-ramdisk": "initrd-stateless.gz is not there. Run genimage",
    "missing-kernel-stateless-cpio.gz": "/kernel is not there. Run genimage",
    "missing-kernel-statelite-ramdisk": "/kernel is not there. Run genimage",
    "missing-rootimg-stateless-cpio.gz": "there is no packed root",
    "missing-rootimg-statelite-ramdisk": "there is no packed root of its layout",
    "noupdateinitrd": "noupdateinitrd says that they are not to be copied",
    "site-sharedtftp0": "in no network of this server",
    "statelite-undefined-var": "table statelite, node n1, image ALL, column statemnt.*noderes",
}
"""Cases that are refused, with our reason; err-provmethod-unknown and the last one the original carried out wrongly."""


class Server:
    """A management node below `root`: the case's tables imported with its directories moved there, an image, a database."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.recorded = case("nodeset", name)
        self.tftp = root / "tftpboot"
        texts = {table: self._moved(text) for table, text in self.recorded["tables"].items()}
        self.database = import_whole(root / "site.db", texts, AROUND)
        self.warnings: list[str] = []
        for row in tables_of(self.database)["linuximage"]:
            self._image(Path(row["rootimgdir"]), name)
        for arch in ("x86_64", "ppc64", "aarch64"):
            self._write(self.tftp / f"xcat/genesis.kernel.{arch}", b"GK")
            self._write(self.tftp / f"xcat/genesis.fs.{arch}.gz", b"GF")
        for arch in ("x86_64", "ppc", "aarch64"):
            self._write(self.tftp / f"boot/grub2/grub2.{arch}", f"GRUB2 {arch}".encode())
        self.before = set(self.present())

    def _moved(self, text: str) -> str:
        return re.sub(r'"/(install|tftpboot)', rf'"{self.root}/\1', text)

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _image(self, directory: Path, name: str) -> None:
        (directory / "rootimg").mkdir(parents=True)
        files = {"initrd-statelite.gz": b"SL", "initrd-stateless.gz": b"ST", "rootimg-statelite.gz": b"R"}
        files["kernel"] = b"\0" * 512 if name.startswith("kernel-no-efistub") else STUB
        files[PACKED.get(name, "rootimg.cpio.gz")] = b"R"
        if name.startswith("initrd-only-generic"):
            files = {**{file: text for file, text in files.items() if not file.startswith("initrd")}, "initrd.gz": b"G"}
        lacking = re.match(r"missing-(\w+)", name)
        for file, text in files.items():
            if not (lacking and file.startswith(lacking.group(1))):
                self._write(directory / file, text)

    def run(self, command: str) -> dict[str, Any]:
        words = [word for word in command.split()[1:] if not word.startswith("--")]
        asked = {"site": str(self.database), "noderange": words[0] if words else "", "noupdateinitrd": "--noupdateinitrd" in command}
        decided = read_and_plan({**asked, "state": " ".join(words[1:])}, self.warnings.append)
        decided.apply()
        assert read_and_plan({**asked, "state": " ".join(words[1:])}, print).lines() == []
        return decided.result()

    def stat(self, node: str) -> str:
        told = read_info({"site": str(self.database), "noderange": node}, self.warnings.append)
        return "".join(f"{name}: {about['state']}\n" for name, about in told["nodes"].items())

    def present(self) -> dict[str, str]:
        """Every file and link below the TFTP directory, with its text or target."""
        return {
            f"/{path.relative_to(self.tftp)}": f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes().decode("latin-1")
            for path in sorted(self.tftp.rglob("*"))
            if path.is_symlink() or path.is_file()
        }


def commands(recorded: dict[str, Any]) -> list[str]:
    return sorted(key.removesuffix(".cmd") for key in recorded if key.endswith(".cmd"))


def fits(name: str, ours: str, entry: dict[str, Any]) -> bool:
    """A link has the same target; a file the same lines, the kernel line at least the same words in order."""
    if entry["type"] == "l":
        return ours == f"-> {entry['target']}"
    if entry.get("content") is None:
        return len(ours) == entry["size"]
    mine, theirs = ours.split("\n"), entry["content"].split("\n")
    return len(mine) == len(theirs) and all(own == other or words_fit(name, own, other) for own, other in zip(mine, theirs))


def words_fit(name: str, own: str, recorded: str) -> bool:
    fault, right = BETTER.get(name, ("", ""))
    wanted = [right if fault and word == fault else word for word in recorded.replace('"', ' " ').split() if not word.startswith("R::")]
    mine = own.replace('"', ' " ').split()
    return [word for word in mine if word in wanted or not OURS.fullmatch(word)] == wanted


NAMES = names("nodeset")


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(REFUSED) - {"err-nonr", "nfsrootopts-rw"}))
def test_boot_files_are_those_recorded(name: str, tmp_path: Path) -> None:
    server = Server(tmp_path, name)
    for command in commands(server.recorded):
        line = server.recorded[f"{command}.cmd"].strip()
        if LATER.match(line):
            before = server.present()
            with pytest.raises(SiteError, match="is not in this release"):
                server.run(line)
            assert server.present() == before
            continue
        if line.endswith(" stat"):
            assert server.stat(line.split()[1]) == server.recorded[f"{command}.out"]
            continue
        told = server.run(line)
        assert "".join(f"{node}: {about['state']}\n" for node, about in told["nodes"].items()) == server.recorded[f"{command}.out"]
        entries = {entry["path"]: entry for entry in server.recorded[f"{command}.tftpboot.manifest.jsonl"] if entry["type"] != "d"}
        entries = {path: entry for path, entry in entries.items() if not ALREADY.match(path)}
        ours = {path: text.replace(str(tmp_path), "") for path, text in server.present().items() if path not in server.before}
        kept = re.compile(r"/pxelinux\.cfg/01(-[0-9a-f]{2}){6}")
        assert {path for path in ours if not kept.fullmatch(path)} == set(entries)
        for path, entry in entries.items():
            assert fits(name, ours[path], entry), f"{path}:\n{ours[path]}\n{entry.get('content')}"
        nodetype = {row["node"]: row.get("provmethod") for row in tables_of(server.database)["nodetype"]}
        assert nodetype == {"n1": "img1"}


@pytest.mark.parametrize("name", sorted(set(REFUSED) & set(NAMES)))
def test_a_recorded_fault_is_refused_with_its_reason_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    server = Server(tmp_path, name)
    before = tables_of(server.database)
    with pytest.raises(SiteError, match=REFUSED[name]):
        server.run(server.recorded["cmd01.cmd"].strip())
    assert set(server.present()) == server.before
    assert tables_of(server.database) == before


def test_a_root_that_could_be_written_is_refused_before_it_is_in_a_table(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="would make the root writable"):
        Server(tmp_path, "nfsrootopts-rw")


def test_without_a_noderange_nothing_is_done(tmp_path: Path) -> None:
    server = Server(tmp_path, "err-nonr")
    assert server.run("nodeset , osimage=img1")["nodes"] == {}


def test_the_documents_bare_statelite_works_where_the_original_refused_it(tmp_path: Path) -> None:
    server = Server(tmp_path, "err-deprecated-statelite")
    import_whole(server.database, {"nodetype": '#node,os,arch,profile\n"n1","rhels9.4","x86_64","compute"\n'}, AROUND)
    assert server.run("nodeset n1 statelite")["nodes"]["n1"]["state"] == "statelite rhels9.4-x86_64-compute"
    assert tables_of(server.database)["nodetype"] == [{"node": "n1", "os": "rhels9.4", "arch": "x86_64", "profile": "compute"}]
