#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the program that builds images on another host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_builder
short_description: Write the self-contained program that builds images on another host
version_added: 0.1.0
description:
  - Writes one file C(genimage), which builds images with nothing but Python (3.9 or newer) and the tools of the image's distribution,
    and one file C(IMAGE.json) for each image, which describes it. Neither Ansible nor the collection nor the site's database
    is needed where they are used.
  - The description holds the image's rows, its lists, repolists, postinstall scripts and keys, the node agent, the files that go into every
    image, and the credentials. With O(root_hash_file) it holds root's hash too, so only root can read it.
  - Directories of packages are not in it. The host that builds has them at the same place, mounted or copied; so does it have whatever
    a postinstall script reads.
  - The command to run there is what M(diskless.statelite.genimage) returns with C(dryrun); the role C(diskless.statelite.build_host)
    does all of it.
  - The program puts lists, scripts and keys in their places for the time of a build where they are missing, and refuses to build
    where another file is in the place of one.
author:
  - diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.image_data
  - diskless.statelite.site
options:
  images:
    description: Names of the osimages to describe.
    type: list
    elements: str
    required: true
  dest:
    description: Directory that holds the program and the descriptions.
    type: path
    default: /usr/lib/statelite/netboot
  other_release:
    description: Let a host build that runs another major release of the image's own operating system.
    type: bool
    default: false
  limit:
    description: Seconds that one tool of a build may take.
    type: int
    default: 7200
seealso:
  - module: diskless.statelite.genimage
"""

EXAMPLES = r"""
- name: Write the builder and what describes the compute image
  diskless.statelite.image_builder:
    images: [rocky9.4-ppc64le-compute]
"""

RETURN = r"""
dest:
  description: The directory.
  returned: success
  type: str
  sample: /usr/lib/statelite/netboot
program:
  description: The program.
  returned: success
  type: str
  sample: /usr/lib/statelite/netboot/genimage
descriptions:
  description: The files that describe the images.
  returned: success
  type: list
  elements: str
  sample: [/usr/lib/statelite/netboot/rocky9.4-ppc64le-compute.json]
digests:
  description: SHA-256 of each file by its name.
  returned: success
  type: dict
  sample: {"genimage": "sha256:8e4c..."}
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.builder_file import SPEC, plan_builder
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, plan_builder)


if __name__ == "__main__":
    main()
