# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare where the persistent files of nodes are kept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: statelite
short_description: Declare where the persistent files of nodes are kept
version_added: 0.1.0
description:
  - Writes rows of the table C(statelite), which give for a node or a group, a server and a directory.
  - Each node has a directory of its own name below that one.
  - Warns when the directory given ends in the node's name already.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.statelite
seealso:
  - module: diskless.statelite.statelite_info
"""

EXAMPLES = r"""
- name: All nodes of the group japan keep their state on one server
  diskless.statelite.statelite:
    rows:
      - {node: japan, statemnt: "cnfs:/gpfs/state"}
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import STATELITE


def main() -> None:
    run(read_and_plan=partial(plan_rows, STATELITE), **rows_module(STATELITE))


if __name__ == "__main__":
    main()
