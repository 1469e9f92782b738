#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what this server has to export and what it exports."""

from __future__ import annotations

DOCUMENTATION = r"""
module: exports_info
short_description: Tell whether this server exports what the site declares
version_added: 0.1.0
description:
  - Gives the exports that M(diskless.statelite.exports) would set, what it would have to change for them, and how the exports of
    the running server differ.
author:
  - diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.exports
"""

EXAMPLES = r"""
- name: Compare what the server exports with the site
  diskless.statelite.exports_info:
    clients: [10.77.0.0/24]
  register: exported

- name: The effective table is the declared one
  ansible.builtin.assert:
    that: exported.differences == []
"""

RETURN = r"""
exports:
  description: The exports that the site needs, in order of their paths.
  returned: success
  type: list
  elements: dict
path:
  description: The file that holds them.
  returned: success
  type: str
taken_over:
  description: Files of others in which lines would be commented out.
  returned: success
  type: list
  elements: str
running:
  description: Whether the server runs.
  returned: success
  type: bool
differences:
  description: How the exports of the running server differ, one sentence each; empty when it does not run.
  returned: success
  type: list
  elements: str
pending:
  description: What M(diskless.statelite.exports) would change.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info
from ansible_collections.diskless.statelite.plugins.module_utils.serve.exports import SPEC, read_info


def main() -> None:
    """Run the module."""
    run_info(SPEC, read_info)


if __name__ == "__main__":
    main()
