#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service node serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_node_info
short_description: Tell what a service node serves
version_added: 0.1.0
description:
  - Runs on the management node. Names the nodes that a service node serves by the column C(noderes.servicenode), and the published
    generation of every image that they boot, by its number, its id and the digest of its manifest.
  - The role C(diskless.statelite.service_node) brings those to the service node, and M(diskless.statelite.generation_replica) takes them
    in there.
  - A plain image directory without generations was made elsewhere. It is left out with a warning.
options:
  server:
    description:
      - Names and addresses of the service node. It serves nodes whose C(servicenode) comes to one of them; names are looked up in the
        table C(hosts), and one that is not there counts for nothing as long as another one does.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
author:
  - diskless.statelite contributors (!UNKNOWN)
seealso:
  - module: diskless.statelite.generation_replica
  - module: diskless.statelite.nodeset
"""

EXAMPLES = r"""
- name: What the service node serves
  diskless.statelite.service_node_info:
    server: [sn1, 10.1.0.2]
  delegate_to: mn1
  register: served
"""

RETURN = r"""
addresses:
  description: The addresses by which the server was looked for.
  returned: success
  type: list
  elements: str
  sample: ["10.1.0.2"]
nodes:
  description: The nodes that it serves.
  returned: success
  type: list
  elements: str
  sample: ["n1", "n2"]
generations:
  description: The published generation of each image directory that its nodes boot from.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: An osimage with that directory.
      type: str
      sample: debian12-x86_64-compute
    rootimgdir:
      description: The image directory.
      type: str
      sample: /install/netboot/debian12/x86_64/compute
    generation:
      description: The number of the generation.
      type: int
      sample: 3
    id:
      description: The number with the count of its amendments.
      type: str
      sample: 3+1
    manifest:
      description: The SHA-256 of its manifest.
      type: str
installdir:
  description: Directory of images, as the table C(site) has it.
  returned: success
  type: str
  sample: /install
tftpdir:
  description: Directory of boot files, as the table C(site) has it.
  returned: success
  type: str
  sample: /tftpboot
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.served import SPEC, read_served
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    """Run the module."""
    run_info(SPEC, read_served)


if __name__ == "__main__":
    main()
