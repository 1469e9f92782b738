# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeset gives what the original recorded: boot files, links, paths and every word of the kernel line (cases/README.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.boot.kernel_args import kernel_line
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import plan
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.recorded import case, names, rows

HOSTS = [{"node": "n1", "ip": "10.1.1.1"}, {"node": "n2", "ip": "10.1.1.2"}, {"node": "sn1", "ip": "10.1.0.2"}]
"""What the original resolved by DNS (cases/README.md; noderes-nfsserver-literal-xcatmaster)."""

OURS = re.compile(r"ip=dhcp|rd\.neednet=1|statelite\.(image|generation|levels|machine-id)=.*")
LOADERS = ("BOOTIF=01-${netX/mac:hexhyp}", "BOOTIF=$net_default_mac", "BOOTIF=%B")
"""Words that a boot loader's own file adds; pxelinux has IPAPPEND instead."""


def tables(recorded: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    return {**{name.removesuffix(".csv"): rows(text) for name, text in recorded["tables"].items()}, "hosts": HOSTS}


def boot_files(recorded: dict[str, Any], command: str) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in recorded[f"{command}.tftpboot.manifest.jsonl"]}


def recorded_line(recorded: dict[str, Any]) -> str | None:
    """The kernel line that the original wrote for n1, with the server's address where the loader fills it in."""
    for path, entry in boot_files(recorded, "cmd01").items():
        if path.endswith("/n1"):
            found = re.search(r"^.*?((?:root=nfs:|NFSROOT=).*?)\"?$", entry.get("content") or "", re.MULTILINE)
            return found.group(1).replace("${next-server}", "10.1.0.1") if found else None
    return None


LINES = [name for name in names("nodeset") if case("nodeset", name)["cmd01.rc"].strip() == "0" and recorded_line(case("nodeset", name))]
BETTER = {
    "statelite-dironly-var": ("STATEMNT=:/nodedata/n1", "STATEMNT=/nodedata/n1"),
    "statelite-vars": ("", ""),
    "statelite-undefined-var": ("", ""),
}
"""Cases whose STATEMNT= is a fault of the original, and the right word."""


def our_line(recorded: dict[str, Any]) -> str:
    site = Site(tables(recorded))
    image = osimage(site, "img1")
    site = site.with_rows(
        "nodetype", [{"node": "n1", "os": image.osvers, "arch": image.osarch, "profile": image.profile, "provmethod": "img1"}]
    )
    return kernel_line(site, "n1", image, Generation(image.rootimgdir, None))


@pytest.mark.parametrize("name", sorted(set(LINES) - {"statelite-undefined-var", "statelite-vars"}))
def test_every_word_of_the_recorded_kernel_line_is_there_in_its_order(name: str) -> None:
    recorded = case("nodeset", name)
    wanted = [word for word in (recorded_line(recorded) or "").split() if word not in LOADERS and not word.startswith("R::")]
    fault, right = BETTER.get(name, ("", ""))
    wanted = [right if fault and word == fault else word for word in wanted]
    ours = our_line(recorded).split()
    assert [word for word in ours if word in wanted or not OURS.fullmatch(word)] == wanted


def test_a_variable_that_is_not_there_is_refused_instead_of_the_word_undefined() -> None:
    with pytest.raises(SiteError, match=r"table statelite, node n1, image ALL, column statemnt.*noderes"):
        our_line(case("nodeset", "statelite-undefined-var"))


class Server:
    """A management node below `root`: the case's tables with its directories moved there, an image, a database."""

    def __init__(self, root: Path, recorded: dict[str, Any], **changed: list[dict[str, str]]) -> None:
        self.root = root
        self.database = str(root / "site.db")
        self.tables = {**tables(recorded), **changed}
        for table in ("linuximage", "site", "noderes"):
            self.tables[table] = [{key: self.moved(row, key, cell) for key, cell in row.items()} for row in self.tables[table]]
        for row in self.tables["linuximage"]:
            directory = Path(row["rootimgdir"])
            (directory / "rootimg").mkdir(parents=True)
            (directory / "kernel").write_bytes(b"K")
            (directory / "initrd-statelite.gz").write_bytes(b"SL")
        self.warnings: list[str] = []

    def moved(self, row: dict[str, str], column: str, cell: str) -> str:
        setting = column == "value" and row.get("key") in ("installdir", "tftpdir")
        return f"{self.root}{cell}" if setting or column in ("rootimgdir", "tftpdir") else cell

    def nodeset(self, noderange: str, state: str) -> dict[str, Any]:
        decided = plan(Site(self.tables), self.database, noderange, state, self.warnings.append)
        self.lines = decided.lines()
        decided.apply()
        for change in decided.changes:
            kept = [row for row in self.tables["nodetype"] if row["node"] != change.key[0]]
            self.tables["nodetype"] = [*kept, change.after or {}]
        return decided.result()

    def present(self) -> dict[str, str]:
        """Every file and link below the TFTP directory, with its text or target."""
        tftp = self.root / "tftpboot"
        return {
            str(path.relative_to(tftp)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
            for path in sorted(tftp.rglob("*"))
            if path.is_symlink() or path.is_file()
        }


PXE = [
    name
    for name in names("nodeset")
    if '"pxe"' in str(case("nodeset", name)["tables"]["noderes.csv"]) and recorded_line(case("nodeset", name))
]
SEQUENCES = [name for name in names("nodeset") if name.startswith("seq-pxe")]
STATES = re.compile(r"nodeset (\S+) ((?:osimage|statelite)(?:=\S+)?|offline)$")


@pytest.mark.parametrize("name", sorted({*PXE, *SEQUENCES}))
def test_the_boot_files_of_a_pxe_case_are_those_recorded(name: str, tmp_path: Path) -> None:
    recorded = case("nodeset", name)
    server = Server(tmp_path, recorded)
    for command in sorted(key.removesuffix(".cmd") for key in recorded if key.endswith(".cmd")):
        wanted = STATES.fullmatch(recorded[f"{command}.cmd"].strip())
        if not wanted:
            continue
        server.nodeset(*wanted.groups())
        ours = server.present()
        for path, entry in boot_files(recorded, command).items():
            if path.startswith("/pxelinux.cfg/"):
                assert same(ours[path[1:]].replace(str(tmp_path), ""), entry)
            elif path.startswith("/xcat/osimage/") and entry["type"] == "f":
                assert path[1:] in ours
    assert {row["node"]: row.get("provmethod") for row in server.tables["nodetype"]}["n1"] == "img1"


def same(ours: str, entry: dict[str, Any]) -> bool:
    """A link has the same target; a file the same lines, the kernel line at least the same words in order."""
    if entry["type"] == "l":
        return ours == f"-> {entry['target']}"
    mine, theirs = ours.splitlines(), entry["content"].splitlines()
    if len(mine) != len(theirs):
        return False
    for own, recorded in zip(mine, theirs):
        if recorded.startswith(" APPEND "):
            if [word for word in own.split() if word in recorded.split() or not OURS.fullmatch(word)] != recorded.split():
                return False
        elif own != recorded:
            return False
    return True


REASONS = {
    "err-badarg": "there is no such state",
    "err-image-noprofile": "profile is not set",
    "err-netboot-unknown": "'foo' is no boot method",
    "err-no-mac": "the node has no hardware address",
    "err-node-unknown": "called nosuch",
    "err-osimage-empty": "names no image",
    "err-provmethod-empty": "provmethod is not set",
    "err-provmethod-unknown": "provmethod is 'weird'",
    "nfsrootopts-rw": "would make the root writable",
}


@pytest.mark.parametrize("name", sorted(REASONS))
def test_a_recorded_fault_is_refused_with_its_reason_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    recorded = case("nodeset", name)
    server = Server(tmp_path, recorded)
    _verb, noderange, state = recorded["cmd01.cmd"].split()
    with pytest.raises(SiteError, match=REASONS[name]):
        server.nodeset(noderange, state)
    assert not (tmp_path / "tftpboot").exists()
    assert not Path(server.database).exists()


def test_the_documents_bare_statelite_works_where_the_original_refused_it(tmp_path: Path) -> None:
    recorded = case("nodeset", "err-deprecated-statelite")
    node_type = {"node": "n1", "os": "rhels9.4", "arch": "x86_64", "profile": "compute"}
    server = Server(tmp_path, recorded, nodetype=[node_type], noderes=[{"node": "n1", "netboot": "pxe"}])
    assert server.nodeset("n1", "statelite")["nodes"]["n1"]["state"] == "statelite rhels9.4-x86_64-compute"
    assert server.tables["nodetype"] == [node_type], "the tables name this image already"


def test_a_database_is_written_once_with_the_image_that_was_chosen(tmp_path: Path) -> None:
    server = Server(tmp_path, case("nodeset", "seq-pxe"))
    server.nodeset("n1,n2", "osimage=img1")
    with open_store(server.database) as store:
        assert store.version == 1
        assert {row["node"]: (row["os"], row["provmethod"]) for row in store.tables(["nodetype"])["nodetype"]} == {
            "n1": ("rhels9.4", "img1"),
            "n2": ("rhels9.4", "img1"),
        }
