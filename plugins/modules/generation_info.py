#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: tell the generations of an image and who needs them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generation_info
short_description: Tell the generations of an image and who needs them
version_added: 0.1.0
description:
  - Reads the generations of an image, the boot files that nodeset wrote, and what nodes told the answer service.
author: diskless.statelite contributors (!UNKNOWN)
options:
  image:
    description: Name of the osimage.
    type: str
    required: true
  spool:
    description: Directory in which the answer service keeps reports.
    type: path
    default: /var/spool/statelite/reports
  verify:
    description: Also read every file of every generation and compare it with the signed manifest; takes seconds for each.
    type: bool
    default: false
extends_documentation_fragment:
  - diskless.statelite.attributes.info
  - diskless.statelite.site
seealso:
  - module: diskless.statelite.generation
"""

EXAMPLES = r"""
- name: Which nodes still run from an old generation
  diskless.statelite.generation_info:
    image: debian12-compute
  register: told

- name: Show it
  ansible.builtin.debug:
    msg: "{{ told.text.splitlines() }}"
"""

RETURN = r"""
generations:
  description: A row for each generation, the oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    generation:
      description: Its number.
      type: int
    id:
      description: Its number, with the count of its amendments, such as C(3+1).
      type: str
    sealed:
      description: When its manifest was made, in UTC; empty when it has none.
      type: str
    trouble:
      description: With O(verify) what is wrong with it, empty for nothing.
      type: str
    path:
      description: Its directory.
      type: str
    built:
      description: When it was built, in UTC.
      type: str
    kernel_version:
      description: Version of its kernel.
      type: str
    packages:
      description: How many packages it holds.
      type: int
    published:
      description: Whether it is the one that nodeset writes boot files for.
      type: bool
    withdrawn:
      description: Why the site went back from it; empty when it did not.
      type: str
    next_boot_of:
      description: Nodes whose boot files name it.
      type: list
      elements: str
    may_be_run_by:
      description: Nodes that may run it, as far as their boot files and what they told of their boots say.
      type: list
      elements: str
text:
  description: The same for a person to read.
  returned: success
  type: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.sealing import INFO_SPEC, read_sealed
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    run_info(INFO_SPEC, read_sealed)


if __name__ == "__main__":
    main()
