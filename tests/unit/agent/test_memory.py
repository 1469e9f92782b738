# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root in memory: the agent's own parts fetch what packimage packed, over real HTTP, unpack it, and the agent makes it a node."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.packs import packs
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.pack.packimage import SPEC, plan_packimage
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import publish

from .node import AGENT, Boot, Node, wait_for
from .test_agent import node_with

START = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$WORK/cmdline" /proc/cmdline
mount --bind "$WORK/resolv.conf" "$(realpath /etc/resolv.conf)"
[ ! -e /dev/kmsg ] || mount --bind /dev/null /dev/kmsg
mkdir -p /etc/statelite && mount -t tmpfs tmpfs /etc/statelite && cp "$WORK/ca.pem" /etc/statelite/ca.pem
export PATH="$WORK/bin:$PATH"
STATELITE_PARTS=$AGENT sh "$AGENT/stateliteroot.sh" eth0 statelite:imgurl "$NEWROOT" >> "$WORK/output" 2>&1
mount --bind /usr "$NEWROOT/usr"
mount -t tmpfs tmpfs "$NEWROOT/run"
status=0
NEWROOT=$NEWROOT sh "$AGENT/agent.sh" >> "$WORK/output" 2>&1 || status=$?
umount "$NEWROOT/usr" "$NEWROOT/run"
cp -r /run/statelite/report.json /run/statelite/statelite.log /run/statelite/plan "$WORK" 2>/dev/null || :
chroot_reads() { for name in $READS; do printf '%s\\t%s\\n' "$name" "$(cat "$NEWROOT/$name" 2>&1 | tr '\\n' ' ')"; done; }
chroot_reads > "$WORK/reads"
findmnt --noheadings --output FSTYPE,OPTIONS "$NEWROOT" > "$WORK/mounted"
(echo mine > "$NEWROOT/etc/written") 2> "$WORK/refused" || :
getfattr --absolute-names --dump --match=- "$NEWROOT/opt/tool" > "$WORK/attributes" 2>&1 || :
findmnt --noheadings --output TARGET --list > "$WORK/mounts"
echo "$status" > "$WORK/status"
"""
READS = ("etc/hostname", "etc/machine-id", "etc/motd", "etc/resolv.conf", "opt/tool")


class Handler(http.server.BaseHTTPRequestHandler):
    """Give one file, whole or from where it is asked; what `faults` holds is done instead, once each."""

    protocol_version = "HTTP/1.1"
    content: bytes
    faults: list[Callable[[Any], None]]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Range", ""))
        if self.faults:
            self.faults.pop(0)(self)
            return
        begun = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(begun.group(1)) if begun else 0
        if start >= len(self.content):
            self.answer(416, b"")
        else:
            self.answer(206 if begun else 200, self.content[start:], {"Content-Range": f"bytes {start}-{len(self.content) - 1}/*"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def web(content: bytes, *faults: Callable[[Any], None]) -> Iterator[tuple[int, type[Handler]]]:
    handler = type("One", (Handler,), {"content": content, "faults": list(faults), "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Packed:
    """A node of an image that is packed, and its boots."""

    def __init__(self, work: Path, pki: Path, litefile: dict[str, str] | None = None, **osimage: str) -> None:
        self.node: Node = node_with(work, pki, litefile or {}, litetree=[])
        self.node.tables["osimage"] = [{"imagename": "img1", "provmethod": "netboot", **osimage}]
        for name, text in (("etc/motd", "from the image\n"), ("opt/tool", "tool\n"), ("etc/hostname", ""), ("etc/resolv.conf", "")):
            self.node.file(f"image/rootimg/{name}", text)
        self.node.file("image/rootimg/etc/machine-id", "", 0o444)
        os.setxattr(self.node.root / "opt/tool", "trusted.tested", b"yes")
        self.node.lay_out()
        if self.node.tables["osimage"][0]["provmethod"] == "netboot":
            publish(self.node.snapshot, self.node.tables)
        self.file = ""
        self.digest = ""

    def pack(self, **options: Any) -> bytes:
        params = {name: option.get("default") for name, option in SPEC.items()}
        plan = plan_packimage(Site(self.node.tables), {**params, "image": "img1", "compress": "gzip", **options}, {})
        plan.apply()
        (pack,) = packs(Generation(str(self.node.rootimgdir), None)).values()
        self.file, self.digest = os.path.basename(pack.file), pack.digest
        return Path(pack.file).read_bytes()

    def boot(self, port: int, service: int, words: str = "", digest: str | None = None) -> Boot:
        return self.node.finish(self.begin(port, service, words, digest))

    def begin(self, port: int, service: int, words: str = "", digest: str | None = None) -> subprocess.Popen[bytes]:
        node = self.node
        node.boots += 1
        boot = node.work / f"boot{node.boots}"
        for name in ("bin", "sysroot"):
            (boot / name).mkdir(parents=True)
        (boot / "bin/sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.02\n")
        (boot / "bin/sleep").chmod(0o755)
        checked = self.digest if digest is None else digest
        line = f"imgurl=http://127.0.0.1:{port}//install/{self.file} XCAT=127.0.0.1:{service} NODE=n1 statelite.image=img1"
        (boot / "cmdline").write_text(f"{line} {f'statelite.digest={checked}' if checked else ''} {words} ro\n")
        (boot / "resolv.conf").write_text(node.resolver)
        (boot / "ca.pem").write_bytes((node.pki / "ca.pem").read_bytes())
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "WORK": str(boot),
            "NEWROOT": str(boot / "sysroot"),
            "AGENT": str(AGENT),
            "STATELITE_CONSOLE": str(boot / "console"),
            "READS": " ".join(READS),
        }
        (boot / "output").touch()
        command = ["unshare", "--mount", "--uts", "--kill-child", "--fork", "sh", "-c", START]
        with open(boot / "start", "wb") as errors:
            return subprocess.Popen(command, env=environment, stdout=errors, stderr=subprocess.STDOUT, start_new_session=True)

    def told(self) -> dict[str, Any]:
        return json.loads((self.node.work / "spool/n1.json").read_text())


def reads(boot: Boot) -> dict[str, str]:
    return dict(line.split("\t") for line in boot.text("reads").splitlines())


IN_TMPFS = [("cpio", "gzip", "tmpfs"), ("cpio", "zstd", "tmpfs"), ("tar", "xz", "tmpfs")]
BELOW_A_LAYER = [("squashfs", "zstd", "overlay"), ("erofs", "lz4hc", "overlay")]


@pytest.mark.parametrize(("method", "compress", "kind"), [*IN_TMPFS, *BELOW_A_LAYER])
def test_a_stateless_node_has_its_root_in_memory_and_a_name(tmp_path: Path, pki: Path, method: str, compress: str, kind: str) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack(method=method, compress=compress)
    with packed.node.answering() as service, web(content) as (port, _handler):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    seen = reads(boot)
    assert seen["etc/hostname"] == "n1 "
    assert re.fullmatch("[0-9a-f]{32} ", seen["etc/machine-id"])
    assert seen["etc/resolv.conf"] == "search lab.test nameserver 10.9.9.9 "
    assert (seen["etc/motd"], seen["opt/tool"]) == ("from the image ", "tool ")
    assert boot.text("mounted").split()[0] == kind
    assert boot.text("refused") == ""
    assert 'trusted.tested="yes"' in boot.text("attributes")
    assert ".statelite-xattrs.tar" not in boot.text("output")
    report = packed.told()["report"]
    assert (report["node"], report["plan"], report["failed"]) == ("n1", "service", 0)
    # An unpacked image leaves the memory; a file system is what the node runs from.
    assert ("/run/statelite/packed" in boot.text("mounts").split()) == (kind == "overlay")
    assert not [line for line in boot.text("mounts").split() if line.endswith(("etc/machine-id", "etc/hostname"))]


@pytest.mark.parametrize("method", ["cpio", "squashfs"])
def test_a_statelite_root_in_memory_is_written_only_where_its_entries_say(tmp_path: Path, pki: Path, method: str) -> None:
    packed = Packed(tmp_path, pki, {"/etc/motd": "link", "/etc/dir/": "bind"}, provmethod="statelite", rootfstype="ramdisk")
    content = packed.pack(method=method, compress=None)
    with packed.node.answering() as service, web(content) as (port, _handler):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    assert packed.told()["report"]["done"] == 2
    assert reads(boot)["etc/motd"] == "from the image "
    assert "Read-only file system" in boot.text("refused")
    assert boot.text("mounted").split()[0] == {"cpio": "tmpfs", "squashfs": "squashfs"}[method]


def test_an_access_list_is_kept_in_the_layer_over_a_squashfs(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    subprocess.run(["setfacl", "--modify", "u:1234:r", str(packed.node.root / "opt/tool")], check=True)
    content = packed.pack(method="squashfs", compress="zstd")
    with packed.node.answering() as service, web(content) as (port, _handler):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    assert "system.posix_acl_access" in boot.text("attributes")
    assert reads(boot)["opt/tool"] == "tool "


def broken_off(handler: Any) -> None:
    handler.answer(200, handler.content[: len(handler.content) // 2], length=len(handler.content))
    handler.close_connection = True


def test_a_transfer_that_breaks_off_is_gone_on_with(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack()
    with packed.node.answering() as service, web(content, broken_off) as (port, handler):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    assert handler.asked == ["", f"bytes={len(content) // 2}-"]


def test_a_server_that_gives_only_whole_files_is_asked_for_the_whole_one_again(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack()
    with packed.node.answering() as service, web(content, broken_off, lambda one: one.answer(200, content)) as (port, handler):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    assert handler.asked == ["", f"bytes={len(content) // 2}-", ""]


def test_an_image_that_is_not_the_one_named_is_told_and_fetched_again(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack()
    wrong = bytes(len(content))
    with (
        packed.node.answering() as service,
        web(content, lambda one: one.answer(503, b"later"), lambda one: one.answer(200, wrong)) as (port, handler),
    ):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    console = boot.text("console")
    assert "can't be fetched: curl: (22) The requested URL returned error: 503" in console
    assert "is not the image that was packed: its digest is sha256:" in console
    assert len(handler.asked) == 3
    assert reads(boot)["etc/motd"] == "from the image "


def test_every_failure_reaches_the_site(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack()
    told: list[dict[str, Any]] = []

    def later(one: Any) -> None:
        told.extend(json.loads(path.read_text()) for path in (tmp_path / "spool").glob("n1*.json"))
        one.answer(200, one.content)

    with packed.node.answering() as service, web(content, lambda one: one.answer(404, b""), later) as (port, _handler):
        boot = packed.boot(port, service.port)
    assert boot.status == 0, boot.log
    assert any("error: 404" in json.dumps(each) and "image" in json.dumps(each) for each in told)


def test_a_root_that_does_not_fit_is_told_by_its_cause(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    (packed.node.root / "big").write_bytes(os.urandom(1 << 20))
    content = packed.pack()
    with packed.node.answering() as service, web(content) as (port, _handler):
        process = packed.begin(port, service.port, "rootlimit=200k")
        console = tmp_path / "boot1/console"
        try:
            wait_for(lambda: console.exists() and "again in 10 s" in console.read_text())
        finally:
            packed.node.end(process)
    assert re.search(r"root image: \S+ can't be unpacked: .*No space left on device", console.read_text())


def test_without_the_service_a_stateless_node_knows_itself_by_kernel_words(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack()
    with web(content) as (port, _handler):
        boot = packed.boot(port, 1, f"statelite.machine-id={'5' * 32} statelite.levels=none")
    assert boot.status == 0, boot.log
    assert reads(boot)["etc/machine-id"] == f"{'5' * 32} "
    assert reads(boot)["etc/hostname"] == "n1 "


def test_without_a_digest_the_image_is_taken_and_that_is_said(tmp_path: Path, pki: Path) -> None:
    packed = Packed(tmp_path, pki)
    content = packed.pack()
    with packed.node.answering() as service, web(content) as (port, _handler):
        boot = packed.boot(port, service.port, digest="")
    assert boot.status == 0, boot.log
    assert "the image is taken unchecked" in boot.text("console")
