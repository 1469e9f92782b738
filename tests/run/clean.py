# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make clean`: remove build/, and nothing that is mounted there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from places import BUILD


def mounts_below(folder: Path) -> list[str]:
    """Return every mount point at or below `folder`; /proc writes blanks in names as octal."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        point = line.split(" ")[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if point == str(folder) or point.startswith(f"{folder}/"):
            found.append(point)
    return found


def clean() -> int:
    """Remove build/ as a whole, or refuse and name what is mounted below it."""
    if not BUILD.exists():
        return 0
    mounted = mounts_below(BUILD.resolve())
    if mounted:
        print("refused: these are mounted below build/; stop the lab that uses them first:", *mounted, sep="\n  ")
        return 1
    return subprocess.run(["rm", "-r", "--force", "--one-file-system", "--", str(BUILD)], check=False).returncode
