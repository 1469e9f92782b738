# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image directory in which nothing was built: a small tree, the rows of its image, and what a pack of it holds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.pack.packimage import SPEC, Packimage, plan_packimage

FILES = {
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/motd": "hello\n",
    "usr/bin/tool": "#!/bin/sh\n",
    "usr/share/doc/a/copyright": "free\n" * 100,
    "usr/share/doc/b/changes": "old\n" * 100,
}
UNPACK = {"gz": "gzip", "zst": "zstd", "xz": "xz"}


class Made:
    """A management node with one image."""

    def __init__(self, path: Path, names: list[str] | None = None) -> None:
        self.path = path
        self.image: dict[str, str] = {
            "imagename": "i",
            "osvers": "debian12",
            "osarch": "x86_64",
            "profile": "compute",
            "provmethod": "netboot",
        }
        self.linux: dict[str, str] = {"imagename": "i", "rootimgdir": str(path / "image"), "exlist": str(path / "exlist")}
        self.litefile: list[dict[str, str]] = []
        self.environment: dict[str, str] = {}
        (path / "exlist").write_text("# nothing\n")
        self.generation = Generation(str(path / "image"), 1)
        for name in names or list(FILES):
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(FILES[name])
        os.link(self.root / "usr/bin/tool", self.root / "usr/bin/tool2")
        (self.root / "etc/link").symlink_to("hosts")
        self.generation.write_record({"built": "2026-01-02T03:04:05Z"})

    @property
    def root(self) -> Path:
        return Path(self.generation.rootimg)

    def site(self) -> Site:
        return Site({"osimage": [self.image], "linuximage": [self.linux], "litefile": self.litefile})

    def plan(self, **options: Any) -> Packimage:
        params = {name: option.get("default") for name, option in SPEC.items()}
        return plan_packimage(self.site(), {**params, "image": "i", "compress": "gzip", **options}, self.environment)

    def pack(self, **options: Any) -> dict[str, Any]:
        plan = self.plan(**options)
        plan.apply()
        return plan.result()


def unpacked(file: str, into: Path) -> Path:
    """Unpack a cpio or tar as a node does; return where."""
    into.mkdir()
    kind, ending = file.split(".")[-2:]
    stream = subprocess.run([UNPACK[ending], "-dc", file], capture_output=True, check=True).stdout
    words = {"cpio": ["cpio", "--extract", "--quiet", "--make-directories"], "tar": ["tar", "--extract", "--xattrs", "--xattrs-include=*"]}
    subprocess.run(words[kind], input=stream, cwd=into, check=True)
    return into


def names_in(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))
