# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node boots again and again while its image is built, laid out, published, named to it and cleared away without a pause.

Of a boot everything is real but the machine: the boot file, kernel and initramfs that it names, the agent, the answer service.
"""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, next_number, staging
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import read_manifest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.treelist import differences, unpacked
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import plan as plan_nodeset
from ansible_collections.diskless.statelite.plugins.module_utils.boot.retention import plan_prune
from ansible_collections.diskless.statelite.plugins.module_utils.image.build import keep
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import LiteimgPlan, plan_site
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import publish
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_manifest import have_key

from .node import SKELETON, Node

BOOTS, MOST, DIFFERENT = 6, 60, 3
"""How many boots at least and at most, and of how many generations at least."""

ROWS = [
    [{"image": "ALL", "file": "/etc/motd", "options": "link"}, {"image": "ALL", "file": "/var/log/", "options": "tmpfs"}],
    [{"image": "ALL", "file": "/etc/motd", "options": "bind"}, {"image": "ALL", "file": "/var/", "options": "tmpfs"}],
]


class Server:
    """The management node of the node `node`, which rebuilds the image round after round."""

    def __init__(self, work: Path, pki: Path) -> None:
        self.work = work
        self.node = Node(work, pki, {})
        self.node.nfs.mkdir()
        self.site = str(work / "site.db")
        self.keys = have_key(work)
        image = {"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "c", "provmethod": "statelite"}
        self.node.tables.update(
            osimage=[image],
            noderes=[{"node": "n1", "netboot": "pxe"}],
            mac=[{"node": "n1", "mac": "52:54:00:77:00:11"}],
        )
        self.node.tables["site"].append({"key": "tftpdir", "value": str(work / "tftp")})
        (work / "spool").mkdir()
        self.rounds = 0
        self.removed: list[int] = []
        self.fault: BaseException | None = None

    def build(self) -> None:
        """Do what one run of the playbook does after a change: build, lay out and publish, write boot files, clear away."""
        rootimgdir, number = str(self.node.rootimgdir), next_number(str(self.node.rootimgdir))
        stage = Path(staging(rootimgdir, number))
        tree = stage / "rootimg"
        for name in (*SKELETON, "var/log", "var/spool"):
            (tree / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (tree / name).symlink_to(f"usr/{name}")
        for name in ("machine-id", "hostname", "resolv.conf"):
            (tree / "etc" / name).write_text("")
        for share in range(30):
            (tree / f"usr/part{share}").write_text(f"{number} {share}\n" * 100)
        (tree / "etc/motd").write_text(f"generation {number}\n")
        (tree / "etc/statelite/ca.pem").write_bytes((self.node.pki / "ca.pem").read_bytes())
        for name in ("kernel", "initrd-statelite.gz"):
            (stage / name).write_text(f"{name} {number}")
        keep(rootimgdir, str(stage), {"image": "img1", "packages": {}})
        self.node.tables["litefile"] = ROWS[self.rounds % 2]
        self.publish_rows()
        site = Site(self.node.tables)
        plan = plan_site(site, "img1", True, False, None, print)
        assert isinstance(plan, LiteimgPlan)
        plan.keys = self.keys
        plan.apply()
        plan_nodeset(site, self.site, "n1", "osimage", print).apply()
        prune = plan_prune({"image": "img1", "keep": 1, "dead": None, "spool": str(self.work / "spool"), "site": self.site})
        self.removed += prune.result()["removed"]
        prune.apply()
        self.rounds += 1

    def publish_rows(self) -> None:
        with open_store(self.site) as store:
            for name, rows in self.node.tables.items():
                there = store.tables([name])[name]
                going = {TABLES[name].key_of(row) for row in there}
                store.write(plan_table(TABLES[name], there, rows, going))
        publish(self.node.snapshot, self.node.tables)

    def rebuild(self, stop: threading.Event) -> None:
        """Rebuild until told to stop."""
        try:
            while not stop.is_set():
                self.build()
        except BaseException as error:
            self.fault = error
            raise


def test_no_boot_breaks_while_the_image_is_rebuilt(tmp_path: Path, pki: Path) -> None:
    server = Server(tmp_path, pki)
    node = server.node
    server.build()
    stop = threading.Event()
    loop = threading.Thread(target=server.rebuild, args=(stop,))
    booted = []
    with node.answering() as service:
        loop.start()
        try:
            while len(booted) < MOST and (len(booted) < BOOTS or len(set(booted)) < DIFFERENT or not server.removed):
                text = (tmp_path / "tftp/pxelinux.cfg/n1").read_text()
                number = int(re.search(r"root=nfs:[^:]*:\S*/generations/([0-9]+)/rootimg", text).group(1))
                found = Generation(str(node.rootimgdir), number)
                fetched = [tmp_path / "tftp" / path for path in re.findall(r"xcat/osimage/\S+?/(?:kernel|initrd-statelite\.gz)\b", text)]
                digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in fetched}
                node.root = Path(found.rootimg)
                boot = node.finish(node.begin(service.port, f"statelite.generation={number}", ["/etc/motd"]))
                assert boot.status == 0, boot.log
                assert {result[0] for result in boot.results.values()} == {"done"}, boot.log
                assert boot.seen["/etc/motd"]["content"] == f"generation {number}\n"
                manifest = read_manifest(found.path)
                assert digests == {name: manifest.document["files"][name]["sha256"] for name in ("kernel", "initrd-statelite.gz")}
                assert differences(unpacked(Path(manifest.tree_list).read_bytes(), "list"), found.rootimg) == []
                booted.append(number)
        finally:
            stop.set()
            loop.join()
    assert server.fault is None
    assert booted == sorted(booted)
    assert len(set(booted)) >= DIFFERENT, booted
    assert server.removed, "nothing was cleared away meanwhile"
    assert current(str(node.rootimgdir)).number not in server.removed
    assert not set(booted[-1:]) & set(server.removed)
