#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export the directories of the site and nothing more."""

from __future__ import annotations

DOCUMENTATION = r"""
module: exports
short_description: Export images read-only and each node's state to that node alone
version_added: 0.1.0
description:
  - Derives the NFS exports of this server from the site. The install directory is exported read-only, and so are shared litetree
    directories; a litetree directory that holds C($node) goes read-only, and the node's state directory read-write, to that node alone.
  - Writes one file of its own and never a line of another one. Lines of other export files that would open what this one closes
    are refused by file and line, or commented out with O(take_over).
  - Makes the directories of levels and state on this server, tells the running server once, and compares what it then exports with
    what was meant; when it differs, everything is put back and the task fails.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  reload:
    description:
      - Whether the server is told of a change, and what it then exports is compared.
    type: bool
    default: true
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.exports
"""

EXAMPLES = r"""
- name: Lock the images down to the network of the nodes
  diskless.statelite.exports:
    clients: [10.77.0.0/24]

- name: Take an old read-write line for /install out of effect
  diskless.statelite.exports:
    server: kernel
    take_over: true
"""

RETURN = r"""
exports:
  description: The exports in order of their paths.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The directory.
      type: str
      sample: /srv/state/n1
    clients:
      description: Who may mount it.
      type: list
      elements: str
    options:
      description: The export options.
      type: list
      elements: str
    for:
      description: What it is for.
      type: str
      sample: state of n1
path:
  description: The file that holds them.
  returned: success
  type: str
  sample: /etc/ganesha/statelite.conf
taken_over:
  description: Files of others in which lines were commented out.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.exports import SPEC, read_and_plan


def main() -> None:
    """Run the module."""
    run({**SPEC, "reload": {"type": "bool", "default": True}}, read_and_plan)


if __name__ == "__main__":
    main()
