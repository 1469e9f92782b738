#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: write a generation of an image into one signed file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_export
short_description: Write a generation of an image into one signed file
version_added: 0.1.0
description:
  - Writes a bundle, a zstd-compressed tar archive with the root tree, kernel, initramfs, packed roots, build record and manifest of one
    published generation, the rows of osimage, linuximage, litefile and litetree that hold for it, and its list files.
  - Owners, modes, extended attributes, capabilities, ACLs, hard links, devices and holes are kept.
  - The bundle is signed with the site's key. The generation is read whole and compared with its signed manifest before.
  - A bundle holds what the image holds, hashes of passwords too. It is readable by its owner alone.
  - Nothing is written when the bundle that is there holds the same.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  dest:
    description: The file to write, such as C(/root/compute.tar.zst); its directory has to exist.
    type: path
    required: true
  generation:
    description: Number of the generation; by default the one that is published.
    type: int
  level:
    description: How hard zstd tries, 1 to 19.
    type: int
    default: 3
  limit:
    description: Seconds that the writing may take.
    type: int
    default: 7200
seealso:
  - module: diskless.statelite.image_import
  - module: diskless.statelite.image_key
"""

EXAMPLES = r"""
- name: Keep the compute image for the site in London
  diskless.statelite.image_export:
    image: debian12-compute
    dest: /root/debian12-compute.tar.zst
"""

RETURN = r"""
dest:
  description: The bundle.
  returned: success
  type: str
  sample: /root/debian12-compute.tar.zst
image:
  description: Name of the image.
  returned: success
  type: str
  sample: debian12-compute
generation:
  description: Number of the generation.
  returned: success
  type: int
  sample: 3
id:
  description: Its number, with the count of its amendments.
  returned: success
  type: str
  sample: "3+1"
key:
  description: Short name of the key that signs the bundle.
  returned: success
  type: str
  sample: 9f86d081884c7d65
packages:
  description: How many packages the image holds.
  returned: success
  type: int
  sample: 228
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.exported import SPEC, plan_export
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, plan_export)


if __name__ == "__main__":
    main()
