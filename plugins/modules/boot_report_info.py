#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell how nodes booted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_report_info
short_description: Tell how nodes booted
version_added: 0.1.0
description:
  - Reads what nodes told the answer service of this machine when they booted, what became of their entries and levels, and the
    last boot that failed.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  noderange:
    description:
      - Nodes to tell of, also those that never reported. All nodes of the site when omitted.
    type: str
  spool:
    description: Directory in which the answer service keeps reports.
    type: path
    default: /var/spool/statelite/reports
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
seealso:
  - module: diskless.statelite.node_view_info
"""

EXAMPLES = r"""
- name: Read how the nodes of a group booted
  diskless.statelite.boot_report_info:
    noderange: compute
  register: told

- name: Every node is up, with every entry
  ansible.builtin.assert:
    that: told.troubled == []
    fail_msg: "{{ told.text }}"
"""

RETURN = r"""
reports:
  description: A row for each node.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
    state:
      description: V(booted), V(failing) when a boot failed since the last good one, V(unknown) when it never reported.
      type: str
    time:
      description: When the last good report came, in UTC.
      type: str
    image:
      description: The image of that boot.
      type: str
    generation:
      description: Its generation.
      type: str
    plan:
      description: Where its boot plan came from (service, kept, template).
      type: str
    done:
      description: Entries carried out.
      type: int
    failed:
      description: Entries that failed.
      type: int
    skipped:
      description: Entries that were not tried because the entry they are in failed.
      type: int
    failed_before:
      description: Failed boots before that one.
      type: int
    disk:
      description: The own disk of the node, with C(status) (V(mounted), V(failed)), C(device), C(label), C(message); empty without one.
      type: dict
    room:
      description:
        - How full C(/.statelite) was at the end of the boot, C(size) and C(used) in bytes, C(inodes) and C(inodes_used). Empty in
          reports without it.
      type: dict
    failures:
      description:
        - Entries (C(path)) and levels (C(source)) that are not there, each with its C(status) (V(failed), V(skipped)) and its
          C(message); levels with the C(seconds) that they were tried for.
      type: list
      elements: dict
    last_failure:
      description: The last failed boot since then, with C(attempts), C(stage), C(message), C(image), C(generation) and C(time).
      type: dict
troubled:
  description: Nodes that are not booted, or with something that failed; also those that never reported.
  returned: success
  type: list
  elements: str
of_no_node:
  description:
    - Names that the spool has files of and the site no node, such as of nodes that were removed. They are in none of the other
      lists; their files may be removed. Empty with O(noderange).
  returned: success
  type: list
  elements: str
text:
  description: The same for a person to read.
  returned: success
  type: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.reports import SPEC, read_reports


def main() -> None:
    """Run the module."""
    run_info(SPEC, read_reports)


if __name__ == "__main__":
    main()
