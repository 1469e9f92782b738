# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One image as nodes boot it: kernel, initramfs, and the tree or the packed file of its root (behaviour.md e.3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ..apply.generations import INITRD, KERNEL, Generation, current
from ..errors import Fault, raise_faults
from ..nodes.images import DISKLESS, Image
from .kernel_args import Root
from .pairs import Pair

STATELESS = "initrd-stateless.gz"
"""The initramfs of a root that is fetched: of stateless images, and of statelite ones in memory."""

OLD_INITRD = "initrd.gz"
"""What the original falls back to in an image made elsewhere."""

LAYOUT = ".statelite.json"
PACKED = (
    *(f"rootimg.{kind}" for kind in ("cpio.gz", "cpio.xz", "tar.gz", "tar.xz", "cpio.zst", "tar.zst", "sfs", "erofs")),
    "rootimg.gz",
)
"""Packed roots by preference; the original's first, in its order."""

PACKED_STATELITE = "rootimg-statelite.gz"
METAINFO = ".metainfo"
STUB = b"PE\0\0\x64\x86"
"""By what the original knows in the first 512 bytes that UEFI can start a kernel itself."""


@dataclass(frozen=True)
class BootSet:
    """One image as nodes of this run boot it."""

    root: Root
    pair: Pair
    initrd: str
    stub: bool

    @property
    def image(self) -> Image:
        """The image."""
        return self.root.image

    @property
    def generation(self) -> Generation:
        """Its generation."""
        return self.root.generation

    @property
    def state(self) -> str:
        """The comment of the boot file."""
        return f"{self.image.provmethod} {self.image.state_line}"


def _declared_faults(image: Image, provmethod: str | None) -> list[Fault]:
    """Return what is wrong with the image's row for a state that wants `provmethod`."""
    where = f"osimage {image.name}"
    faults = [
        Fault(where, f"{column} is not set", f"Set {column} of the osimage")
        for column in ("osvers", "osarch", "profile")
        if not image.column(column)
    ]
    method = image.provmethod
    if method not in DISKLESS:
        written = f"provmethod is '{method}'" if method else "provmethod is not set"
        faults.append(Fault(where, written, "Set provmethod to statelite or netboot; other methods are not in this release"))
    elif provmethod not in (None, method):
        faults.append(Fault(where, f"provmethod is '{method}', not '{provmethod}'", f"Use the state {method}, or osimage"))
    kind = image.column("rootfstype")
    if method == "statelite" and kind not in ("", "nfs", "ramdisk"):
        faults.append(Fault(where, f"'{kind}' is no rootfstype", "Set rootfstype to nfs or ramdisk, or leave it unset"))
    return faults


def _packed(generation: Generation, image: Image, faults: list[Fault]) -> str | None:
    """Return the file that nodes fetch their root from, None when it is not there or the root is on NFS."""
    where = f"osimage {image.name}"
    if image.provmethod == "netboot":
        found = next((name for name in PACKED if os.path.isfile(os.path.join(generation.path, name))), None)
        if found is None:
            faults.append(Fault(where, f"there is no packed root in {generation.path}", "Run packimage for this image"))
        return found
    if image.column("rootfstype") != "ramdisk":
        return None
    path = os.path.join(generation.path, PACKED_STATELITE)
    if not os.path.isfile(path):
        faults.append(Fault(where, f"{path} is not there", "Run packimage for this image, which packs it with its layout"))
    return PACKED_STATELITE + (METAINFO if os.path.isfile(path + METAINFO) else "")


def boot_set(image: Image, provmethod: str | None, warn: Callable[[str], None]) -> BootSet:
    """Return what nodes fetch of `image`; raises SiteError that lists everything that is missing."""
    where = f"osimage {image.name}"
    raise_faults(_declared_faults(image, provmethod))
    faults: list[Fault] = []
    generation = current(image.rootimgdir) or Generation(image.rootimgdir, None)
    packed = _packed(generation, image, faults)
    in_memory = image.provmethod == "netboot" or image.column("rootfstype") == "ramdisk"
    initrd = STATELESS if in_memory else INITRD
    sources = {name: os.path.join(generation.path, name) for name in (KERNEL, initrd)}
    if generation.number is None and not os.path.exists(sources[initrd]):
        older = os.path.join(generation.path, OLD_INITRD)
        sources[initrd] = older if os.path.exists(older) else sources[initrd]
    absent = [source for source in sources.values() if not os.path.isfile(source)]
    faults += [Fault(where, f"{source} is not there", "Run genimage for this image") for source in absent]
    if image.provmethod == "statelite" and not in_memory:
        if generation.number is not None and not os.path.isfile(os.path.join(generation.rootimg, LAYOUT)):
            faults.append(Fault(where, f"generation {generation.number} is not laid out for litefile", "Run liteimg for this image"))
        if generation.number is None and not os.path.isdir(generation.rootimg):
            warn(f"{where}: {generation.rootimg} is not on this server; nodes can boot only if their NFS server has it")
    raise_faults(faults)
    below = f"xcat/osimage/{image.name}"
    pair = Pair(below if generation.number is None else f"{below}/{generation.number}", sources)
    return BootSet(Root(image, generation, packed), pair, initrd, _has_stub(sources[KERNEL]) and not image.osvers.startswith("sles11"))


def _has_stub(kernel: str) -> bool:
    with open(kernel, "rb") as stream:
        return STUB in stream.read(512)
