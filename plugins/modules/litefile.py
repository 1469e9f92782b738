# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare what nodes may write of an image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: litefile
short_description: Declare what nodes may write of an image
version_added: 0.1.0
description:
  - Writes rows of the table C(litefile), that is which files and directories of an image are writable on nodes.
  - The options of a row say how the content is kept, and whether by links or by a bind mount.
  - A row that breaks a rule fails the task before anything is written, and the message lists every fault.
  - Images are changed by a later run of liteimg, not by this module.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.litefile
seealso:
  - module: diskless.statelite.litefile_info
"""

EXAMPLES = r"""
- name: Every image has a volatile /tmp and a persistent journal
  diskless.statelite.litefile:
    rows:
      - {file: /tmp/}
      - {file: /var/log/journal/, options: "bind,persistent"}
      - {image: compute, file: /etc/motd, options: con}

- name: One image has exactly the rows of a file on the management node
  diskless.statelite.litefile:
    src: /usr/share/statelite/litefile/debian12.csv
    exclusive: true
    exclusive_for: ALL
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import LITEFILE


def main() -> None:
    run(read_and_plan=partial(plan_rows, LITEFILE), **rows_module(LITEFILE))


if __name__ == "__main__":
    main()
