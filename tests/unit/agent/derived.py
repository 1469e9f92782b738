# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Further cases in the form of the recorded ones: tables as CSV, an image as a manifest, level trees, and what a node sees."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import imported
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images

from .node import SKELETON, Boot, Node
from .predicted import differences

Line = Mapping[str, Any]
COLUMNS = ("image", "file", "options", "comments", "disable")
SERVERS = ("10.0.0.1/t1", "10.0.0.2/t2", "10.0.0.1/state/n1")
STATE = "STATEMNT=10.0.0.1:/state"
HOSTS = "127.0.0.1 localhost\n"
TABLES = {
    "osimage": '#imagename,groups,profile,provmethod,osvers,osarch\n"img1",,"compute","statelite","rhels9.4","x86_64"\n',
    "nodetype": '#node,os,arch,profile,provmethod\n"n1","rhels9.4","x86_64","compute","img1"\n',
    "litetree": '#priority,image,directory,mntopts\n"1","img1","10.0.0.1:/t1",\n"2","ALL","10.0.0.2:/t2",\n',
    "statelite": '#node,image,statemnt,mntopts\n"compute",,"10.0.0.1:/state",\n',
    "hosts": '#node,ip\n"n1","127.0.0.1"\n"n2","10.1.1.2"\n',
}


def file(path: str, content: str = "image\n", mode: str = "0644") -> Line:
    """Return a manifest line of a file."""
    return {"path": path, "type": "f", "mode": mode, "content": content}


def directory(path: str, mode: str = "0755") -> Line:
    """Return a manifest line of a directory."""
    return {"path": path, "type": "d", "mode": mode}


def link(path: str, target: str) -> Line:
    """Return a manifest line of a symbolic link."""
    return {"path": path, "type": "l", "target": target}


IMAGE = (
    *(directory(path) for path in ("/etc", "/etc/ntp", "/var", "/var/log", "/srv", "/run")),
    directory("/root", "0700"),
    file("/etc/hosts", HOSTS),
    file("/etc/motd", "image motd\n"),
    file("/etc/ntp/keys", "K1\n", "0640"),
    file("/root/.bashrc", "alias ll\n"),
    file("/var/log/messages", "boot\n", "0600"),
    file("/run/pid", "1\n"),
    link("/etc/mtab", "/proc/self/mounts"),
    file("/etc/machine-id", ""),
    file("/etc/hostname", ""),
    file("/etc/resolv.conf", ""),
)
"""Much like the image of the recorded cases."""


class Derived:
    """One case: its site imported, its image and level trees made."""

    def __init__(
        self,
        work: Path,
        pki: Path,
        rows: Iterable[Sequence[str]],
        image: Iterable[Line] = (),
        levels: Iterable[Line] = (),
        tables: Mapping[str, str] | None = None,
        liteattach: str = "bind",
    ) -> None:
        lines = [(*row, "", "", "")[: len(COLUMNS)] for row in rows]
        settings = f'#key,value\n"master","127.0.0.1"\n"liteattach","{liteattach}"\n'
        whole = {
            "litefile": imported.csv_text(COLUMNS, lines),
            "linuximage": f'#imagename,rootimgdir\n"img1","{work / "image"}"\n',
            "site": settings,
        }
        imported.import_site(work / "site.db", {**TABLES, **whole, **(tables or {})})
        self.node = Node(work, pki, {})
        self.node.tables = imported.tables_of(work / "site.db")
        standing = {line["path"]: line for line in (*IMAGE, *image)}
        for path in sorted(standing):
            self.node.manifest("image/rootimg", standing[path])
        for place in SERVERS:
            self.node.file(f"nfs/{place}", None)
        for line in sorted(levels, key=lambda line: line["path"]):
            self.node.manifest("nfs", line)
        for name in SKELETON:
            (self.node.root / name).mkdir(parents=True, exist_ok=True)

    def lay_out(self) -> None:
        """Run liteimg with rows in two orders: the same tree, nothing to do twice, and everything back with state absent."""
        before, trees = images.snapshot(self.node.root), []
        for seed in range(2):
            tables = {name: random.Random(seed).sample(rows, len(rows)) for name, rows in self.node.tables.items()}
            self._run(tables)
            assert not plan_image(Site(tables), "img1").lines()
            trees.append(images.timeless(images.snapshot(self.node.root)))
            self._run(tables, False)
            assert images.snapshot(self.node.root) == before
        assert trees[0] == trees[1]
        self.node.lay_out()

    @staticmethod
    def _run(tables: Mapping[str, Sequence[Mapping[str, str]]], present: bool = True) -> None:
        plan = plan_image(Site(tables), "img1", present)
        plan.lines()
        plan.apply()

    def boot(self, words: str = STATE) -> Boot:
        """Lay out once and boot; what is seen everywhere is what was predicted, and every entry is done."""
        if not self.node.boots:
            self.lay_out()
        found, view = differences(self.node, words)
        assert found == []
        assert {path: result.message for path, result in view.results.items() if result.status != "done"} == {}
        return Boot(self.node.work / f"boot{self.node.boots}")

    def sees(self, right: Mapping[str, Mapping[str, Any]], words: str = STATE) -> None:
        """Boot, and compare what a process on the node sees at some paths."""
        seen = self.boot(words).seen
        assert {path: {key: seen[path].get(key) for key in facts} for path, facts in right.items()} == right
