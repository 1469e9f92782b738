# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two generations path by path: a build that started from the last one, and one from nothing.

    alike.py ONE OTHER      directories of generations; prints every difference, and fails when there is one

Compared are kind, mode, owner, attributes and content of each path of the root tree, and names, kinds and contents of what is in
the initramfs. Left out is the content of files that hold when they were written (DATED), and the order of apt's notes.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.treelist import listed

DATED = re.compile(
    r"status-old|pkgcache\.bin|srcpkgcache\.bin|ld\.so\.cache|aux-cache|AutoInstalled|(?:rpmdb|history)\.sqlite(?:-shm|-wal)?"
)
STANZAS = "/var/lib/apt/extended_states"
PACKED = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
TRAILER = "TRAILER!!!"
OWN = re.compile(r"etc/ld\.so\.cache|etc/statelite/build-time")
"""Members of an initramfs that are made at each run of dracut: of the others, and the time."""


def tree(generation: Path) -> dict[str, object]:
    """Return the lines of a root tree by their paths."""
    found: dict[str, object] = {}
    for path, kind, *rest in listed(str(generation / "rootimg")):
        dated = kind == "f" and DATED.fullmatch(path.rpartition("/")[2])
        found[path] = (kind, rest[:4] if dated else rest)
        if path == STANZAS:
            found[path] = sorted((generation / "rootimg" / STANZAS[1:]).read_text().split("\n\n"))
    return found


def members(generation: Path) -> dict[str, object]:
    """Return kind, mode and digest of each member of the initramfs (cpio(5), newc)."""
    packed = (generation / "initrd-statelite.gz").read_bytes()
    program = next(program for start, program in PACKED.items() if packed.startswith(start))
    content = subprocess.run([program, "-dc"], input=packed, check=True, capture_output=True).stdout
    return {name: (mode, digest) for name, mode, digest in _newc(content) if not OWN.fullmatch(name)}


def _newc(content: bytes) -> Iterator[tuple[str, int, str]]:
    place = 0
    while True:
        fields = [int(content[place + 6 + 8 * number : place + 14 + 8 * number], 16) for number in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = content[place + 110 : place + 110 + length - 1].decode(errors="surrogateescape")
        begin = (place + 110 + length + 3) & ~3
        if name == TRAILER:
            return
        yield name.removeprefix("./"), mode, hashlib.sha256(content[begin : begin + size]).hexdigest()
        place = (begin + size + 3) & ~3


def differences(one: Path, other: Path) -> list[str]:
    """Return every path at which two generations differ, and how."""
    found = []
    for title, ours, theirs in (("rootimg", tree(one), tree(other)), ("initramfs", members(one), members(other))):
        for path in sorted({*ours, *theirs}):
            if ours.get(path) != theirs.get(path):
                found.append(f"{title} {path}: {ours.get(path, 'not there')} != {theirs.get(path, 'not there')}")
    return found


def main() -> None:
    found = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(found) or "alike")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
