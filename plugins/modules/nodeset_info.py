#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a noderange boots next."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nodeset_info
short_description: Tell what nodes boot next
version_added: 0.1.0
description:
  - Reads the boot file of each node of a noderange and tells the state that it names, as C(nodeset NODERANGE stat) of the original does.
  - On demand it tells each word of the kernel line that M(diskless.statelite.nodeset) would write now, with the tables that it comes from.
  - Nothing is changed.
options:
  noderange:
    description:
      - The nodes, as C(n1-n9), C(n[001-100]), C(compute,-n3), C(rack1@compute), C(/regex/) or C(nodetype.os==debian12); see
        M(diskless.statelite.nodeset).
    type: str
    required: true
  words:
    description:
      - Whether the words of each node's kernel line are told. It then has to have an image that it can boot.
    type: bool
    default: false
  spool:
    description: Directory in which the answer service keeps reports, by which a boot for once is known to be over.
    type: path
    default: /var/spool/statelite/reports
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
author:
  - diskless.statelite contributors (!UNKNOWN)
seealso:
  - module: diskless.statelite.nodeset
"""

EXAMPLES = r"""
- name: Ask which table a kernel word of a node comes from
  diskless.statelite.nodeset_info:
    noderange: n1
    words: true
  register: told
"""

RETURN = r"""
nodes:
  description: Each node of the noderange by its name.
  returned: success
  type: dict
  contains:
    state:
      description: The state that the boot file names; for a node without one what its boot method makes of that, C(offline) or C(boot).
      type: str
      sample: statelite debian12-x86_64-compute
    method:
      description: The boot method.
      type: str
      sample: grub2
    file:
      description: The boot file.
      type: str
      sample: /tftpboot/boot/grub2/n1
    image:
      description: The image that the file names, null when it names none.
      type: str
    generation:
      description: The generation of the image, null when the file names none.
      type: int
    once:
      description: What the node boots once (C(once) of M(diskless.statelite.nodeset)), null when nothing is set.
      type: dict
      contains:
        state:
          description: The state, its image named.
          type: str
          sample: osimage=debian12-x86_64-rescue
        image:
          description: The image, null when it boots none.
          type: str
        until:
          description: When it expires, in UTC.
          type: str
          sample: "2026-11-22T15:00:00Z"
        then:
          description: What comes back after it, as the comment of that boot file.
          type: str
        over:
          description: Why it is over and about to be brought back, empty while it is not.
          type: str
          sample: it has booted
    words:
      description: The words of the kernel line that would be written now, with O(words).
      type: list
      elements: dict
      contains:
        word:
          description: The word.
          type: str
          sample: console=ttyS0,115200
        source:
          description: Where it comes from.
          type: str
          sample: nodehm.serialport of group compute
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.info import INFO_SPEC, read_info
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    """Run the module."""
    run_info(INFO_SPEC, read_info)


if __name__ == "__main__":
    main()
