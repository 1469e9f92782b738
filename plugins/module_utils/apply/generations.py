# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generations of one image directory: complete boot sets side by side, one of them current.

    <rootimgdir>/generations/<n>/{rootimg,kernel,initrd-statelite.gz,initrd-stateless.gz,record.json}
    <rootimgdir>/generations/<n>/{manifest.json,manifest.json.sig,tree.list.gz}    from its publication on (manifest.py)
    <rootimgdir>/generations/<n>.withdrawn.json    the site went back from it (withdrawn.py)
    <rootimgdir>/current  -> generations/<n>         published by one rename
    <rootimgdir>/rootimg  -> current/rootimg         for people and the document's paths

Source of the rules: decisions.md, Layout of an image. `image` builds generations, `lite` lays them out and
publishes, `boot` reads the current one; none of these rooms may import another, so the directory is known here.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from ..errors import SiteError
from .files import LINK_IN_WORK, read_bytes, write_file, write_link
from .manifest import seal
from .signing import Keys
from .withdrawn import marked, withdrawn

KERNEL = "kernel"
INITRD = "initrd-statelite.gz"
IN_MEMORY = "initrd-stateless.gz"
"""The same under the name by which nodes with a root in memory fetch it."""
ROOTIMG = "rootimg"
RECORD = "record.json"


@dataclass(frozen=True)
class Generation:
    """One boot set. `number` is None for a plain `rootimg` made elsewhere, which is served as it is."""

    rootimgdir: str
    number: int | None

    @property
    def path(self) -> str:
        """The directory that holds rootimg, kernel and initramfs."""
        if self.number is None:
            return self.rootimgdir
        return os.path.join(self.rootimgdir, "generations", str(self.number))

    @property
    def rootimg(self) -> str:
        """The root tree as nodes mount it: a real path, never through `current`."""
        return os.path.join(self.path, ROOTIMG)

    def record(self) -> dict[str, Any]:
        """Return what the builder wrote about this generation; empty for a plain rootimg. Raises SiteError when it is damaged."""
        path = os.path.join(self.path, RECORD)
        content = read_bytes(path)
        try:
            return dict(json.loads(content)) if content else {}
        except (ValueError, TypeError) as error:
            raise SiteError.of(path, "the record of the generation is damaged", "Build the image again, or bring the file back") from error

    def write_record(self, record: dict[str, Any]) -> None:
        """Write the record; allowed only before the generation is published."""
        write_file(os.path.join(self.path, RECORD), (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def generations(rootimgdir: str) -> list[Generation]:
    """Return the complete generations, oldest first (staging directories begin with a dot and do not count)."""
    try:
        names = os.listdir(os.path.join(rootimgdir, "generations"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Generation(rootimgdir, number) for number in sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]*", name))]


def current(rootimgdir: str) -> Generation | None:
    """Return the published generation; a plain `rootimg` directory counts as one; None when there is neither.

    Raises SiteError when `current` does not lead to a generation of this directory.
    """
    link = os.path.join(rootimgdir, "current")
    try:
        target = os.readlink(link)
    except FileNotFoundError:
        plain = os.path.join(rootimgdir, ROOTIMG)
        if os.path.isdir(plain) and not os.path.islink(plain):
            return Generation(rootimgdir, None)
        return None
    except OSError as error:
        raise SiteError.of(link, "is not a symbolic link", "Remove it and run liteimg again") from error
    match = re.fullmatch(r"generations/([1-9][0-9]*)", target)
    if not match or not os.path.isdir(os.path.join(rootimgdir, target)):
        raise SiteError.of(link, f"leads to '{target}', which is no generation", "Remove it and run liteimg again")
    return Generation(rootimgdir, int(match.group(1)))


def standing(rootimgdir: str) -> list[Generation]:
    """Return the generations that a run may publish, oldest first: those that the site did not go back from."""
    gone = withdrawn(rootimgdir)
    return [generation for generation in generations(rootimgdir) if generation.number not in gone]


def latest(rootimgdir: str) -> Generation | None:
    """Return the newest generation that may be published, or is; else the plain rootimg; else None."""
    found = standing(rootimgdir)
    return found[-1] if found else current(rootimgdir)


def next_number(rootimgdir: str) -> int:
    """Return the number that the next generation of this directory gets."""
    return max([*(generation.number or 0 for generation in generations(rootimgdir)), *marked(rootimgdir)], default=0) + 1


def staging(rootimgdir: str, number: int) -> str:
    """Return the directory in which generation `number` is built before its rename."""
    return os.path.join(rootimgdir, "generations", f".{number}.staging")


def publish(generation: Generation, keys: Keys | None = None) -> None:
    """Make `generation` the current one by one rename, the last thing done: a run killed before it publishes again.

    One that was never published gets its manifest first, signed with the site's keys.
    """
    if generation.number is None:
        return
    seal(generation, keys)
    directory = generation.rootimgdir
    for name in os.listdir(directory):
        if name.startswith(LINK_IN_WORK):
            os.unlink(os.path.join(directory, name))
    plain = os.path.join(directory, ROOTIMG)
    wanted = f"current/{ROOTIMG}"
    if not os.path.lexists(plain) or (os.path.islink(plain) and os.readlink(plain) != wanted):
        write_link(plain, wanted)
    write_link(os.path.join(directory, "current"), f"generations/{generation.number}")
