# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded boots of the original, carried out by our liteimg, service and agent (shared/cases, README.md there)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import imported, recorded

from .disks import Disks
from .node import Node, wait_for

REFUSED = {
    "22_link_in_tmpfs_slips_through": "link-below-bind",
    "25_con_dir_without_slash": "con-directory",
}
"""Laid out by the original by a slip; here a rule with a name refuses them."""

NO_PLAN = {
    "74_litetree_vars": "$noderes.nosuch",
    "79_boot_no_statemnt": "no row of the table statelite",
}
"""The original boots with less than the tables say; here the node is told why, and waits."""

HOSTS = "127.0.0.1 localhost\n"
BETTER: dict[str, dict[str, dict[str, Any]]] = {
    "06_all_mount_kinds": {
        "/etc/motd": {"content": "image motd\ntree motd\n"},
        "/var/log/": {"type": "d", "list": ["app", "messages"], "writable": True, "backing": "localdisk"},
        "/var/log/messages": {"type": "f", "content": "boot\n", "mode": "0600", "writable": True, "backing": "localdisk"},
    },
    "07_all_link_kinds": {"/etc/motd": {"content": "image motd\ntree motd\n"}},
    "10_missing_tmpfs_deep_parent": {"/a/b/c/d.conf": {"type": "f", "content": "", "writable": True}},
    "32_symlink_to_file": {path: {"type": "f", "content": HOSTS, "writable": True} for path in ("/etc/rellink", "/etc/abslink")},
    "33_symlink_to_dir": {"/var/run/": {"type": "d", "backing": "tmpfs"}, "/var/spool": {"type": "d", "backing": "tmpfs"}},
    "35_symlink_tmpfs": {"/etc/rellink": {"writable": True, "backing": "tmpfs"}, "/var/run/": {"writable": True, "backing": "tmpfs"}},
    "48_etc_link": {
        "/etc/": {"type": "d", "writable": True},
        "/etc/hosts": {"content": HOSTS, "writable": True},
        "/etc/ntp/keys": {"content": "K1\n", "mode": "0640", "writable": True},
        "/etc/ntp/step": {"content": "S1\n", "writable": True},
    },
    "61_name_space": {path: {"writable": True, "backing": "tmpfs"} for path in ("/etc/my file", "/srv/my dir/")},
    "71_boot_con_several_trees": {
        "/etc/hosts": {"content": HOSTS + "t1 hosts\nt2 hosts\n"},
        "/etc/motd": {"content": "image motd\nt1 motd\nt2 motd\nt3 motd\n"},
    },
    "81_statelite_rows": {"/etc/hosts": {"content": HOSTS, "backing": "persistent"}},
    "94_ro_con_child_in_tmpfs": {"/etc/ntp/step": {"content": "S1\n"}},
}
"""Paths where the original's result is a fault (cases/README.md), and what is right."""

AROUND = {
    "hosts": '#node,ip\n"n1","127.0.0.1"\n"n2","10.1.1.2"\n',
    "site": '#key,value\n"master","127.0.0.1"\n"liteattach","bind"\n',
}
"""The service of a test answers at this address, and so n1 asks from it."""
RESOLVER = "/etc/resolv.conf"
SEEN = ("type", "mode", "content", "list", "writable", "backing")


def booted(name: str) -> dict[str, Any]:
    boot = recorded.case("liteimg", name).get("boot") or {}
    return boot.get("boot1", boot)


ON_DISK = "06_all_mount_kinds"
"""The one with an entry on a local disk, for which a tmpfs stood when it was recorded."""

CASES = [name for name in recorded.names("liteimg") if "effective.jsonl" in booted(name) and name != ON_DISK]


def backing(mount: dict[str, str]) -> str:
    if mount["fstype"] == "tmpfs":
        return "tmpfs"
    if "/srv/nfs/" in mount["root"]:
        return "persistent" if "/state" in mount["root"] else "level"
    return "image"


def node_of(name: str, work: Path, pki: Path) -> Node:
    """Return the node of a case, with its tables imported whole into a database, and all steps but the last carried out."""
    case, boot = recorded.case("liteimg", name), booted(name)
    node = Node(work, pki, {})
    tables = {table: text.replace("/install/netboot/img1", str(node.rootimgdir)) for table, text in case["tables"].items()}
    tables["litetree.csv"] = without_commands(tables["litetree.csv"])
    imported.import_site(work / "site.db", tables, AROUND)
    for line in sorted(case["input.manifest.jsonl"], key=lambda line: line["path"]):
        node.manifest("image/rootimg", line)
    for line in boot.get("trees.manifest.jsonl", []):
        node.manifest("nfs", line)
    for state in ("10.1.0.1/state/n1", "127.0.0.1/gnodedata/n1/n1"):
        node.file(f"nfs/{state}", None)
    for step in imported.steps_of(case):
        if node.tables.get("litefile"):
            node.lay_out()
        imported.import_table(work / "site.db", "litefile", step["litefile.csv"])
        node.tables = imported.tables_of(work / "site.db")
    return node


def without_commands(text: str) -> str:
    """Return a table without the rows that no import takes."""
    return "".join(line for line in text.splitlines(keepends=True) if "#CMD=" not in line)


def test_a_command_in_a_path_is_refused_when_the_table_is_taken_in(tmp_path: Path) -> None:
    text = recorded.case("liteimg", "74_litetree_vars")["tables"]["litetree.csv"]
    with pytest.raises(SiteError, match=r"litetree 6 img1 \(line 7\): directory: it asks for a command"):
        imported.import_table(tmp_path / "site.db", "litetree", text)
    assert not any(imported.tables_of(tmp_path / "site.db").values())


def test_there_are_recorded_boots() -> None:
    assert len(CASES) > 20


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED and name not in NO_PLAN])
def test_a_node_sees_what_the_original_showed_or_what_is_right(name: str, tmp_path: Path, pki: Path) -> None:
    as_recorded_or_right(name, node_of(name, tmp_path, pki))


def test_a_recorded_local_disk_is_a_disk(tmp_path: Path, pki: Path, disks: Disks) -> None:
    node = node_of(ON_DISK, tmp_path, pki)
    disks.declare(node, disks.add().device)
    as_recorded_or_right(ON_DISK, node)


def as_recorded_or_right(name: str, node: Node) -> None:
    node.lay_out()
    recorded_view = booted(name)["effective.jsonl"]
    boot = node.boot("STATEMNT=10.1.0.1:/state", [item["path"] for item in recorded_view])
    assert boot.status == 0, boot.log
    assert {result[0] for result in boot.results.values()} <= {"done"}
    for item in recorded_view:
        path = item["path"]
        if path == RESOLVER:
            continue  # the original overwrites it with DHCP's, whatever was listed; test_agent.py says what is right
        right = {key: item.get(key) for key in SEEN if key != "backing"}
        if item["type"] != "ENOENT":
            right["backing"] = backing(item["mount"])
        better = BETTER.get(name, {}).get(path)
        seen = {key: boot.seen[path].get(key) for key in (better or right)}
        assert (path, seen) == (path, better or right)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_worked_by_a_slip_is_refused_by_a_named_rule(name: str, tmp_path: Path, pki: Path) -> None:
    with pytest.raises(SiteError, match=REFUSED[name]):
        node_of(name, tmp_path, pki).lay_out()


@pytest.mark.parametrize("name", sorted(NO_PLAN))
def test_a_node_without_a_lawful_plan_says_why_and_waits(name: str, tmp_path: Path, pki: Path) -> None:
    node = node_of(name, tmp_path, pki)
    node.lay_out()
    assert entries_for(Site(node.tables), "img1")
    with node.answering() as service:
        process = node.begin(service.port)
        try:
            console = tmp_path / "boot1" / "console"
            wait_for(lambda: console.exists() and "no boot plan; asking again" in console.read_text())
        finally:
            node.end(process)
    assert NO_PLAN[name] in console.read_text()
    assert not (tmp_path / "boot1" / "status").exists()


def test_a_persistent_file_is_what_the_boot_before_left(tmp_path: Path, pki: Path) -> None:
    node = node_of("80_boot_two_boots", tmp_path, pki)
    node.lay_out()
    first = node.boot("STATEMNT=10.1.0.1:/state")
    assert first.results["/etc/hosts"] == ("done", "default", "-")
    node.file("nfs/10.1.0.1/state/n1/etc/hosts", "written by boot 1\n")
    second = node.boot("STATEMNT=10.1.0.1:/state", ["/etc/hosts", "/var/log/"])
    assert second.results["/etc/hosts"] == ("done", "kept", "-")
    assert second.seen["/etc/hosts"]["content"] == "written by boot 1\n"
    assert second.seen["/var/log/"]["backing"] == "persistent"
