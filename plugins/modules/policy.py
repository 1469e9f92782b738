# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare who may ask the answer service for what."""

from __future__ import annotations

DOCUMENTATION = r"""
module: policy
short_description: Declare who may ask the answer service for what
version_added: 0.1.0
description:
  - Writes rows of the table C(policy). The row with the lowest priority that matches a request decides.
  - A request that no row matches is refused.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.policy
seealso:
  - module: diskless.statelite.policy_info
"""

EXAMPLES = r"""
- name: Booting nodes may ask for their files and levels
  diskless.statelite.policy:
    rows:
      - {priority: "4.7", commands: litefile, rule: allow}
      - {priority: "4.8", commands: litetree, rule: allow}
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import POLICY


def main() -> None:
    run(read_and_plan=partial(plan_rows, POLICY), **rows_module(POLICY))


if __name__ == "__main__":
    main()
