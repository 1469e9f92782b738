# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read what nodes may write of an image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: litefile_info
short_description: Read what nodes may write of an image
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.litefile) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
options:
  noderange:
    description:
      - Tell what holds for these nodes instead of the rows as they stand, as the commands C(litefile) and C(lslite) of xCAT do.
      - Not together with O(osimage), O(image) and O(file).
    type: str
  osimage:
    description:
      - Tell what holds for this image instead of the rows as they stand, as the commands C(ilitefile) and C(lslite -i) of xCAT do.
      - Not together with O(image) and O(file).
    type: str
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.litefile_info
seealso:
  - module: diskless.statelite.litefile
"""

EXAMPLES = r"""
- name: Read the rows of an image and those of every image
  diskless.statelite.litefile_info:
    image: [compute, ALL]

- name: Tell what the nodes of a group may write, as lslite prints it
  diskless.statelite.litefile_info:
    noderange: compute
  register: told

- name: Tell what holds for an image, as ilitefile prints it
  diskless.statelite.litefile_info:
    osimage: compute
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out. None when asked for what holds somewhere.
  returned: success
  type: list
  elements: dict
  sample: [{"image": "ALL", "file": "/etc/motd", "options": "con"}]
effective:
  description: The rows that hold for each node, or for the image, sorted by file; C(/etc/mtab) is among them even when no row names it.
  returned: when O(noderange) or O(osimage) is given
  type: list
  elements: dict
  contains:
    name:
      description: The node, or the image.
      type: str
    image:
      description: The image.
      type: str
    rows:
      description: The row that wins for each file, with what its options mean and the image, group or V(ALL) it is written for.
      type: list
      elements: dict
text:
  description: The same as C(litefile) or C(ilitefile) print it. Options are written as in the table, a blank one as V(tmpfs,rw).
  returned: when O(noderange) or O(osimage) is given
  type: str
  sample: "n1: tmpfs,rw      /etc/hosts\n"
lslite:
  description: The same with the place of persistent files and the levels, as C(lslite) prints it.
  returned: when O(noderange) or O(osimage) is given
  type: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.queries import query_module, read_litefile
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import LITEFILE


def main() -> None:
    run_info(read=read_litefile, **query_module(LITEFILE))


if __name__ == "__main__":
    main()
