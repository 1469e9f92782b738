# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node
short_description: Declare nodes
version_added: 0.1.0
description:
  - Writes nodes with all that is declared of them, into the tables C(nodelist), C(mac), C(hosts), C(nodetype), C(noderes), C(nodepos),
    C(nodehm), C(bootparams) and C(vpd).
  - A dictionary that is left out leaves that table's row alone, and an empty one removes it. What nodes report of themselves stays.
  - Removing a node removes its rows in these tables, and keeps its state on the server.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.node
seealso:
  - module: diskless.statelite.node_info
"""

EXAMPLES = r"""
- name: Two nodes
  diskless.statelite.node:
    rows:
      - node: n1
        groups: [compute, all]
        mac: "52:54:00:77:00:11"
        ip: 10.77.0.11
        nodetype: {os: debian12, arch: x86_64, profile: compute, provmethod: debian12-compute}
        noderes: {netboot: pxe}
        nodepos: {room: tokyo}
      - node: n2
        groups: [compute, all]
        mac: "52:54:00:77:00:12"
        ip: 10.77.0.12

- name: Ten thousand nodes from a file on the management node
  diskless.statelite.node:
    src: /etc/statelite/nodes.csv
    exclusive: true
"""

RETURN = r"""
counts:
  description: Rows added, changed and removed, those of joined tables included.
  returned: success
  type: dict
  sample: {"added": 2, "changed": 1, "removed": 0}
faults:
  description: Every fault of the rows, each with C(where), C(what) and C(mend).
  returned: failure
  type: list
  elements: dict
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import rows_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import plan_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import NODE


def main() -> None:
    run(read_and_plan=partial(plan_rows, NODE), **rows_module(NODE))


if __name__ == "__main__":
    main()
