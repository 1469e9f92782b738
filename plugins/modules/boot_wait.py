#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for the boot reports of nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_wait
short_description: Wait until nodes have reported their boot, and tell why some have not
version_added: 0.1.0
description:
  - Waits until every node of a noderange has told the answer service of this machine of a boot that went well, or the time is over.
  - Of a node that has not, it tells how far it came, from what the daemons of this machine logged (dnsmasq or Kea, the answer service,
    nginx). It tells whether the node asked for an address, which files it fetched, whether it asked for its plan, or why its boot failed.
  - It does not fail for such a node; O(timeout=0) only looks. Nothing is changed.
options:
  noderange:
    description:
      - The nodes, as C(n1-n9), C(compute,-n3) or another noderange.
    type: str
    required: true
  since:
    description:
      - Reports from this second of the epoch on count, by the clock of this machine. RV(now) of a run with O(timeout=0) before the nodes
        are switched on is that second. When omitted, what is told after this run has begun.
    type: int
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 900
  poll:
    description: Seconds between two looks at the reports.
    type: int
    default: 2
  access_log:
    description: Log of nginx, for nodes that fetch their files over HTTP.
    type: path
    default: /var/log/nginx/access.log
  service_nodes:
    description:
      - Servers by the names that they have in the inventory, each with the list of its names and addresses. RV(nodes.servers) names them.
    type: dict
    default: {}
  spool:
    description: Directory in which the answer service keeps reports.
    type: path
    default: /var/spool/statelite/reports
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
author:
  - diskless.statelite contributors (!UNKNOWN)
seealso:
  - module: diskless.statelite.boot_report_info
"""

EXAMPLES = r"""
- name: What counts from now on
  diskless.statelite.boot_wait:
    noderange: compute
    timeout: 0
  register: before

# ... the nodes are switched on here ...

- name: Wait for the nodes
  diskless.statelite.boot_wait:
    noderange: compute
    since: "{{ before.now }}"
    timeout: 600
  register: after

- name: Tell who is not up, and why
  ansible.builtin.assert:
    that: after.troubled == []
    fail_msg: "{{ after.text }}"
"""

RETURN = r"""
nodes:
  description: Each node of the noderange by its name, in the order of the noderange.
  returned: success
  type: dict
  contains:
    state:
      description:
        - V(booted), V(failing) when it told of a boot that failed, V(missing) when it told nothing.
      type: str
      sample: missing
    cause:
      description:
        - Why it is not up, or what it came up without. Empty when all is well.
      type: str
      sample: "no DHCP request of 52:54:00:77:00:11 came: is it switched on, does it boot from that card, is the card in this network?"
    time:
      description: When it reported, in UTC.
      type: str
      sample: "2026-01-31T12:00:00Z"
    servers:
      description:
        - Who serves the node by its C(servicenode), and gets its report. Names of O(service_nodes), and the addresses of servers that are
          not among them. Empty for a node of the management node.
      type: list
      elements: str
      sample: [sn1]
troubled:
  description: Nodes that are not booted, or without something that they should have.
  returned: success
  type: list
  elements: str
  sample: [n3]
now:
  description: The second of the epoch in which this run began.
  returned: success
  type: int
  sample: 1790000000
text:
  description: The same for a person, a line for each node.
  returned: success
  type: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.waiting import SPEC, read_boots
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    """Run the module."""
    run_info(SPEC, read_boots)


if __name__ == "__main__":
    main()
