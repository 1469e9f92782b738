#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: let the kernel run programs of other architectures by qemu."""

from __future__ import annotations

DOCUMENTATION = r"""
module: binfmt_handler
short_description: Let the kernel run programs of other architectures by qemu
version_added: 0.1.0
description:
  - Registers a handler for each architecture now, and writes C(/etc/binfmt.d/qemu-ARCH.conf), from which systemd registers it at
    every boot. Handlers of other names are never touched; the kernel's handler of the same name is replaced, and a file of that name
    that somebody else wrote is refused.
  - A handler has the flag C(F), so that the emulator is there in every chroot, also where the chroot has no such file.
  - Ends with a failure that names the fault when a program of an architecture still does not run. A program of three instructions is
    made and run to find out.
author: diskless.statelite contributors (!UNKNOWN)
options:
  architectures:
    description:
      - The architectures, of C(aarch64), C(ppc64le), C(ppc64), C(s390x), C(riscv64) and C(x86_64). This machine's own is left out.
    type: list
    elements: str
    required: true
  emulators:
    description:
      - Directory with the emulators C(qemu-ARCH-static) or C(qemu-ARCH), which must be linked statically.
      - Those of the distribution when omitted, C(/usr/libexec/qemu-binfmt/ARCH-binfmt-P), C(/usr/bin/qemu-ARCH-static) or
        C(/usr/bin/qemu-ARCH).
    type: path
  state:
    description:
      - V(absent) removes the files that were written, and the handlers that they name.
    type: str
    choices: [present, absent]
    default: present
  directory:
    description: Directory of the files that are read at boot.
    type: path
    default: /etc/binfmt.d
extends_documentation_fragment:
  - diskless.statelite.attributes
seealso:
  - module: diskless.statelite.binfmt_handler_info
  - module: diskless.statelite.genimage
"""

EXAMPLES = r"""
- name: Programs for ARM and POWER run here
  diskless.statelite.binfmt_handler:
    architectures: [aarch64, ppc64le]
"""

RETURN = r"""
interpreters:
  description: The emulator of each architecture.
  returned: success
  type: dict
  sample: {"aarch64": "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"}
"""

from ansible_collections.diskless.statelite.plugins.module_utils.image.binfmt import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
