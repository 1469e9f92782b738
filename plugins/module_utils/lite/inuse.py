# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody may be using a tree: what is mounted in it, and whether an NFS server of this machine gives it out."""

from __future__ import annotations

import glob
import os
import re

from ..apply.removal import mounts_in
from ..errors import Fault, raise_faults

EXPORT_FILES = ("/etc/exports", "/etc/exports.d/*.exports", "/var/lib/nfs/etab")
GANESHA_FILES = ("/etc/ganesha/*.conf",)
OCTAL = re.compile(r"\\([0-7]{3})")
OCTALS = re.compile(rb"\\([0-3][0-7]{2})")


def plain(text: str) -> str:
    """Return a path of exports without its octal escapes."""
    return OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text).encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def mounts_below(directory: str, mountinfo: str = "/proc/self/mountinfo") -> list[str]:
    """Return the mount points inside `directory`, which itself may be one."""
    real = os.path.realpath(directory)
    return sorted({point for point in mounts_in(real, mountinfo) if point != real})


def mount_faults(directory: str) -> list[Fault]:
    """Return a fault for every mount inside `directory`."""
    return [Fault(point, "something is mounted here, inside the image", f"umount {point}") for point in mounts_below(directory)]


def refuse_mounts(directory: str) -> None:
    """Raise SiteError that names every mount inside `directory`."""
    raise_faults(mount_faults(directory))


def _texts(patterns: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for pattern in patterns:
        for name in sorted(glob.glob(pattern)) if "*" in pattern else [pattern]:
            try:
                with open(name, encoding="latin-1") as stream:
                    found.append((name, stream.read()))
            except OSError:
                continue
    return found


def exported_paths(exports: tuple[str, ...] = EXPORT_FILES, ganesha: tuple[str, ...] = GANESHA_FILES) -> list[tuple[str, str]]:
    """Return (path, file that says so) of everything that this machine's NFS servers are told to give out."""
    found: list[tuple[str, str]] = []
    for name, text in _texts(exports):
        for line in text.replace("\\\n", " ").split("\n"):
            match = re.match(r'\s*(?:"([^"]+)"|([^\s#]\S*))', line)
            if match:
                found.append((plain(match.group(1) or match.group(2)), name))
    for name, text in _texts(ganesha):
        bare = re.sub(r"#.*", "", text)
        if "path" not in bare.lower():
            continue
        found.extend((match.group(1), name) for match in re.finditer(r'(?im)^\s*path\s*=\s*"?([^";\n]+?)"?\s*;', bare))
    return [(path, name) for path, name in found if path.startswith("/")]


def exporter_of(directory: str, exports: list[tuple[str, str]]) -> str | None:
    """Return the file that exports `directory` or a directory above it, None when none does."""
    real = os.path.realpath(directory)
    for path, name in exports:
        top = os.path.realpath(path).rstrip("/")
        if real == top or real.startswith(top + "/"):
            return name
    return None
