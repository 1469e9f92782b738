# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a root tree holds, path by path, with digests: one JSON array a line, in an order that does not depend on the disk.

["/etc", "d", "755", 0, 0, {}]                       directory: mode, owner, group, extended attributes
["/etc/hosts", "f", "644", 0, 0, {}, 120, "<sha256>"]     file: size and digest
["/etc/same", "h", "/etc/hosts"]                     another name of the same file
["/bin", "l", "777", 0, 0, {}, "usr/bin"]            symbolic link
["/dev/null", "c", "666", 0, 0, {}, 1, 3]            device; p is a pipe, s a socket
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import Fault, SiteError, raise_faults

PIECE = 1 << 20
IGNORED = ("security.selinux",)
"""Labels that a machine gives by a policy of its own."""

MAX_FAULTS = 20
Line = list[Any]


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0, opener=_no_link) as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _attributes(path: str) -> dict[str, str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names) if name not in IGNORED}


def _line(top: str, path: str, status: os.stat_result, seen: dict[tuple[int, int], str]) -> Line:
    full = top + path
    mode = status.st_mode
    if not stat.S_ISDIR(mode) and status.st_nlink > 1:
        first = seen.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            return [path, "h", first]
    head = [f"{stat.S_IMODE(mode):o}", status.st_uid, status.st_gid, _attributes(full)]
    if stat.S_ISREG(mode):
        return [path, "f", *head, status.st_size, digest_of(full)]
    if stat.S_ISDIR(mode):
        return [path, "d", *head]
    if stat.S_ISLNK(mode):
        return [path, "l", *head, os.readlink(full)]
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return [path, "c" if stat.S_ISCHR(mode) else "b", *head, os.major(status.st_rdev), os.minor(status.st_rdev)]
    return [path, "p" if stat.S_ISFIFO(mode) else "s", *head]


def listed(top: str) -> Iterator[Line]:
    """Give what stands at and below `top`, a directory before what is in it; raises SiteError for a mount in it."""
    status = os.lstat(top)
    seen: dict[tuple[int, int], str] = {}
    yield ["/", *_line(top, "/", status, seen)[1:]]
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        with os.scandir((top + directory) or "/") as entries:
            names = sorted(entry.name for entry in entries)
        below = []
        for name in names:
            path = f"{directory}/{name}"
            found = os.lstat(top + path)
            if found.st_dev != status.st_dev:
                raise SiteError.of(top + path, "something is mounted here, inside the image", f"umount {top + path}")
            yield _line(top, path, found, seen)
            if stat.S_ISDIR(found.st_mode):
                below.append(path)
        waiting.extend(reversed(below))


def packed(lines: Iterable[Line]) -> bytes:
    """Return lines as a file has them: the same for the same tree, whenever it is made."""
    text = "".join(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n" for line in lines)
    return gzip.compress(text.encode("ascii"), 6, mtime=0)


def unpacked(content: bytes, where: str) -> dict[str, Line]:
    """Return the lines of such a file by their paths; raises SiteError when it is none."""
    found: dict[str, Line] = {}
    try:
        for text in gzip.decompress(content).decode("ascii").splitlines():
            line = json.loads(text)
            found[str(line[0])] = line
    except (OSError, EOFError, ValueError, IndexError, TypeError, zlib.error) as error:
        raise SiteError.of(where, "it is no list of a tree", "Build the image again") from error
    return found


def differences(wanted: dict[str, Line], top: str) -> list[Fault]:
    """Return a fault for each path at which the tree is not as listed, the first MAX_FAULTS of them."""
    mend = "Somebody changed the tree: build the image again, or seal it as it is with the module generation and its option seal"
    faults = []
    missing = set(wanted)
    for line in listed(top):
        path = line[0]
        missing.discard(path)
        there = wanted.get(path)
        if there is None:
            faults.append(Fault(top + path, "is not in the signed list", mend))
        elif there != line:
            faults.append(Fault(top + path, f"is not as the signed list has it ({_what(there, line)})", mend))
    faults += [Fault(top + path, "is in the signed list and not there", mend) for path in sorted(missing)]
    return faults[:MAX_FAULTS]


def _what(wanted: Line, found: Line) -> str:
    """Return in which respect two lines of one path differ."""
    if wanted[1] != found[1]:
        return f"kind {found[1]} instead of {wanted[1]}"
    names = {"f": ("size", "content"), "l": ("target",), "c": ("device", "device"), "b": ("device", "device")}.get(wanted[1], ())
    if wanted[1] == "h":
        return "another file's name"
    titles = ("path", "kind", "mode", "owner", "group", "attributes", *names)
    return ", ".join(dict.fromkeys(title for title, one, other in zip(titles, wanted, found) if one != other)) or "form"


def refuse_differences(wanted: dict[str, Line], top: str) -> None:
    """Raise SiteError that names the paths at which the tree is not as listed."""
    raise_faults(differences(wanted, top))
