# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: give tables of the site as text."""

from __future__ import annotations

DOCUMENTATION = r"""
module: table_export
short_description: Give tables of the site as text
version_added: 0.1.0
description:
  - Gives a table in the CSV form of C(tabdump), in the order of the database, or as JSON lines.
  - Gives objects in the stanza form of C(lsdef -z).
  - Columns of this collection's own stand in the CSV only when a row sets one, so that C(tabrestore) reads it.
  - Objects are nodes, groups, osimages, networks, policies, the site's settings, boot targets and distributions, each joined from the
    tables that hold its attributes. They have what their own rows say and nothing of their groups, so that taking them in again
    changes nothing.
    Disabled rows are no objects.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
options:
  table:
    description:
      - Name of the table. With V(stanza) the objects of the table are given, such as nodes for V(nodelist).
      - Omitted, all objects are given with V(stanza), and with V(csv) each table is written to C(TABLE.csv) in the directory O(dest).
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
  form:
    description:
      - V(csv) as C(tabdump) writes it, V(json) for one JSON object a line, V(stanza) as C(lsdef -z) writes it.
      - The rows of litefile, litetree and statelite are no objects of C(lsdef), they have no stanza form.
    type: str
    choices: [csv, json, stanza]
    default: csv
  names:
    description: With V(stanza) the objects to give; by default all of them.
    type: list
    elements: str
  dest:
    description:
      - File on the managed machine to write the text to; by default it is only returned. A directory when O(table) is omitted with V(csv).
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

- name: Keep every table, as dumpxCATdb does
  diskless.statelite.table_export:
    dest: /root/site-tables

- name: Give one osimage as mkdef takes it
  diskless.statelite.table_export:
    table: osimage
    form: stanza
    names: [rocky9.4-x86_64-statelite-compute]
  register: sample

- name: Define an osimage as a copy of it
  diskless.statelite.table_import:
    content: "{{ sample.content | regex_replace('(?m)^[^\\s#]\\S*:$', 'mycomputeimage:') }}"

- name: Give the nodes as mkdef takes them
  diskless.statelite.table_export:
    table: nodelist
    form: stanza
"""

RETURN = r"""
content:
  description: The text; empty when all tables are written into a directory.
  returned: success
  type: str
  sample: "#image,file,options,comments,disable\n\"ALL\",\"/etc/motd\",\"con\",,\n"
count:
  description: The number of rows or objects.
  returned: success
  type: int
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.tables.exports import plan_export
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import export_module


def main() -> None:
    run(read_and_plan=plan_export, **export_module())


if __name__ == "__main__":
    main()
