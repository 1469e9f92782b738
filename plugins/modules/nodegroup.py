# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare node groups."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nodegroup
short_description: Declare node groups
version_added: 0.1.0
description:
  - Writes rows of the table C(nodegroup), and what is declared of a group for all its members.
    That stands in the node tables, under the group's name.
  - A value of a node comes before that of its groups. Static groups have their members in the C(groups) of M(diskless.statelite.node).
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.nodegroup
seealso:
  - module: diskless.statelite.nodegroup_info
"""

EXAMPLES = r"""
- name: What all compute nodes have in common
  diskless.statelite.nodegroup:
    rows:
      - groupname: compute
        nodetype: {os: debian12, arch: x86_64, profile: compute, provmethod: debian12-compute}
        noderes: {netboot: pxe, nfsserver: 10.77.0.1}
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import NODEGROUP


def main() -> None:
    run(read_and_plan=partial(plan_rows, NODEGROUP), **rows_module(NODEGROUP))


if __name__ == "__main__":
    main()
