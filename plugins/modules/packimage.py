#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a root image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packimage
short_description: Pack the root image of an osimage into one file that nodes keep in memory
version_added: 0.1.0
description:
  - Packs the newest generation of a diskless image, when anything that decides what the file holds has changed since it was packed
    last. That is the tree itself, the exclude list, and the options below.
  - An image whose C(provmethod) is C(netboot), or C(statelite) with a root over NFS, is packed as a stateless node needs it, with every
    litefile entry back in its place. One whose C(rootfstype) is C(ramdisk) is packed as liteimg laid it out.
  - The tree is copied first, so that one that nodes run from is only read, and every format holds the same. The copy needs room beside
    the generation until the run ends.
  - The exclude list is C(linuximage.exlist), files with a pattern a line as B(find -path) has them, such as C(./usr/share/doc/*); C(+) in
    front takes paths in again. A directory in which something is kept is kept.
  - Owners, modes, times, hard links, device nodes, holes and extended attributes with capabilities are kept. A cpio has no place for
    extended attributes, so the files that have some are in a tar inside it, which the node unpacks last. What a format can't hold is
    refused by its path.
  - The file is the same, bit by bit, for the same tree, options and tools. No file in it is from after C(source_date_epoch).
  - In a generation the file is called C(rootimg-DIGEST.ENDING), and C(rootimg.ENDING) is a link to it. A file that a node's boot file names
    never changes. When the image is packed again the older file stays, and goes with its generation.
  - The generation of an image for C(netboot) is published when it is packed; one for C(statelite) is published by
    M(diskless.statelite.liteimg).
  - A run that fails or is killed leaves what was packed before as it was; the next one removes what it left.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  method:
    description:
      - C(cpio) and C(tar) are unpacked by the node into a file system in memory.
      - C(squashfs) and C(erofs) stay packed in the node's memory, with a volatile layer over them for what it writes.
    type: str
    choices: [cpio, tar, squashfs, erofs]
    default: cpio
  compress:
    description:
      - How it is compressed. For C(cpio) and C(tar) C(gzip), C(pigz), C(zstd) or C(xz); the default is C(pigz) where it is installed,
        else C(gzip).
      - For C(squashfs) C(zstd), the default, C(gzip), C(xz), C(lz4) or C(lzo). For C(erofs) C(lz4hc), the default, C(lz4) or C(none).
    type: str
    choices: [gzip, lz4, lz4hc, lzo, none, pigz, xz, zstd]
  level:
    description: Level of the compression, from 1; the tool's own when it is not set, but 6 for zstd in squashfs.
    type: int
  source_date_epoch:
    description:
      - Files changed after this moment, in seconds since 1970, have this time in the packed image.
      - When it is not set, the variable C(SOURCE_DATE_EPOCH) of the task's environment counts, else the time at which the generation
        was built.
    type: int
  force:
    description: Pack even though nothing has changed.
    type: bool
    default: false
  limit:
    description: Seconds that copying the tree, and packing it, may take each.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Pack the compute image for stateless nodes
  diskless.statelite.packimage:
    image: debian12-x86_64-netboot-compute

- name: Keep it packed in the memory of the nodes
  diskless.statelite.packimage:
    image: debian12-x86_64-netboot-compute
    method: squashfs
"""

RETURN = r"""
image:
  description: The osimage.
  returned: success
  type: str
  sample: debian12-x86_64-netboot-compute
kind:
  description: C(stateless), or C(ramdisk) for a statelite image whose root is kept in memory.
  returned: success
  type: str
  sample: stateless
generation:
  description: The generation that is packed; null for a plain root image that was made elsewhere.
  returned: success
  type: int
  sample: 3
file:
  description: The packed image; in check mode the one that was packed before, null when there is none.
  returned: success
  type: str
  sample: /install/netboot/debian12/x86_64/compute/generations/3/rootimg-5f2c9e0b7a11.cpio.gz
digest:
  description: Digest of the file.
  returned: success
  type: str
  sample: sha256:5f2c9e0b7a11
size:
  description: Bytes of the file.
  returned: success
  type: int
  sample: 123456789
method:
  description: How it is packed.
  returned: success
  type: str
  sample: cpio
compress:
  description: How it is compressed.
  returned: success
  type: str
  sample: pigz
files:
  description: How many names that are no directories it holds.
  returned: success
  type: int
  sample: 14000
unpacked:
  description: Bytes of all files in it.
  returned: success
  type: int
  sample: 345678901
excluded_files:
  description: How many names that are no directories the exclude list left out.
  returned: success
  type: int
  sample: 2100
excluded_bytes:
  description: Bytes of files that the exclude list left out.
  returned: success
  type: int
  sample: 45678901
with_attributes:
  description: How many files and directories in it have extended attributes.
  returned: success
  type: int
  sample: 2
superseded:
  description: Packed images of this generation that an older boot file may still name.
  returned: success
  type: list
  elements: str
  sample: []
changed_inputs:
  description: Why it was packed; empty when nothing was to do.
  returned: success
  type: list
  elements: str
  sample: ["the exclude list has changed"]
seconds:
  description: How long packing took; 0 when nothing was packed.
  returned: success
  type: float
  sample: 12.5
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.pack.packimage import SPEC, read_and_plan


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
