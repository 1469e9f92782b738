#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the program that ends one-time boots."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_once_program
short_description: Install the program that ends one-time boots
version_added: 0.1.0
description:
  - Writes the program that brings the boot files of nodes back which M(diskless.statelite.nodeset) had boot something once, as one
    file that needs nothing but Python (3.9 or newer).
  - Only the program is written here. The role C(answer_service) makes its unit, which runs it while there are one-time boots.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  path:
    description: The program.
    type: path
    default: /usr/lib/statelite/boot-once
attributes:
  check_mode:
    description: Says whether the program would be written, and does not write it.
    support: full
  diff_mode:
    description: Shows the same as one line.
    support: full
seealso:
  - module: diskless.statelite.nodeset
"""

EXAMPLES = r"""
- name: Install the program that ends one-time boots
  diskless.statelite.boot_once_program:
"""

RETURN = r"""
path:
  description: The program.
  returned: success
  type: str
  sample: /usr/lib/statelite/boot-once
digest:
  description: SHA-256 of it.
  returned: success
  type: str
  sample: "sha256:8e4c..."
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.once_program import SPEC, plan_program
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(SPEC, plan_program)


if __name__ == "__main__":
    main()
