# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting a tree without following what is mounted in it."""

from __future__ import annotations

import os
import re

from ..errors import SiteError
from .commands import run_command

UNESCAPED = re.compile(rb"[\s\\#]")
"""What the kernel writes otherwise in a path, at least."""
ESCAPED = re.compile(r"\\([0-7]{3})")


def _plain(point: str) -> str:
    """Return a mount point of the kernel's list without its octal escapes (proc_pid_mountinfo(5))."""
    return ESCAPED.sub(lambda code: chr(int(code.group(1), 8)), point) if "\\" in point else point


def mounts_under(path: str, mountinfo: str = "/proc/self/mountinfo") -> list[str]:
    """Return the mount points at or below `path`, the deepest and latest first."""
    return mounts_in(os.path.realpath(path), mountinfo)


def mounts_in(real: str, mountinfo: str = "/proc/self/mountinfo") -> list[str]:
    """Return what mounts_under does, for a path without symbolic links."""
    with open(mountinfo, "rb") as stream:
        content = stream.read()
    if UNESCAPED.split(os.fsencode(real), 1)[0] not in content:
        return []
    points = [_plain(os.fsdecode(line.split(b" ", 5)[4])) for line in content.splitlines()]
    below = real.rstrip("/") + "/"
    return [point for point in reversed(points) if point == real or point.startswith(below)]


def remove_tree(path: str) -> None:
    """Delete `path`, which is a tree of ours: unmount what is mounted in it, then delete on this file system only.

    Raises SiteError when something in it cannot be unmounted; nothing is deleted then.
    """
    if not os.path.lexists(path):
        return
    mend = f"See what uses the mounts below {path} (fuser -vm), unmount them and run again"
    for point in mounts_under(path):
        run_command(["umount", "--", point], limit=60, mend=mend)
    left = mounts_under(path)
    if left:
        raise SiteError.of(path, f"{left[0]} is still mounted", mend)
    run_command(["rm", "-rf", "--one-file-system", "--", path], limit=1800, mend=f"Look at {path} and remove it")
