# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two generations path by path: python same.py ONE OTHER

Names every difference and fails, but for what no two builds share: times in the databases and caches of package managers, and in
the members of an initramfs. Prints how many paths are the same.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.treelist import listed

DATED = re.compile(
    r".*/(pkgcache\.bin|srcpkgcache\.bin|ld\.so\.cache|aux-cache|AutoInstalled|(rpmdb|history)\.sqlite(-wal|-shm)?)|/var/log/.*"
)
VOLATILE = ("built", "packages_read", "seconds", "seconds_of", "from_nothing", "initramfs_anew", "generation", "digests", "built_on")


def shown(line: list[object]) -> list[object]:
    """Return a line of the list without the size and digest of a file that holds times."""
    return line[:6] if line[1] == "f" and DATED.fullmatch(str(line[0])) else line


def members(initramfs: Path) -> list[str]:
    """Return the names in an initramfs of the tiny distributions."""
    listing = subprocess.run(["cpio", "-t", "--quiet"], input=gzip.decompress(initramfs.read_bytes()), check=True, capture_output=True)
    return sorted(listing.stdout.decode().split())


def record(generation: Path) -> dict[str, object]:
    """Return the record without what tells when and as which number it was built."""
    return {key: value for key, value in json.loads((generation / "record.json").read_text()).items() if key not in VOLATILE}


def main(one: Path, other: Path) -> None:
    """Compare two generations."""
    trees = [{str(line[0]): shown(line) for line in listed(str(generation / "rootimg"))} for generation in (one, other)]
    differing = [path for path in sorted({*trees[0], *trees[1]}) if trees[0].get(path) != trees[1].get(path)]
    faults = [f"{path}: {trees[0].get(path)} and {trees[1].get(path)}" for path in differing]
    for name, look in (("record.json", record), ("initrd-statelite.gz", lambda path: members(path / "initrd-statelite.gz"))):
        if look(one) != look(other):
            faults.append(f"{name}: {look(one)} and {look(other)}")
    if (one / "kernel").read_bytes() != (other / "kernel").read_bytes():
        faults.append("kernel")
    if faults or len(trees[0]) < 20:
        sys.exit("\n".join(["differ:", *faults]))
    print(f"{len(trees[0])} paths are the same")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
