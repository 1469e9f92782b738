#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a noderange boots next."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nodeset
short_description: Set what nodes boot next
version_added: 0.1.0
description:
  - Writes the boot file of each node of a noderange, the links by which the boot loader finds it, and the image's kernel and
    initramfs, as a pair, into the TFTP directory.
  - Everything is checked first. A node or image with a fault fails the whole task, with every fault named, and nothing is written.
  - Only files that differ are written. Boot files of nodes that the table C(nodelist) no longer has are removed, and so is the old
    one of a node of the noderange that has another C(noderes.tftpdir) now.
  - Only what this site wrote is removed. C(boot-files.json) beside the site database records it; a TFTP directory may be shared.
options:
  noderange:
    description:
      - The nodes, as C(n1-n9), C(n[001-100]), C(compute,-n3), C(rack1@compute), C(/regex/), C(^file) or C(nodetype.os==debian12).
    type: str
    required: true
  state:
    description:
      - V(statelite) boots each node from its own image, as the table C(nodetype) names it; V(statelite=IMAGE) and V(osimage=IMAGE) from
        the image given, and write that into C(nodetype) after the files. V(osimage) is another word for V(statelite).
      - V(offline) lets the nodes boot from their own disk.
    type: str
    default: statelite
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
author:
  - diskless.statelite contributors (!UNKNOWN)
seealso:
  - module: diskless.statelite.genimage
  - module: diskless.statelite.liteimg
"""

EXAMPLES = r"""
- name: Boot every compute node from the image that its tables name
  diskless.statelite.nodeset:
    noderange: compute
    state: statelite

- name: Move two nodes to another image
  diskless.statelite.nodeset:
    noderange: n1,n2
    state: osimage=debian12-x86_64-test
"""

RETURN = r"""
nodes:
  description: Each node of the noderange by its name.
  returned: success
  type: dict
  contains:
    state:
      description: The comment of the boot file.
      type: str
      sample: statelite debian12-x86_64-compute
    image:
      description: The image, unless the node is offline.
      type: str
    generation:
      description: The generation of the image, null for an image that was made elsewhere.
      type: int
    file:
      description: The boot file.
      type: str
      sample: /tftpboot/pxelinux.cfg/n1
removed:
  description: Boot files and links of nodes that are no more, or have another TFTP directory or address.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(
        {
            "noderange": {"type": "str", "required": True},
            "state": {"type": "str", "default": "statelite"},
            "site": {"type": "str", "default": "/etc/statelite/site.db"},
        },
        read_and_plan,
    )


if __name__ == "__main__":
    main()
