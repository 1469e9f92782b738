# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One image as nodes boot it: kernel, initramfs, and the tree or the packed file of its root (behaviour.md e.3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ..apply.generations import IN_MEMORY, INITRD, KERNEL, Generation, current
from ..apply.manifest import verify
from ..apply.packs import RAMDISK, STATELESS, packs
from ..apply.signing import Keys
from ..errors import Fault, raise_faults
from ..nodes.images import DISKLESS, Image
from .kernel_args import Root
from .pairs import Pair

OLD_INITRD = "initrd.gz"
"""What the original falls back to in an image made elsewhere."""

LAYOUT = ".statelite.json"
PACKED = (
    *(f"rootimg.{kind}" for kind in ("cpio.gz", "cpio.xz", "tar.gz", "tar.xz", "cpio.zst", "tar.zst", "sfs", "erofs")),
    "rootimg.gz",
)
"""Packed roots of an image made elsewhere by preference; the original's first, in its order."""

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
        return f"{'statelite' if self.root.statelite else 'netboot'} {self.image.state_line}"


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
    elif provmethod not in (None, method) and not _serves_both(image, provmethod):
        faults.append(Fault(where, f"provmethod is '{method}', not '{provmethod}'", f"Use the state {method}, or osimage"))
    kind = image.column("rootfstype")
    if method == "statelite" and kind not in ("", "nfs", "ramdisk"):
        faults.append(Fault(where, f"'{kind}' is no rootfstype", "Set rootfstype to nfs or ramdisk, or leave it unset"))
    return faults


def _serves_both(image: Image, provmethod: str | None) -> bool:
    """Return whether nodes may boot a statelite image stateless (the document, 2.8): it is packed with its layout taken back then."""
    return provmethod == "netboot" and image.provmethod == "statelite" and image.column("rootfstype") != "ramdisk"


def _root(generation: Generation, image: Image, stateless: bool, faults: list[Fault]) -> Root:
    """Return what nodes boot into; the fault is noted when what they would fetch is not there."""
    if not stateless and image.column("rootfstype") != "ramdisk":
        return Root(image, generation)
    if generation.number is not None:
        pack = packs(generation).get(STATELESS if stateless else RAMDISK)
        if pack:
            return Root(image, generation, os.path.basename(pack.file), pack.digest, stateless)
        found = None
    else:
        names = PACKED if stateless else (PACKED_STATELITE,)
        found = next((name for name in names if os.path.isfile(os.path.join(generation.path, name))), None)
    if found is None:
        what = f"there is no packed root{'' if stateless else ' of its layout'} in {generation.path}"
        faults.append(Fault(f"osimage {image.name}", what, "Run packimage for this image"))
        return Root(image, generation, stateless=stateless)
    metainfo = not stateless and os.path.isfile(os.path.join(generation.path, found + METAINFO))
    return Root(image, generation, found + METAINFO if metainfo else found, stateless=stateless)


def boot_set(image: Image, provmethod: str | None, warn: Callable[[str], None], keys: Keys | None = None) -> BootSet:
    """Return what nodes fetch of `image`; raises SiteError that lists everything that is missing.

    With the site's `keys` a generation that is not signed, or not as it was signed, is refused as well.
    """
    where = f"osimage {image.name}"
    raise_faults(_declared_faults(image, provmethod))
    faults: list[Fault] = []
    generation = current(image.rootimgdir) or Generation(image.rootimgdir, None)
    stateless = "netboot" in (image.provmethod, provmethod)
    root = _root(generation, image, stateless, faults)._replace(partitioned=_partitions(image, warn))
    in_memory = stateless or image.column("rootfstype") == "ramdisk"
    initrd = IN_MEMORY if in_memory else INITRD
    sources = {name: os.path.join(generation.path, name) for name in (KERNEL, initrd)}
    if generation.number is None and not os.path.exists(sources[initrd]):
        older = os.path.join(generation.path, OLD_INITRD)
        sources[initrd] = older if os.path.exists(older) else sources[initrd]
    absent = [source for source in sources.values() if not os.path.isfile(source)]
    faults += [Fault(where, f"{source} is not there", "Run genimage for this image") for source in absent]
    if not in_memory:
        if generation.number is not None and not os.path.isfile(os.path.join(generation.rootimg, LAYOUT)):
            faults.append(Fault(where, f"generation {generation.number} is not laid out for litefile", "Run liteimg for this image"))
        if generation.number is None and not os.path.isdir(generation.rootimg):
            warn(f"{where}: {generation.rootimg} is not on this server; nodes can boot only if their NFS server has it")
    raise_faults(faults)
    verify(generation, keys)
    below = f"xcat/osimage/{image.name}"
    pair = Pair(below if generation.number is None else f"{below}/{generation.number}", sources)
    return BootSet(root, pair, initrd, _has_stub(sources[KERNEL]) and not image.osvers.startswith("sles11"))


def _partitions(image: Image, warn: Callable[[str], None]) -> bool:
    """Return whether the file that linuximage.partitionfile names is in effect: a script (`s:FILE`), or a file that says enable=yes."""
    written = image.column("partitionfile")
    kind, colon, path = written.partition(":")
    path = path if colon and kind == "s" else written
    if not path:
        return False
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return path != written or "enable=yes" in stream.read()
    except OSError as error:
        warn(f"osimage {image.name}: its partitionfile {path} cannot be read ({error.strerror}), so no disks are divided by it")
        return False


def _has_stub(kernel: str) -> bool:
    with open(kernel, "rb") as stream:
        return STUB in stream.read(512)
