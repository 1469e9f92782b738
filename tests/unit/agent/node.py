# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node without a machine: the real agent against a made-up root, real TLS, and bind mounts in place of NFS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.answer.server import Limits
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import Answering, publish

AGENT = Path(__file__).resolve().parents[3] / "roles/image/files/dracut/95statelite"
SKELETON = ("etc", "dev", "proc", "sys", "run", "usr", "etc/statelite")
POLICY = [{"priority": "4.7", "commands": "litefile", "rule": "allow"}, {"priority": "4.8", "commands": "litetree", "rule": "allow"}]

MOUNT = """#!/bin/sh
# In place of an NFS mount: a bind mount of a directory of the test.
if [ "$1 $2 $3" = "-t nfs -o" ]; then
    source=$5 target=$6
    there=$NFS/${source%%:/*}/${source#*:/}
    [ -d "$there" ] || { echo "mount.nfs: mounting $source failed, reason given by server: No such file" >&2; exit 32; }
    /bin/mount --bind "$there" "$target" || exit 32
    # A file system that is mounted for the first time is shared where what it is mounted on is shared; a bind mount is what its source is.
    [ -z "$SHARED" ] || case $(findmnt --noheadings --output PROPAGATION --target "${target%/*}") in
        shared) /bin/mount --make-private "$target" && /bin/mount --make-shared "$target" || exit 32 ;;
        *) /bin/mount --make-private "$target" || exit 32 ;;
    esac
    case ",$4," in *,ro,*) exec /bin/mount -o remount,bind,ro "$target" ;; esac
    exit 0
fi
exec /bin/mount "$@"
"""

START = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$WORK/cmdline" /proc/cmdline
mount --bind "$WORK/resolv.conf" "$(realpath /etc/resolv.conf)"
[ ! -e /dev/kmsg ] || mount --bind /dev/null /dev/kmsg
mount --bind "$ROOT" "$NEWROOT"
mount -o remount,bind,ro "$NEWROOT"
mount --bind /usr "$NEWROOT/usr"
mount -t tmpfs tmpfs "$NEWROOT/run"
[ -z "$SHARED" ] || mount --make-rshared /
status=0
PATH="$WORK/bin:$PATH" sh "$AGENT/agent.sh" >> "$WORK/output" 2>&1 || status=$?
echo "$status" > "$WORK/status"
cp -r "$NEWROOT/.statelite/system/results" "$NEWROOT/.statelite/report.json" "$NEWROOT/.statelite/statelite.log" "$WORK" 2>/dev/null || :
cp -r "$NEWROOT/.statelite/proof" "$WORK" 2>/dev/null || :
cp -r /run/statelite "$WORK/run"
[ ! -e "$WORK/paths" ] || "$PYTHON" "$VIEW" "$NEWROOT" "$WORK/paths" "$WORK/seen"
"""


class Node:
    """One image, its servers and the node n1 that boots from it; `tables` as a site has them."""

    def __init__(self, work: Path, pki: Path, tables: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
        self.work, self.pki = work, pki
        self.rootimgdir = work / "image"
        self.root = self.rootimgdir / "rootimg"
        self.nfs = work / "nfs"
        self.boots = 0
        self.resolver = "search lab.test\nnameserver 10.9.9.9\n"
        self.programs: dict[str, str] = {}
        """Scripts that stand for programs of the initramfs, by name."""
        self.shared = False
        """Whether mounts are shared when the agent begins, as systemd makes them where the initramfs has it."""
        named = {"nodetype", "osimage", "linuximage"}
        self.tables: dict[str, list[dict[str, str]]] = {
            "policy": list(POLICY),
            "site": [{"key": "master", "value": "127.0.0.1"}],
            "nodelist": [{"node": "n1", "groups": "all,compute"}],
            "hosts": [{"node": "n1", "ip": "127.0.0.1"}],
            "osimage": [{"imagename": "img1", "provmethod": "statelite"}],
            "nodetype": [{"node": "n1", "provmethod": "img1"}],
            **{name: [dict(row) for row in rows] for name, rows in tables.items() if rows and name not in named},
            "linuximage": [{"imagename": "img1", "rootimgdir": str(self.rootimgdir)}],
        }
        self.snapshot = work / "published" / "site.json"

    def file(self, path: str, content: str | None, mode: int = 0o644) -> None:
        """Put a file (None: a directory) below the work directory."""
        place = self.work / path.lstrip("/")
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content, encoding="utf-8")
        place.chmod(mode)

    def manifest(self, below: str, line: Mapping[str, Any]) -> None:
        """Put what one line of a recorded manifest says below a directory of the work directory."""
        place = self.work / below / line["path"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if line["type"] == "l":
            place.symlink_to(line["target"])
        elif line["type"] == "d":
            place.mkdir(exist_ok=True)
        else:
            place.write_text(line.get("content", "x" * line.get("size", 0)), encoding="utf-8")
        if line["type"] != "l":
            place.chmod(int(line["mode"], 8))

    def lay_out(self) -> None:
        """Complete the root as genimage leaves it, and run liteimg's core on it."""
        for name in SKELETON:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if not (self.root / name).exists() and not (self.root / name).is_symlink():
                (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "etc/statelite/ca.pem").write_bytes((self.pki / "ca.pem").read_bytes())
        self.nfs.mkdir(exist_ok=True)
        plan_tree(str(self.root), Wanted("img1", entries_for(Site(self.tables), "img1"))).apply()
        publish(self.snapshot, self.tables)

    def answering(self, port: int = 0) -> Answering:
        """Return the answer service of this site, not yet started."""
        return Answering(self.snapshot, self.work / "spool", self.pki, port, Limits())

    def begin(self, port: int, words: str = "", paths: Sequence[str] = (), quick: bool = True) -> subprocess.Popen[bytes]:
        """Start a boot; `quick` turns the agent's waits into hundredths of a second."""
        self.boots += 1
        boot = self.work / f"boot{self.boots}"
        for name in ("bin", "sysroot"):
            (boot / name).mkdir(parents=True)
        for name, text in (("mount", MOUNT), ("sleep", "#!/bin/sh\nexec /bin/sleep 0.02\n")):
            if name == "mount" or quick:
                (boot / "bin" / name).write_text(text, encoding="utf-8")
                (boot / "bin" / name).chmod(0o755)
        for name, text in self.programs.items():
            (boot / "bin" / name).write_text(text, encoding="utf-8")
            (boot / "bin" / name).chmod(0o755)
        (boot / "cmdline").write_text(f"initrd=x XCAT=127.0.0.1:{port} NODE=n1 statelite.image=img1 {words} ro\n", encoding="utf-8")
        (boot / "resolv.conf").write_text(self.resolver, encoding="utf-8")
        (boot / "output").touch()
        if paths:
            (boot / "paths").write_text(json.dumps(list(paths)), encoding="utf-8")
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "WORK": str(boot),
            "ROOT": str(self.root),
            "NEWROOT": str(boot / "sysroot"),
            "AGENT": str(AGENT),
            "NFS": str(self.nfs),
            "STATELITE_CONSOLE": str(boot / "console"),
            "VIEW": str(Path(__file__).with_name("view.py")),
            "PYTHON": sys.executable,
            "SHARED": "yes" if self.shared else "",
        }
        command = ["unshare", "--mount", "--uts", "--kill-child", "--fork", "sh", "-c", START]
        with open(boot / "start", "wb") as errors:
            return subprocess.Popen(command, env=environment, stdout=errors, stderr=subprocess.STDOUT, start_new_session=True)

    def finish(self, process: subprocess.Popen[bytes], limit: float = 240) -> Boot:
        """Wait for a boot begun before; one that does not end within `limit` seconds is ended with all its children."""
        try:
            process.wait(limit)
        finally:
            self.end(process)
        return Boot(self.work / f"boot{self.boots}")

    @staticmethod
    def end(process: subprocess.Popen[bytes]) -> None:
        """End a boot with everything it started."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def boot(self, words: str = "", paths: Sequence[str] = ()) -> Boot:
        """Boot once with the service up."""
        with self.answering() as service:
            return self.finish(self.begin(service.port, words, paths))


class Boot:
    """What a boot left."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def text(self, name: str) -> str:
        path = self.work / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def status(self) -> int:
        text = self.text("status")
        assert text, self.text("start") + self.text("output")
        return int(text)

    @property
    def log(self) -> str:
        return self.text("start") + self.text("output") + self.text("run/statelite.log")

    @property
    def results(self) -> dict[str, tuple[str, ...]]:
        """Return (status, source, message) by path."""
        return {line.split("\t")[0]: tuple(line.split("\t")[1:]) for line in self.text("results").split("\n") if line}

    @property
    def seen(self) -> dict[str, dict[str, Any]]:
        return {item["path"]: item for item in json.loads(self.text("seen") or "[]")}


def wait_for(condition: Any, limit: float = 120) -> None:
    """Wait until `condition()` holds; `limit` is for a machine that is slow and busy."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
