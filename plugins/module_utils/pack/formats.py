# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an image is packed: the formats, their names, and the real tools that make them (pure)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..apply.pipelines import Stage

ARCHIVES = ("cpio", "tar")
"""Streams that a compressor packs; the node unpacks them into memory."""

FILESYSTEMS = ("squashfs", "erofs")
"""File systems that the node mounts as they are, below a volatile layer."""

METHODS = (*ARCHIVES, *FILESYSTEMS)
ENDINGS = {"gzip": "gz", "pigz": "gz", "zstd": "zst", "xz": "xz"}
COMPRESSIONS = {
    "cpio": ("gzip", "pigz", "zstd", "xz"),
    "tar": ("gzip", "pigz", "zstd", "xz"),
    "squashfs": ("zstd", "gzip", "xz", "lz4", "lzo"),
    "erofs": ("lz4hc", "lz4", "none"),
}
"""What each method can be packed with; the first one of a file system is its default."""

PACKAGES = {
    "cpio": "cpio",
    "tar": "tar",
    "mksquashfs": "squashfs-tools",
    "mkfs.erofs": "erofs-utils",
    "gzip": "gzip",
    "pigz": "pigz",
    "zstd": "zstd",
    "xz": "xz-utils",
}
"""Where a tool that is missing comes from."""

SQUASHFS_LEVEL = 6
"""Of zstd, while no level is asked for: mksquashfs' own 15 takes ten times as long for a tenth less."""

FILE_MARK = "rootimg"
RAMDISK_MARK = "rootimg-statelite"

TAR_OPTIONS = (
    "--null",
    "--no-recursion",
    "--format=posix",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--acls",
    "--selinux",
    "--sparse",
    # The later forms write tar's process number into the archive.
    "--sparse-version=0.0",
)


@dataclass(frozen=True)
class Form:
    """One format of a packed image; `level` is None for the tool's usual one."""

    method: str
    compress: str
    level: int | None = None

    @property
    def ending(self) -> str:
        """The ending of the file's name, as nodes and people know it."""
        if self.method == "squashfs":
            return "sfs"
        return "erofs" if self.method == "erofs" else f"{self.method}.{ENDINGS[self.compress]}"

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that make it."""
        if self.method in ARCHIVES:
            return (self.method, self.compress) if self.method == "tar" else ("cpio", "tar", self.compress)
        return ("mksquashfs",) if self.method == "squashfs" else ("mkfs.erofs",)

    def packer(self) -> Stage:
        """Return the tool that reads a list of paths, each ended by a zero byte, and writes the archive."""
        if self.method == "cpio":
            return Stage("cpio", ["cpio", "--null", "--create", "--format=newc", "--reproducible", "--quiet"])
        return Stage("tar", ["tar", "--create", *TAR_OPTIONS, "--files-from=-"])

    def compressor(self) -> Stage:
        """Return the tool that packs the archive; what it writes depends on neither time, name nor the number of processors."""
        threads = str(max(2, os.cpu_count() or 2))
        level = [] if self.level is None else [f"-{self.level}"]
        if self.compress == "zstd" and self.level is not None and self.level > 19:
            level = ["--ultra", *level]
        words = {
            "gzip": ["gzip", "--no-name", "--stdout"],
            # One thread alone makes another stream, and so does xz.
            "pigz": ["pigz", "--no-name", "--stdout", "--processes", threads],
            "zstd": ["zstd", "--quiet", "--stdout", "--threads=0"],
            "xz": ["xz", "--stdout", f"--threads={threads}"],
        }[self.compress]
        return Stage(self.compress, [*words, *level])

    def maker(self, tree: str, output: str, uuid: str) -> Sequence[str]:
        """Return the command that makes a file system of a tree."""
        if self.method == "erofs":
            packed = [] if self.compress == "none" else [f"-z{self.compress}{'' if self.level is None else f',{self.level}'}"]
            return ["mkfs.erofs", "--quiet", "--preserve-mtime", "-U", uuid, *packed, output, tree]
        level = SQUASHFS_LEVEL if self.level is None and self.compress == "zstd" else self.level
        words = [] if level is None or self.compress not in ("zstd", "gzip", "lzo") else ["-Xcompression-level", str(level)]
        return ["mksquashfs", tree, output, "-noappend", "-no-progress", "-quiet", "-xattrs", "-comp", self.compress, *words]


def default_compression(method: str, programs: Sequence[str]) -> str:
    """Return how a method packs while nobody says: archives by pigz where it is installed, else by gzip (behaviour.md f.4)."""
    if method in FILESYSTEMS:
        return COMPRESSIONS[method][0]
    return "pigz" if "pigz" in programs else "gzip"
