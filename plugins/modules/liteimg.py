#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay a root image out for what nodes may write of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: liteimg
short_description: Lay a root image out for what nodes may write of it
version_added: 0.1.0
description:
  - Brings the root image of an osimage into the form that its rows of the table litefile ask for, and publishes it.
  - An entry with the link attachment moves to C(/.default) and leaves two levels of symbolic links behind; one with the bind
    attachment stays and is found under C(/.default) by a link. What the image lacks is made empty.
  - Everything is planned from the image as it was before liteimg first ran on it, so an edited table gives the tree that a first
    run would give, and nothing of the image is ever lost.
  - The newest generation is laid out where it is as long as it is not published, and then published by one rename. A published
    one that needs changes stays as it is for the nodes that run from it; its changed copy becomes the next generation.
  - A path that leads to C(/run), C(/proc), C(/sys) or C(/dev) inside the image, as C(/var/run/) does, is left as it is.
  - A run that was killed is finished by the next one.
  - The diff has a line for each path, which begins with what happens to it. C(link) leads to what a node writes, C(default) is the content
    that was moved to C(/.default), C(mount point) leads from there to the content of a bind entry, C(create) and C(remove) are of things
    that the image did not have, C(restore) gives a path back what it held. Below the changes, lines with C(#) tell of rows that are
    shadowed by another one, match nothing, or need nothing. Rows that can't be carried out are refused with the name of the rule.
  - An image that nobody changed since is known again by the times of its directories, so that the next run takes milliseconds;
    not on file systems that tell times in whole seconds, such as ext4 with inodes of 128 bytes.
    M(diskless.statelite.liteimg_info) never relies on that.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  state:
    description:
      - V(present) lays the image out.
      - V(absent) gives back the tree as it was, with names, modes, owners and times. It publishes nothing, as nodes can't boot such a tree.
      - What V(absent) gives back of a published generation is the next generation; nodes go on booting the published one. The next
        run with V(present) lays it out and publishes it. O(in_use=true) is refused there.
      - A plain tree, not exported or with O(in_use=true), is given back where it is; nodes can't boot it until it is laid out again.
    type: str
    choices: [present, absent]
    default: present
  in_use:
    description:
      - Change the tree in place even if nodes may be running from it. They get links to what they don't have until they boot again.
      - The result names the nodes.
    type: bool
    default: false
  rootimgdir:
    description: Directory of the image, when it is not the one of the osimage.
    type: path
seealso:
  - module: diskless.statelite.liteimg_info
  - module: diskless.statelite.litefile
  - module: diskless.statelite.genimage
"""

EXAMPLES = r"""
- name: Lay the compute image out
  diskless.statelite.liteimg:
    image: debian12-compute

- name: See what the edited table would change, path by path
  diskless.statelite.liteimg:
    image: debian12-compute
  check_mode: true
  diff: true

- name: Give the tree back as it was built
  diskless.statelite.liteimg:
    image: debian12-compute
    state: absent
"""

RETURN = r"""
rootimg:
  description: The root tree that was laid out.
  returned: success
  type: str
  sample: /install/netboot/debian12/x86_64/compute/generations/2/rootimg
generation:
  description: The generation it belongs to, null for a tree that was made elsewhere.
  returned: success
  type: int
  sample: 2
published:
  description: Whether nodes get this tree at their next boot.
  returned: success
  type: bool
entries:
  description: How many entries the tree is laid out for.
  returned: success
  type: int
  sample: 42
counts:
  description: Entries by attachment and storage.
  returned: success
  type: dict
  sample: {"link,tmpfs": 40, "bind,persistent": 2}
satisfied:
  description: Paths of the table that need nothing in the image, with the place of the node's own that they lead to.
  returned: success
  type: dict
  sample: {"/var/run": "/run"}
missing:
  description: Entries that match nothing in the image and are made empty.
  returned: success
  type: list
  elements: str
shadowed:
  description: Rows for the image that another row of a higher rank takes the place of (image before group before C(ALL)).
  returned: success
  type: list
  elements: dict
  contains:
    row:
      description: The row that does not count, by C(image), C(file) and C(options).
      type: dict
    by:
      description: The row that counts.
      type: dict
nodes_affected:
  description: With O(in_use=true), the nodes whose image was changed under them.
  returned: success
  type: list
  elements: str
faults:
  description: Every fault of the rows and of the tree, each with C(where), C(what) and C(mend).
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_liteimg
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(
        {
            "image": {"type": "str", "required": True},
            "site": {"type": "str", "default": "/etc/statelite/site.db"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "in_use": {"type": "bool", "default": False},
            "rootimgdir": {"type": "path"},
        },
        plan_liteimg,
    )


if __name__ == "__main__":
    main()
