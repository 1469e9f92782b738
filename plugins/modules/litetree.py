# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare where the content of litefile entries comes from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: litetree
short_description: Declare where the content of litefile entries comes from
version_added: 0.1.0
description:
  - Writes rows of the table C(litetree), that is directories on servers that hold sparse trees of files.
  - They are searched in the order of the rows' priorities.
  - The key of a row is its priority and its image, so that images do not take each other's priorities.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.litetree
seealso:
  - module: diskless.statelite.litetree_info
"""

EXAMPLES = r"""
- name: A directory of the node's own comes before that of its room
  diskless.statelite.litetree:
    rows:
      - {priority: 1, directory: "$noderes.nfsserver:/statelite/$node"}
      - {priority: 2, directory: "10.77.0.1:/statelite/$nodepos.room", required: true}
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import LITETREE


def main() -> None:
    run(read_and_plan=partial(plan_rows, LITETREE), **rows_module(LITETREE))


if __name__ == "__main__":
    main()
