#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: remove generations of an image that nobody needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generation
short_description: Remove generations of an image that nobody needs
version_added: 0.1.0
description:
  - Every build and every layout of an image that nodes may run from adds a generation. This removes those that nobody needs any more,
    and the copies of their kernel and initramfs in the TFTP directories.
  - A generation stays while it is the published one or newer than that, among the newest O(keep), while the boot file of a node
    names it, and while a node may run it.
  - A node tells the answer service once that it booted, and can't while that is away. So it may run every generation from the one
    that it told of last to the published one, and a node that never told of a boot may run all of them.
  - Nodes that run from a removed generation get stale file handles.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage. Images with the same C(rootimgdir) have the same generations, and nodes of all of them count.
    type: str
    required: true
  keep:
    description: How many of the newest generations stay in any case, at least 1.
    type: int
    default: 2
  dead:
    description:
      - Noderange of nodes that run nothing, such as broken ones and new ones that never booted. What they may run is not counted.
      - The generation that a boot file names stays also for them.
    type: str
  spool:
    description: Directory in which the answer service keeps reports.
    type: path
    default: /var/spool/statelite/reports
seealso:
  - module: diskless.statelite.generation_info
  - module: diskless.statelite.liteimg
  - module: diskless.statelite.nodeset
"""

EXAMPLES = r"""
- name: Keep the last three, and what nodes need
  diskless.statelite.generation:
    image: debian12-compute
    keep: 3

- name: Two nodes are broken, one has never booted
  diskless.statelite.generation:
    image: debian12-compute
    dead: n17,n41,n99
"""

RETURN = r"""
removed:
  description: Numbers of the generations that go.
  returned: success
  type: list
  elements: int
  sample: [1, 2]
kept:
  description: The others, each with its C(generation) and the C(reasons) why it stays.
  returned: success
  type: list
  elements: dict
  sample: [{"generation": 3, "reasons": ["published", "may be run by n1, n2"]}]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.retention import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
