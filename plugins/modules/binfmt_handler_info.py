#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: tell which architectures' programs run here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: binfmt_handler_info
short_description: Tell which architectures' programs run here, and why others don't
version_added: 0.1.0
description:
  - Runs a program of three instructions of each architecture, and looks at the kernel's handler for it.
author: diskless.statelite contributors (!UNKNOWN)
options:
  architectures:
    description: The architectures to try.
    type: list
    elements: str
    default: [aarch64, ppc64le, ppc64, s390x, riscv64, x86_64]
extends_documentation_fragment:
  - diskless.statelite.attributes.info
seealso:
  - module: diskless.statelite.binfmt_handler
"""

EXAMPLES = r"""
- name: Images for ARM can be built here
  diskless.statelite.binfmt_handler_info:
    architectures: [aarch64]
  register: emulation
  failed_when: not emulation.architectures[0].runs
"""

RETURN = r"""
architectures:
  description: A row for each architecture.
  returned: success
  type: list
  elements: dict
  contains:
    architecture:
      description: The architecture.
      type: str
    runs:
      description: Whether its programs run here, in every chroot, now and after the next boot.
      type: bool
    faults:
      description: What is wrong, each with its mend.
      type: list
      elements: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.binfmt import INFO_SPEC, read_emulation
from ansible_collections.diskless.statelite.plugins.module_utils.module import run_info


def main() -> None:
    """Run the module."""
    run_info(INFO_SPEC, read_emulation)


if __name__ == "__main__":
    main()
