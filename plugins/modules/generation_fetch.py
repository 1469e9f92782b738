#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take in a generation that another host has built."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generation_fetch
short_description: Take in a generation of an image that another host has built
version_added: 0.1.0
description:
  - Fetches a generation by ssh from the host on which the program of M(diskless.statelite.image_builder) has built it.
  - It arrives in a staging directory of the image, is compared path by path with what the builder said it made, and appears by one rename
    under the next number. Cut off anywhere before, nothing is to be seen of it.
  - The host is known by the public keys in O(server_keys) and by nothing else.
  - A generation that was built from another definition than the present one is refused.
  - As after M(diskless.statelite.genimage), it is laid out and published by M(diskless.statelite.liteimg), or packed.
  - The role C(diskless.statelite.build_host) does the whole.
author:
  - diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.image_data
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  host:
    description: Name or address of the build host, as the managed machine reaches it.
    type: str
    required: true
  user:
    description: The user there, who must be root or let that program run as root.
    type: str
    default: root
  port:
    description: The port of its ssh server.
    type: int
    default: 22
  identity:
    description: The private key of the managed machine that lets in there.
    type: path
    default: /etc/statelite/ssh/id_ed25519
  server_keys:
    description: Public keys of the build host, as its files C(/etc/ssh/ssh_host_*_key.pub) hold them.
    type: list
    elements: str
    required: true
  python:
    description: The Python there, 3.9 or newer.
    type: str
    default: python3
  program:
    description: The program of M(diskless.statelite.image_builder) there.
    type: str
    default: /usr/lib/statelite/netboot/genimage
  source:
    description: The image directory there, in which the generation was built.
    type: str
    required: true
  contents:
    description: What the program there said that it made, C(contents) of its report.
    type: dict
    required: true
    suboptions:
      number:
        description: Number of the generation there.
        type: int
        required: true
      tree:
        description: SHA-256 of the list of its root tree.
        type: str
        required: true
      files:
        description: SHA-256 of each of its plain files by name.
        type: dict
        required: true
  limit:
    description: Seconds that the transfer may take.
    type: int
    default: 7200
seealso:
  - module: diskless.statelite.image_builder
  - module: diskless.statelite.genimage
"""

EXAMPLES = r"""
- name: Take in what the build host has made
  diskless.statelite.generation_fetch:
    image: rocky9.4-ppc64le-compute
    host: power1.example.com
    server_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q"]
    source: /var/lib/statelite/build/rocky9.4-ppc64le-compute
    contents: "{{ report.contents }}"
"""

RETURN = r"""
image:
  description: Name of the image.
  returned: success
  type: str
  sample: rocky9.4-ppc64le-compute
provmethod:
  description: How nodes run the image; one for C(statelite) is laid out and published by liteimg.
  returned: success
  type: str
  sample: statelite
generation:
  description: Number of the newest generation here; in check mode of the one before, none when there is none yet.
  returned: success
  type: int
  sample: 3
rootimg:
  description: Directory of the root image of that generation.
  returned: success
  type: str
  sample: /install/netboot/rocky9.4/ppc64le/compute/generations/3/rootimg
kernel_version:
  description: Version of the kernel of that generation.
  returned: success
  type: str
  sample: 5.14.0-427.el9.ppc64le
built_on:
  description: The host that built it, its number there, and the digest of the list of its root tree; empty for one built here.
  returned: success
  type: dict
  sample: {"host": "power1.example.com", "generation": 1, "tree": "8e4c..."}
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.fetch import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
