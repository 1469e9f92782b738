# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read where the content of litefile entries comes from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: litetree_info
short_description: Read where the content of litefile entries comes from
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.litetree) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
options:
  noderange:
    description:
      - Tell the levels of these nodes, with variables replaced, instead of the rows as they stand, as the command C(litetree) of xCAT does.
      - Not together with O(priority) and O(image).
    type: str
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.litetree_info
seealso:
  - module: diskless.statelite.litetree
"""

EXAMPLES = r"""
- name: Read all levels
  diskless.statelite.litetree_info:

- name: Tell where the files of a node come from
  diskless.statelite.litetree_info:
    noderange: n1
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out. None when asked for what holds somewhere.
  returned: success
  type: list
  elements: dict
  sample: [{"priority": "1", "directory": "10.77.0.1:/statelite/$nodepos.room"}]
effective:
  description: The levels of each node, the first to be searched first; servers as addresses.
  returned: when O(noderange) is given
  type: list
  elements: dict
  contains:
    name:
      description: The node.
      type: str
    image:
      description: The image it boots.
      type: str
    levels:
      description: Priority, server, directory, mount options and whether the node can't boot without the level.
      type: list
      elements: dict
text:
  description: The same as C(litetree) prints it.
  returned: when O(noderange) is given
  type: str
  sample: "n1: 10.1.0.1:/lt\n"
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.queries import query_module, read_litetree
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import LITETREE


def main() -> None:
    run_info(read=read_litetree, **query_module(LITETREE))


if __name__ == "__main__":
    main()
