#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: go back to an earlier generation of an image, or remove those that nobody needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generation
short_description: Go back to an earlier generation of an image, or remove those that nobody needs
version_added: 0.1.0
description:
  - Every build and every layout of an image that nodes may run from adds a generation. This removes those that nobody needs any more,
    and the copies of their kernel and initramfs in the TFTP directories.
  - A generation stays while it is the published one or newer than that, among the newest O(keep), while the boot file of a node
    names it, and while a node may run it.
  - A node tells the answer service once that it booted, and can't while that is away. So it may run every generation from the one
    that it told of last to the published one, and a node that never told of a boot may run all of them.
  - Nodes that run from a removed generation get stale file handles.
  - With O(current) it removes nothing, but makes that generation the one that is published, by one rename. Generations that were
    published after it are marked as withdrawn, in C(generations/N.withdrawn.json), with the reason.
  - M(diskless.statelite.genimage) and M(diskless.statelite.liteimg) never publish a withdrawn generation. While what is declared comes
    to a withdrawn one, they build nothing and warn; they build again when the declaration changes. O(current) with the number of a
    withdrawn generation, or V(newest), takes its mark back.
  - Nodes boot the generation that their boot files name; RV(nodeset_due) names those for which nodeset is to be run.
  - A withdrawn generation stays until the mark is taken back, or another one that was built since is there.
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
  current:
    description:
      - The generation to publish, by its number, V(previous) or V(newest).
      - V(previous) is the last whole one before the newest that was ever published, and not withdrawn; asked for again it is the same.
      - V(newest) is the newest that was published or is ready to be, withdrawn or not.
    type: str
  reason:
    description: Why the generations after O(current) are withdrawn, for those who read it later.
    type: str
  seal:
    description:
      - Numbers of generations that get a manifest for what they hold now, signed with the site's key, where theirs is missing or wrong.
      - For generations that were published before the site had a key, that a key signed which is accepted no longer, or that somebody
        changed on purpose. Every file of them is read. Without O(current), and nothing is removed.
    type: list
    elements: int
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

- name: The new image does not boot, go back
  diskless.statelite.generation:
    image: debian12-compute
    current: previous
    reason: The new kernel has no driver for the network cards of n20 to n40

- name: The third was built before the site had a key
  diskless.statelite.generation:
    image: debian12-compute
    seal: [3]

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
current:
  description: Number of the generation that is published now.
  returned: when O(current) is given
  type: int
  sample: 4
previous:
  description: Number of the one that was published before.
  returned: when O(current) is given
  type: int
  sample: 5
withdrawn:
  description: The generations that are not published again, each with its C(generation) and the C(reason).
  returned: when O(current) is given
  type: list
  elements: dict
  sample: [{"generation": 5, "reason": "The new kernel has no driver for the network cards of n20 to n40"}]
sealed:
  description: Numbers of the generations that get a manifest.
  returned: when O(seal) is given
  type: list
  elements: int
  sample: [3]
nodeset_due:
  description: Nodes whose boot files name another generation; run M(diskless.statelite.nodeset) for them.
  returned: when O(current) is given
  type: list
  elements: str
  sample: ["n1", "n2"]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.rollback import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
