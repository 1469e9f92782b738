# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: give a table of the site as text."""

from __future__ import annotations

DOCUMENTATION = r"""
module: table_export
short_description: Give a table of the site as text
version_added: 0.1.0
description:
  - Gives a table in the CSV form of C(tabdump), in the order of the database, or as JSON lines.
  - Columns of this collection's own stand in the CSV only when a row sets one, so that C(tabrestore) reads it.
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
  form:
    description: V(csv) as C(tabdump) writes it, or one JSON object a line.
    type: str
    choices: [csv, json]
    default: csv
  dest:
    description:
      - File on the managed machine to write the text to; by default it is only returned.
      - A new file can be read by its owner alone; one that is there keeps its owner and mode. Its directory must be there.
    type: path
seealso:
  - module: diskless.statelite.table_import
"""

EXAMPLES = r"""
- name: Keep a copy of the litefile table
  diskless.statelite.table_export:
    table: litefile
    dest: /root/litefile.csv
"""

RETURN = r"""
content:
  description: The text of the table.
  returned: success
  type: str
  sample: "#image,file,options,comments,disable\n\"ALL\",\"/etc/motd\",\"con\",,\n"
count:
  description: The number of rows.
  returned: success
  type: int
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import export_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_export


def main() -> None:
    run(read_and_plan=plan_export, **export_module())


if __name__ == "__main__":
    main()
