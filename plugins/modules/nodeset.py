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
  - Writes the boot file of each node of a noderange for the boot method that C(noderes.netboot) names, the further names by which the
    boot loader finds it, and the image's kernel and initramfs, as a pair, into the TFTP directory.
  - Everything is checked first. A node or image with a fault fails the whole task, with every fault named, and nothing is written.
  - Only files that differ are written. Boot files of nodes that the table C(nodelist) no longer has are removed, and so are the old
    ones of a node of the noderange that has another C(noderes.tftpdir), boot method, card or address now.
  - Only what this site wrote is removed. C(boot-files.json) beside the site database records it; a TFTP directory may be shared.
  - The methods are C(pxe) (pxelinux), C(xnba) (iPXE), C(grub2), C(grub2-tftp), C(grub2-http), C(petitboot) and C(yaboot).
options:
  noderange:
    description:
      - The nodes, as C(n1-n9), C(n[001-100]), C(compute,-n3), C(rack1@compute), C(/regex/), C(^file) or C(nodetype.os==debian12),
        or as a pattern of Ansible, C(compute:&rack1:!n3). The document C(docs/noderange.md) tells all of it.
    type: str
    required: true
  state:
    description:
      - V(osimage) boots each node from its own image, as the table C(nodetype) names it; V(osimage=IMAGE) from the image given, and
        writes that into C(nodetype) after the files.
      - V(statelite) and V(statelite=IMAGE) do the same, and refuse an image whose C(provmethod) is C(netboot).
      - V(netboot) and V(netboot=IMAGE) boot the image stateless, also one whose C(provmethod) is C(statelite), when it is packed for that.
      - V(boot) lets the nodes boot from their own disk. V(offline) does so where the boot loader wants a file, and removes it elsewhere.
      - V(shell) boots the original's Genesis where its kernel and initramfs are in the TFTP directory (C(xcat/genesis.kernel.ARCH)),
        else the node's own image with the kernel word C(shell), which stops at a shell on the console three times before it goes on.
    type: str
    default: osimage
  noupdateinitrd:
    description:
      - Whether kernel and initramfs in the TFTP directory have to be there already. When they are missing or not those of the image, the
        task fails.
    type: bool
    default: false
  own:
    description:
      - Whether files are written only of nodes that this server serves. A node is served by each server that C(noderes.servicenode)
        names, by their addresses; one without C(servicenode) by the management node. Files that this server wrote of another one's nodes
        are removed.
      - The table C(nodetype) is written for all nodes of the noderange. On a service node, where O(site) is a copy of the tables, a
        state with an image is refused that the table does not name yet.
    type: bool
    default: false
  once:
    description:
      - With V(true) the nodes boot O(state) once. What they booted before comes back when a node has told the answer service of that boot,
        whether it went well or not, or when O(expires) is over. The tables are not changed.
      - The unit C(statelite-boot-once.service) of the role C(diskless.statelite.answer_service) brings it back; so does the next run
        of this module for the node.
      - A node that has the same state for once already keeps it, and the time until it expires; another state takes its place.
      - When omitted, nodes that have something to boot once keep that, with a warning, and O(state) is what they boot after it.
        V(false) ends it first.
      - V(boot), and V(shell) by Genesis, are ended by time alone, as such a boot tells nothing. V(offline) is refused.
    type: bool
  expires:
    description:
      - How long a boot for once is waited for, as V(30m), V(2h), V(1d) or V(1w). An hour when omitted.
    type: str
  spool:
    description: Directory in which the answer service keeps reports.
    type: path
    default: /var/spool/statelite/reports
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
author:
  - diskless.statelite contributors (!UNKNOWN)
seealso:
  - module: diskless.statelite.nodeset_info
  - module: diskless.statelite.genimage
  - module: diskless.statelite.liteimg
"""

EXAMPLES = r"""
- name: Boot every compute node from the image that its tables name
  diskless.statelite.nodeset:
    noderange: compute

- name: Move two nodes to another image
  diskless.statelite.nodeset:
    noderange: n1,n2
    state: osimage=debian12-x86_64-test

- name: Have two nodes boot the rescue image once, and then again what they boot now
  diskless.statelite.nodeset:
    noderange: n1,n2
    state: osimage=debian12-x86_64-rescue
    once: true
    expires: 30m

- name: Let a node boot from its own disk
  diskless.statelite.nodeset:
    noderange: n3
    state: boot
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
    method:
      description: The boot method.
      type: str
      sample: pxe
    image:
      description: The image, if the node boots one.
      type: str
    generation:
      description: The generation of the image, null for an image that was made elsewhere.
      type: int
    file:
      description: The boot file.
      type: str
      sample: /tftpboot/pxelinux.cfg/n1
    once:
      description: What the node boots once, if it does; the image is named.
      type: str
      sample: osimage=debian12-x86_64-rescue
    then:
      description: What comes back after that, as the comment of that boot file.
      type: str
      sample: statelite debian12-x86_64-compute
    words:
      description: The words of the kernel line, each with the tables that it comes from; for up to 32 nodes.
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
removed:
  description: Boot files and further names of them, of nodes that are no more, or have another TFTP directory, method, card or address.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
