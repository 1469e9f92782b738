#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the consoles of nodes out by conserver."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conserver
short_description: Give the consoles of nodes out by conserver
version_added: 0.1.0
description:
  - Writes one file of conserver from the table C(nodehm), with a console for each node that has one. It includes the site's own file,
    which is never written.
  - A node has a console when C(nodehm.termserver) or C(nodehm.cons) is set for it, or C(nodehm.mgt) with C(nodehm.serialport), and
    C(nodehm.consoleenabled) does not say V(no). With C(termserver) and C(termport) it is a port of a terminal server, else what
    O(command) connects to.
  - C(nodehm.conserver) names the host that holds the console, this one when it is not set. C(consoleondemand) of C(nodehm) or C(site)
    says that it is connected only while somebody looks.
  - conserver itself reads the file before it is put in place. The daemon has to be started with it (C(-C)), and to be told to read it
    again, as the role C(consoles) does.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  command:
    description:
      - The command with its arguments that connects to a console until it is ended; C({node}) in it stands for the node's name and
        C({method}) for C(nodehm.cons).
    type: list
    elements: str
    default: []
  path:
    description: Our file.
    type: path
    default: /etc/conserver/statelite.cf
  main_file:
    description: The site's own file, with who may do what and where logs are. It is only read.
    type: path
    default: /etc/conserver/conserver.cf
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
"""

EXAMPLES = r"""
- name: Consoles over IPMI
  diskless.statelite.conserver:
    command: [ipmitool, -I, lanplus, -H, "{node}-bmc", -U, admin, -f, /etc/statelite/bmc.password, sol, activate]
  notify: Reload conserver
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /etc/conserver/statelite.cf
nodes:
  description: The nodes that have a console in it.
  returned: success
  type: list
  elements: str
  sample: [n1, n2]
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.conserver import SPEC, read_and_plan


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
