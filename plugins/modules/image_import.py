#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: take a generation of an image out of a signed file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_import
short_description: Take a generation of an image out of a signed file
version_added: 0.1.0
description:
  - Takes in a bundle that M(diskless.statelite.image_export) wrote, here or at another site, as a new generation of an image.
  - The signature has to be by this site's key, or by one that M(diskless.statelite.image_key) was told to trust. It is checked before
    anything is written, and every file and path against the signed digests before the generation appears, by one rename.
  - Nothing that the signed list of the tree does not have is made, and nothing outside the new generation but the image's rows, and its
    list files below C(custom/imported) in the site's C(installdir). The columns of linuximage name the lists there.
  - The rows of litefile and litetree that held for the image become rows of the image itself.
  - Where the image lies is for this site to say, by its rows or by default, and not for the bundle.
  - The image has the certificate authority and the keys of the site that built it. At a site with other ones let genimage build anew.
  - A bundle that was taken in already is not taken in again.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  src:
    description: The bundle, on the managed machine.
    type: path
    required: true
  image:
    description: Name that the image has here; by default the one that it had where it was exported.
    type: str
  rows:
    description: Whether the rows and lists of the bundle become those of the image here. Without them the image has to be defined.
    type: bool
    default: true
  publish:
    description:
      - Whether the generation is published, sealed with this site's key. Else liteimg publishes it, or packimage.
      - Run again, it publishes nothing when a newer generation is published by then, or the site went back from this one.
    type: bool
    default: false
seealso:
  - module: diskless.statelite.image_export
  - module: diskless.statelite.image_key
  - module: diskless.statelite.generation
"""

EXAMPLES = r"""
- name: Take the image of the site in Tokyo in, under another name
  diskless.statelite.image_import:
    src: /root/debian12-compute.tar.zst
    image: tokyo-compute
    publish: true
"""

RETURN = r"""
image:
  description: Name of the image here.
  returned: success
  type: str
  sample: tokyo-compute
generation:
  description: Number of the generation that the bundle is here.
  returned: success
  type: int
  sample: 1
rootimg:
  description: Directory of its root image.
  returned: success
  type: str
  sample: /install/netboot/debian12/x86_64/compute/generations/1/rootimg
origin:
  description: The C(image) and C(id) that it had where it was exported, and the short name of the C(key) that signed it.
  returned: success
  type: dict
  sample: {"image": "debian12-compute", "id": "3", "key": "9f86d081884c7d65"}
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.imported import SPEC, plan_import
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, plan_import)


if __name__ == "__main__":
    main()
