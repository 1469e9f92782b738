# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: put rows of a text into a table of the site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: table_import
short_description: Put rows of a text into a table of the site
version_added: 0.1.0
description:
  - Reads a table in the CSV form that C(tabdump) writes and C(tabrestore) reads, or as JSON lines, and makes the table's rows be those.
  - All or nothing. A fault of the header or of any row leaves the table as it was, and the message lists every fault with its line.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  table:
    description: Name of the table.
    type: str
    required: true
    choices:
      - osimage
      - linuximage
      - litefile
      - litetree
      - statelite
      - noderes
      - nodetype
      - nodelist
      - nodegroup
      - nodepos
      - nodehm
      - mac
      - hosts
      - networks
      - bootparams
      - policy
      - site
  content:
    description:
      - The rows as text. CSV begins with a header line of C(#) and column names, a subset in any order.
      - One of O(content) and O(src) must be given.
    type: str
  src:
    description: Path on the managed machine of a file in the form of O(content).
    type: path
  exclusive:
    description:
      - Whether rows of the table that are not in the text are removed.
      - With V(false) the rows are added, and take the place of rows with the same key.
    type: bool
    default: true
  allow_empty:
    description: Whether a text without rows may empty the table.
    type: bool
    default: false
seealso:
  - module: diskless.statelite.table_export
"""

EXAMPLES = r"""
- name: The litefile table is the one of a file
  diskless.statelite.table_import:
    table: litefile
    src: /root/litefile.csv

- name: Two more settings
  diskless.statelite.table_import:
    table: site
    exclusive: false
    content: |
      #key,value
      "domain","cluster.example"
      "nameservers","10.77.0.1"
"""

RETURN = r"""
counts:
  description: Rows added, changed and removed.
  returned: success
  type: dict
  sample: {"added": 2, "changed": 1, "removed": 0}
faults:
  description: Every fault of the text, each with C(where), C(what) and C(mend).
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import import_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import


def main() -> None:
    run(read_and_plan=plan_import, **import_module())


if __name__ == "__main__":
    main()
