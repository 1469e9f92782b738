# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read who may ask the answer service for what."""

from __future__ import annotations

DOCUMENTATION = r"""
module: policy_info
short_description: Read who may ask the answer service for what
version_added: 0.1.0
description:
  - Reads rows of the site database, in the form in which M(diskless.statelite.policy) takes them.
  - A database that is not there yet has no rows.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.rows.policy_info
seealso:
  - module: diskless.statelite.policy
"""

EXAMPLES = r"""
- name: Read the policy
  diskless.statelite.policy_info:
"""

RETURN = r"""
rows:
  description: The rows, in the order of the database; cells that are blank are left out.
  returned: success
  type: list
  elements: dict
  sample: [{"priority": "4.7", "commands": "litefile", "rule": "allow"}]
"""

from functools import partial

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import info_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import read_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import POLICY


def main() -> None:
    run_info(read=partial(read_rows, POLICY), **info_module(POLICY))


if __name__ == "__main__":
    main()
