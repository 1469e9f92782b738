# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Read nodes
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.node) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.node_info
seealso:
  - module: diskless.statelite.node
"""

EXAMPLES = r"""
- name: Read two nodes
  diskless.statelite.node_info:
    node: [n1, n2]
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out.
  returned: success
  type: list
  elements: dict
  sample: [{"node": "n1", "groups": ["compute", "all"], "ip": "10.77.0.11", "nodepos": {"room": "tokyo"}}]
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import info_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import read_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import NODE


def main() -> None:
    run_info(read=partial(read_rows, NODE), **info_module(NODE))


if __name__ == "__main__":
    main()
