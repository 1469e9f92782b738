# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: declare networks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Declare networks
version_added: 0.1.0
description:
  - Writes rows of the table C(networks), that is the networks that nodes boot in.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.rows.network
seealso:
  - module: diskless.statelite.network_info
"""

EXAMPLES = r"""
- name: The network of the nodes
  diskless.statelite.network:
    rows:
      - {netname: compute, net: 10.77.0.0, mask: 255.255.255.0, mgtifname: eth1, gateway: 10.77.0.254, domain: cluster.example}
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
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import NETWORK


def main() -> None:
    run(read_and_plan=partial(plan_rows, NETWORK), **rows_module(NETWORK))


if __name__ == "__main__":
    main()
