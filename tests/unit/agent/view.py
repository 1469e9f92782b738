# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process sees in the root that the agent made: run as root in the node's mount namespace, after the agent.

view.py NEWROOT PATHS.json RESULT.json
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from typing import Any

OURS = ("statelite",)  # /etc/statelite, which genimage puts into every image
STATES = ("/state/", "/gnodedata/")
KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}


def unescaped(text: str) -> str:
    return text.encode().decode("unicode_escape").encode("latin-1").decode()


def mounts(inside: str) -> list[tuple[str, str, str]]:
    """Return (mount point below `inside`, root within the file system, type) of every mount there, oldest first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        for line in stream:
            fields = line.rstrip("\n").split(" ")
            point = unescaped(fields[4])
            if point == inside or point.startswith(inside + "/"):
                found.append((point[len(inside) :] or "/", unescaped(fields[3]), fields[fields.index("-") + 1]))
    return found


def backing(path: str, table: list[tuple[str, str, str]]) -> str:
    """Return what a real path lies on: tmpfs, persistent, localdisk, level or image."""
    best = ("", "", "")
    for point, root, kind in table:
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best[0]):
            best = (point, root, kind)
    if best[2] == "overlay":
        return "tmpfs"  # what is written lies there
    if best[2] == "tmpfs" and not best[1].count("/nfs/"):
        return "tmpfs"
    if best[1].startswith("/statelite/"):
        return "localdisk"  # a node's own directory in the disk's file system
    if "/nfs/" not in best[1]:
        return "image"
    return "persistent" if any(name in best[1] for name in STATES) else "level"


def writable(path: str, kind: str) -> Any:
    probe = os.path.join(path, ".probe") if kind == "d" else path
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if kind == "d" else 0))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    os.close(descriptor)
    if kind == "d":
        os.unlink(probe)
    return True


def look(path: str, table: list[tuple[str, str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {"path": path}
    try:
        status = os.stat(path)
    except OSError:
        return {**found, "type": "ENOENT"}
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "o")
    found.update(
        type=kind, mode=f"{stat.S_IMODE(status.st_mode):04o}", backing=backing(os.path.realpath(path), table), writable=writable(path, kind)
    )
    if kind == "f":
        with open(path, encoding="utf-8", errors="replace") as stream:
            found["content"] = stream.read()
    elif kind == "d":
        found["list"] = sorted(name for name in os.listdir(path) if name not in OURS)
    return found


def main() -> None:
    root, paths, result = sys.argv[1:]
    with open(paths, encoding="utf-8") as stream:
        wanted = json.load(stream)
    table = mounts(root)
    with open(result, "w", encoding="utf-8") as stream:
        os.chroot(root)
        os.chdir("/")
        json.dump([look(path, table) for path in wanted], stream)


if __name__ == "__main__":
    main()
