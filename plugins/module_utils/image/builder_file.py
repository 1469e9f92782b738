# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder as one file, and the descriptions of images beside it: what a host takes to build images without Ansible."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..apply.files import read_bytes, write_file
from ..errors import Fault, SiteError
from ..program import PACKAGE, one_file
from . import builder
from .asked import SPEC as ASKED
from .asked import read_site
from .description import describe, to_json
from .dryrun import BUILDER, PROGRAM, description_name
from .genimage import defined
from .given import read_given

FIRST = "/".join(builder.__name__.split(".")[-2:]) + ".py"
START = f"""# Written by the module diskless.statelite.image_builder.
import sys

if sys.version_info < (3, 9):
    sys.exit("genimage needs Python 3.9 or newer, and this is %d.%d: run it by a newer one" % sys.version_info[:2])

from {PACKAGE}.image.builder import main

sys.exit(main())
"""
OPTIONS = ("site", "other_release", "dracut_module", "rootfs", "share", "ca", "authorized_keys", "root_hash_file", "limit")
SPEC: dict[str, Any] = {
    "images": {"type": "list", "elements": "str", "required": True},
    "dest": {"type": "path", "default": BUILDER},
    **{name: ASKED[name] for name in OPTIONS},
}
"""Options of the module image_builder."""


def program() -> bytes:
    """Return the builder: an archive of sources that Python runs, as zipapp makes one."""
    return one_file(FIRST, START)


@dataclass(frozen=True)
class BuilderFiles:
    """The plan: files below `dest` with their content and mode, and what is to be done about each that differs."""

    dest: str
    files: Mapping[str, tuple[bytes, int]]
    changed: Mapping[str, str]

    def lines(self) -> list[str]:
        """Return one line a file that differs; never its content, which may hold root's hash."""
        return [f"{what} {self.dest}/{name}" for name, what in self.changed.items()]

    def apply(self) -> None:
        """Write what differs; the directory is root's alone."""
        os.makedirs(self.dest, mode=0o755, exist_ok=True)
        for name in self.changed:
            content, mode = self.files[name]
            write_file(os.path.join(self.dest, name), content, mode)

    def result(self) -> dict[str, Any]:
        """Return where the files are, and a digest of each."""
        names = [name for name in self.files if name != PROGRAM]
        return {
            "dest": self.dest,
            "program": f"{self.dest}/{PROGRAM}",
            "descriptions": [f"{self.dest}/{name}" for name in names],
            "digests": {name: f"sha256:{sha256(content).hexdigest()}" for name, (content, _mode) in self.files.items()},
        }


def _difference(path: str, content: bytes, mode: int) -> str:
    there = read_bytes(path)
    if there is None:
        return "create"
    if there != content:
        return "replace"
    return "" if stat.S_IMODE(os.stat(path).st_mode) == mode else "mode"


def plan_builder(params: Mapping[str, Any], _warn: Callable[[str], None]) -> BuilderFiles:
    """Return what makes `dest` hold the builder and a description of each image; raises SiteError with every image's faults."""
    site, dest = read_site(params["site"]), params["dest"].rstrip("/") or "/"
    given, faults = read_given(params)
    files: dict[str, tuple[bytes, int]] = {PROGRAM: (program(), 0o755)}
    found: list[Fault] = list(faults)
    for name in params["images"]:
        try:
            definition = defined(site, {**params, "image": name}, here=False, given=given)[0]
            files[description_name(definition.image.name)] = (to_json(describe(definition, given, params)), 0o600)
        except SiteError as error:
            found += error.faults
    if found:
        raise SiteError(*dict.fromkeys(found))
    compared = {name: _difference(os.path.join(dest, name), *wanted) for name, wanted in files.items()}
    return BuilderFiles(dest, files, {name: what for name, what in compared.items() if what})
