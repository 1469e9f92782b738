# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: take tables and objects in from text."""

from __future__ import annotations

DOCUMENTATION = r"""
module: table_import
short_description: Take tables and objects in from text
version_added: 0.1.0
description:
  - Reads a table in the CSV form that C(tabdump) writes and C(tabrestore) reads, or as JSON lines, and makes the table's rows be those.
  - Reads objects (nodes, groups, osimages, networks, policies, the site, boot targets and distributions) in the stanza form of
    C(lsdef -z) and C(mkdef -z), and makes each object be what its stanza says. A C(default-TYPE) stanza fills in what the objects of
    the type after it leave out.
  - Reads a directory of C(TABLE.csv) files, as C(dumpxCATdb) writes it, in one transaction.
  - All or nothing. A fault of a header or of any row leaves every table as it was, and the message lists every fault with its line.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  table:
    description:
      - Name of the table. Required for CSV and JSON lines.
      - Omitted for objects and for a directory. For objects it may name the only type that is taken, such as V(nodelist) for nodes.
    type: str
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
      - vpd
      - policy
      - site
      - boottarget
      - chain
      - osdistro
      - postscripts
  content:
    description:
      - The rows or objects as text. CSV begins with a header line of C(#) and column names, a subset in any order.
      - One of O(content) and O(src) must be given.
    type: str
  src:
    description: Path on the managed machine of a file in the form of O(content), or of a directory of C(TABLE.csv) files.
    type: path
  exclusive:
    description:
      - Whether rows of the tables that are not in the text are removed; with objects, every object of the types in the text.
      - With V(false) the rows are added, and take the place of rows with the same key.
      - Unset it is V(true) for tables, as C(tabrestore) has it, and V(false) for objects, as C(mkdef) has it.
    type: bool
  doubtful:
    description:
      - What happens to rows that break a rule here, and to tables, columns, types and attributes that this collection does not have.
      - V(refuse) refuses the whole import and names all of them.
      - V(disable) takes such rows in with C(disable) set, leaves out what the tables have no place for, and names both in
        RV(doubtful). So the dump of another site comes in whole, and nothing of it counts unseen.
      - A doubtful row never takes the place of one that stands, unless O(exclusive) says that the text is the whole table. A doubtful
        row of policy that denies refuses the import, as more would be allowed without it.
    type: str
    choices: [refuse, disable]
    default: refuse
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

- name: What the original site had, doubtful rows set aside
  diskless.statelite.table_import:
    src: /root/dumpxCATdb
    doubtful: disable
  register: taken

- name: A node as lsdef -z gave it
  diskless.statelite.table_import:
    content: |
      n1:
          objtype=node
          groups=compute,all
          ip=10.77.0.11
          mac=52:54:00:77:00:11
"""

RETURN = r"""
counts:
  description: Rows added, changed and removed.
  returned: success
  type: dict
  sample: {"added": 2, "changed": 1, "removed": 0}
doubtful:
  description: What was doubtful, each with C(where), C(what), C(mend) and what was C(done) about it, C(disabled) or C(left out).
  returned: success
  type: list
  elements: dict
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
