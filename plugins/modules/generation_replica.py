#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take generations in that the management node sent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generation_replica
short_description: Take generations in that the management node sent
version_added: 0.1.0
description:
  - Runs on a service node. Compares what the management node offers with what is here; RV(due) tells what has to be sent, and where to.
  - In check mode that is all. Otherwise what was sent is compared with its manifest path by path, and with the site's signature where
    the site has a key; it comes to its place by one rename and is published by another one.
  - What has not arrived whole stays where it is and is a fault. The generations that are here are not touched, and the next transfer
    goes on with it.
  - A generation that was amended since it came replaces the one that is here. Nodes that run go on with the old tree, which keeps a
    name of its own for as long as the generation is here, and get the new one at their next boot.
options:
  generations:
    description: RV(diskless.statelite.service_node_info#module:generations) of the management node.
    type: list
    elements: dict
    required: true
    suboptions:
      image:
        description: An osimage with that directory.
        type: str
        required: true
      rootimgdir:
        description: The image directory, here and there.
        type: path
        required: true
      generation:
        description: The number of the generation.
        type: int
        required: true
      id:
        description: The number with the count of its amendments.
        type: str
        required: true
      manifest:
        description: The SHA-256 of its manifest.
        type: str
        required: true
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
author:
  - diskless.statelite contributors (!UNKNOWN)
seealso:
  - module: diskless.statelite.service_node_info
  - module: diskless.statelite.generation
"""

EXAMPLES = r"""
- name: What has to be sent here
  diskless.statelite.generation_replica:
    generations: "{{ served.generations }}"
  check_mode: true
  register: replica

- name: Take in what was sent
  diskless.statelite.generation_replica:
    generations: "{{ served.generations }}"
"""

RETURN = r"""
due:
  description: Every generation that has to be sent, or had to be when the task began.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: The osimage.
      type: str
      sample: debian12-x86_64-compute
    source:
      description: The generation on the management node.
      type: str
      sample: /install/netboot/debian12/x86_64/compute/generations/3
    target:
      description: The directory here that it is sent into.
      type: str
      sample: /install/netboot/debian12/x86_64/compute/generations/.3.0d4b1f0c9a7e.arriving
    like:
      description: The generation here that is most like it, whose files the new one links to; empty when there is none.
      type: str
      sample: /install/netboot/debian12/x86_64/compute/generations/2
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.replica import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
