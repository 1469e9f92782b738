# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a root tree that has everything which a pack must keep: owners, modes, devices, capabilities, access lists, holes, hard links.

tree.py make DIRECTORY [reversed]      reversed: made in another order, so with other inode numbers, and a moment later
tree.py list DIRECTORY                 what stands in it, one line a path, as JSON
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

LETTERS = b"".join(f"line {number}\n".encode() for number in range(5000))
MOMENT = 1_600_000_000


def file(path: Path, content: bytes, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
    path.write_bytes(content)
    os.chown(path, *owner)
    path.chmod(mode)


def holes(path: Path) -> None:
    with path.open("wb") as stream:
        stream.seek(3 << 20)
        stream.write(b"middle")
        stream.truncate(9 << 20)


def tool(path: Path) -> None:
    file(path, b"\x7fELF tool", 0o4755)
    subprocess.run(["setcap", "cap_net_raw,cap_net_admin+ep", str(path)], check=True)
    for name in ("trusted.one", "trusted.two"):
        os.setxattr(path, name, name.encode())


def device(path: Path, kind: int, major: int, minor: int) -> None:
    os.mknod(path, kind | 0o620, os.makedev(major, minor))
    os.chmod(path, 0o620)
    os.chown(path, 0, 5)


THINGS = {
    "etc/hosts": lambda path: file(path, b"127.0.0.1 localhost\n"),
    "etc/shadow": lambda path: file(path, b"root:*:\n", 0o640, (0, 42)),
    "etc/strange \u00e9\nname": lambda path: file(path, b"strange"),
    "etc/link": lambda path: path.symlink_to("../no/such/target"),
    "home/user/file": lambda path: file(path, LETTERS, 0o600, (1000, 100_000)),
    "usr/bin/tool": tool,
    "usr/share/doc/one/changelog": lambda path: file(path, LETTERS),
    "usr/share/doc/one/copyright": lambda path: file(path, b"free\n"),
    "usr/share/doc/two/changelog": lambda path: file(path, LETTERS[::-1]),
    "usr/lib/big": lambda path: file(path, LETTERS * 20),
    "var/holes": holes,
    "dev/null": lambda path: device(path, stat.S_IFCHR, 1, 3),
    "dev/disk": lambda path: device(path, stat.S_IFBLK, 8, 1),
    "dev/pipe": lambda path: os.mkfifo(path, 0o600),
}


def make(root: Path, backwards: bool) -> None:
    """Make the tree; attributes are set in another order when it is made backwards."""
    names = sorted(THINGS, reverse=backwards)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        THINGS[name](path)
    if backwards:
        path = root / "usr/bin/tool"
        for name in ("trusted.one", "trusted.two"):
            os.removexattr(path, name)
        for name in ("trusted.two", "trusted.one"):
            os.setxattr(path, name, name.encode())
    os.link(root / "usr/lib/big", root / "usr/lib/big2")
    (root / "tmp").mkdir()
    os.chmod(root / "tmp", 0o1777)
    # One moment that counts, and one that does not: it is after the moment that a pack is made for.
    for path in root.rglob("*"):
        moment = MOMENT if path.name == "hosts" else time.time() + (86_400 if backwards else 0)
        os.utime(path, (moment, moment), follow_symlinks=False)


def attributes(path: Path) -> dict[str, str]:
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names}


def listing(root: Path, moment: int) -> list[str]:
    """Return what stands in a tree, a line a path; of hard links the first name, and no inode number.

    Symbolic links have no time here: cpio gives them none.
    """
    found, first = [], {}
    for path in sorted(root.rglob("*")):
        status = os.lstat(path)
        name = str(path.relative_to(root))
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        target = os.readlink(path) if path.is_symlink() else ""
        same = first.setdefault((status.st_dev, status.st_ino), name)
        when = 0 if target else min(int(status.st_mtime), moment)
        said = (name, oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev, when, content, target, same)
        found.append(json.dumps([*said, attributes(path)]))
    return found


XATTRS = ("--xattrs", "--xattrs-include=*", "--acls")
UNPACK = {
    "cpio": ["cpio", "--extract", "--quiet", "--make-directories", "--preserve-modification-time"],
    "tar": ["tar", "--extract", *XATTRS],
}
PROGRAMS = {"gz": "gzip", "zst": "zstd", "xz": "xz"}


def unpack(file: str, there: Path) -> None:
    there.mkdir(parents=True)
    *_rest, method, ending = file.split(".")
    if ending == "sfs":
        subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-force", "-dest", str(there), file], stdout=subprocess.DEVNULL, check=True)
    elif ending == "erofs":
        text = 'mount -o loop,ro "$1" /mnt && cp -a /mnt/. "$2"'
        subprocess.run(["unshare", "--mount", "sh", "-c", text, "unpack", file, str(there)], check=True)
    else:
        stream = subprocess.run([PROGRAMS[ending], "-dc", file], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(UNPACK[method], input=stream, cwd=there, check=True)
    apart = there / ".statelite-xattrs.tar"
    if apart.exists():
        subprocess.run([*UNPACK["tar"], f"--file={apart}"], cwd=there, check=True)
        apart.unlink()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), "reversed" in sys.argv[3:])
    elif sys.argv[1] == "unpack":
        unpack(sys.argv[2], Path(sys.argv[3]))
    else:
        print("\n".join(listing(Path(sys.argv[2]), int(sys.argv[3]))))
