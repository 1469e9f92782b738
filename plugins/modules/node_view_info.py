#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: tell what nodes would see."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_view_info
short_description: Tell what nodes would see, before they boot
version_added: 0.1.0
description:
  - With O(path), explains one path of each node. Which row decides it and why, where its content comes from and where it could have
    come from, where writes go, what survives a reboot, and which node or group gave each variable its value.
  - Without, gives the tree that each node would see at every path that a row names and below it, grouped by nodes with the same result.
  - With O(proposed), tells how the tree changes on which nodes when the tables are edited so and liteimg is run. An empty
    dictionary tells what running liteimg for the tables as they are would change.
  - It computes the boot plans that the answer service gives, and follows them as the agent on the node does. Nothing is booted.
  - Levels and state are read where this machine sees them; those of other servers are mounted for it, where nobody else sees it and for
    as long as the module runs. What can't be read is told as unknown, never guessed.
author: diskless.statelite contributors (!UNKNOWN)
options:
  noderange:
    description: The nodes, as in M(diskless.statelite.nodeset).
    type: str
    required: true
  path:
    description: Explain this path, which need not be one that a row names.
    type: str
  paths:
    description: Show these paths and everything below them, instead of those that rows name. Not together with O(path) and O(whole).
    type: list
    elements: str
    default: []
  whole:
    description: Show the whole tree. A large image has tens of thousands of paths.
    type: bool
    default: false
  digest:
    description: Give the SHA-256 sum of each file, for which every file shown is read.
    type: bool
    default: false
  state:
    description:
      - V(read) looks into the state that each node has kept, where it is seen from here.
      - V(empty) shows a node that never booted before, so that nodes are alike whatever they have kept.
    type: str
    choices: [read, empty]
    default: read
  level_paths:
    description:
      - Where directories of other servers are seen on this machine, as C(server:/directory) to path; what lies below a directory is seen
        below its path. Servers are written as addresses.
      - Directories of servers with an address of this machine are read at their own path.
      - C(localdisk:/NODE) is a copy of what that node keeps on its own disk, which is unknown otherwise.
    type: dict
    default: {}
  level_mounts:
    description:
      - Mount directories of other servers that O(level_paths) does not name, by NFS, read-only, to read them. They are mounted in a mount
        namespace of a process that ends with the module, however that ends, so nobody else sees them and nothing stays mounted.
      - Of the mount options of a level or state those are used that say how to reach the server (version, transport, ports, security).
      - It takes root and C(mount.nfs) (package C(nfs-common) or C(nfs-utils)), and the server must export the directory to this machine.
        Where something is missing, levels are told as unknown with the cause.
    type: bool
    default: true
  level_timeout:
    description:
      - Seconds that another server has for each answer, such as a mount, a part of a directory or a piece of a file. A server that takes
        longer is not asked again; what was not read of it is unknown.
    type: int
    default: 15
  proposed:
    description:
      - Table to rows, such as C(litefile) to a list of rows. A row takes the place of the one with the same key; with C(disable) set it
        takes it away.
    type: dict
  generation:
    description: The generation of the image to look at. The published one when omitted.
    type: int
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
seealso:
  - module: diskless.statelite.litefile_info
  - module: diskless.statelite.litetree_info
  - module: diskless.statelite.liteimg
"""

EXAMPLES = r"""
- name: Explain where a node has a file from
  diskless.statelite.node_view_info:
    noderange: n1
    path: /etc/ntp.conf
  register: told

- name: Show it
  ansible.builtin.debug:
    msg: "{{ told.text.splitlines() }}"

- name: See what a new row would change, and on which nodes
  diskless.statelite.node_view_info:
    noderange: compute
    state: empty
    proposed:
      litefile:
        - {image: compute, file: /var/log/, options: persistent}
"""

RETURN = r"""
nodes:
  description: The nodes that were looked at.
  returned: success
  type: list
  elements: str
text:
  description: The answer for a person to read.
  returned: success
  type: str
explained:
  description: By node, what there is to say of O(path).
  returned: when O(path) is given
  type: dict
groups:
  description: Nodes with the same result, and that result; with O(proposed) the one after the edit.
  returned: when O(path) is omitted
  type: list
  elements: dict
  contains:
    nodes:
      description: The nodes.
      type: list
      elements: str
    count:
      description: How many they are.
      type: int
    boots:
      description: Whether they get a boot plan, need not wait, and no required level or entry fails for certain.
      type: bool
    waits:
      description: Why a node does not get as far as its entries; empty when nothing keeps it.
      type: str
    tree:
      description:
        - A row for each path, sorted. C(type) is d, f, l (symbolic link), o (other), absent or unknown; C(origin) is where its content
          comes from (image, level 1, default, kept, created, identity); C(place) what it lies on (image, level, tmpfs, persistent, live).
        - C(survives) is yes, no, or - where a node can't write. C(reason) says why something is unknown.
      type: list
      elements: dict
    entries:
      description: What becomes of each entry (done, failed, unknown), and the source of its content in the words of the boot report.
      type: list
      elements: dict
    levels:
      description:
        - The levels in order of the search, and whether they are mounted, fail or are not seen from here. Of one that each node has
          of its own (C(own)) the directory is that of the first of the nodes.
      type: list
      elements: dict
    notes:
      description: What the boot plan remarks, such as rows that are pending liteimg.
      type: list
      elements: str
    faults:
      description: Why these nodes get no boot plan.
      type: list
      elements: dict
changes:
  description: Nodes with the same differences, and the paths that differ, each with its row before and after.
  returned: when O(proposed) is given and O(path) omitted
  type: list
  elements: dict
"""

from ansible_collections.diskless.statelite.plugins.module_utils.lite.node_view_info import SPEC, read_view
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    """Run the module."""
    run_info(SPEC, read_view)


if __name__ == "__main__":
    main()
