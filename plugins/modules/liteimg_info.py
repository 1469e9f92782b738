#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether an image is what its tables and its own record say."""

from __future__ import annotations

DOCUMENTATION = r"""
module: liteimg_info
short_description: Tell whether an image is what its tables and its own record say
version_added: 0.1.0
description:
  - Compares a laid-out root tree with the rows of litefile as they are now, and with the record that liteimg left in the tree.
  - Rows that were edited since are RV(pending), entry by entry. Running M(diskless.statelite.liteimg) carries them out.
  - What somebody changed in the tree itself is RV(drift), path by path, each with what is found there and what to do about it. A link
    that a file took the place of, a default or a mount point that is missing or of another kind, another mode, a damaged record, what a
    killed run left.
  - Edited contents are no drift. An image is made to be edited.
  - Everything is read from the tree itself, whatever earlier runs remembered. Nothing is changed, and drift is no failure. Assert
    RV(clean) in a play that has to stop.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  generation:
    description: The generation to look at. Left out, it is the published one, or the newest when none is published.
    type: int
  rootimgdir:
    description: Directory of the image, when it is not the one of the osimage.
    type: path
seealso:
  - module: diskless.statelite.liteimg
  - module: diskless.statelite.generation_info
"""

EXAMPLES = r"""
- name: Look at the compute image as nodes boot it
  diskless.statelite.liteimg_info:
    image: debian12-compute
  register: compute

- name: Stop when somebody edited the tables or the tree and did not run liteimg
  ansible.builtin.assert:
    that: compute.clean
    fail_msg: "{{ compute.lines | join('\n') }}"
"""

RETURN = r"""
rootimg:
  description: The root tree that was looked at.
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
laid_out:
  description: Whether the tree has a record of liteimg that can be read.
  returned: success
  type: bool
entries:
  description: How many entries the record has.
  returned: success
  type: int
  sample: 42
clean:
  description: Whether the tree is laid out and there is neither RV(pending) nor RV(drift) nor a row that would be refused.
  returned: success
  type: bool
pending:
  description: Entries that the tables ask for otherwise than the record.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the entry lies in the image.
      type: str
    change:
      description: One of V(add), V(drop) and V(change).
      type: str
    was:
      description: The entry as recorded, empty when there was none.
      type: str
    now:
      description: The entry as the tables ask for it, empty when they do not.
      type: str
  sample: [{"path": "/etc/motd", "change": "change", "was": "link,tmpfs file", "now": "link,persistent file"}]
drift:
  description: Paths that are not as they were laid out.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The path in the image, or beside it.
      type: str
    what:
      description: What is found there.
      type: str
    mend:
      description: What to do.
      type: str
faults:
  description: Rows that liteimg would refuse now, each with C(where), C(what) and C(mend).
  returned: success
  type: list
  elements: dict
shadowed:
  description: Rows for the image that another row of a higher rank takes the place of, as C(row) and C(by).
  returned: success
  type: list
  elements: dict
  sample:
    - row: {"image": "ALL", "file": "/etc/motd", "options": ""}
      by: {"image": "debian12-compute", "file": "/etc/motd", "options": "persistent"}
lines:
  description: Everything that is wrong as sentences.
  returned: success
  type: list
  elements: str
  sample: ["drift /etc/motd: a file stands where the link to ../.statelite/tmpfs/etc/motd was. ..."]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg_info import tell_liteimg
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    """Run the module."""
    run_info(
        {
            "image": {"type": "str", "required": True},
            "site": {"type": "str", "default": "/etc/statelite/site.db"},
            "generation": {"type": "int"},
            "rootimgdir": {"type": "path"},
        },
        tell_liteimg,
    )


if __name__ == "__main__":
    main()
