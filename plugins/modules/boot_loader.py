#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the boot loaders that the nodes' methods need into the TFTP directory."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_loader
short_description: Put the boot loaders that nodes need into the TFTP directory
version_added: 0.1.0
description:
  - Reads which boot methods and architectures the nodes of the site have, and puts GRUB and iPXE in place for them.
  - GRUB (C(grub2), C(grub2-tftp), C(grub2-http)) is made as one file for each architecture by C(grub-mkstandalone), as
    C(boot/grub2/grub2.ARCH) below the TFTP directory. It reads the node's own file, C(boot/grub2/grub.cfg-01-MAC) beside itself, and
    gives the machine back to its firmware when that names nothing to boot. It is made anew when its modules change.
  - For C(xnba) the loaders of iPXE and the script C(boot.ipxe), which leads to the node's own by the host name that DHCP gives, are
    put into C(xcat/xnba).
  - A GRUB that somebody else put there stays, and the result names it.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  grub_directories:
    description:
      - Where directories with GRUB's modules are looked for, such as C(x86_64-efi) and C(arm64-efi). A published image of an architecture
        that has them, as C(usr/lib/grub/arm64-efi), is looked into after these.
    type: list
    elements: path
    default: [/usr/lib/grub, /usr/lib/statelite/grub]
  ipxe_directory:
    description:
      - Where C(undionly.kpxe) and C(snponly.efi) are.
    type: path
    default: /usr/lib/ipxe
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
seealso:
  - module: diskless.statelite.nodeset
  - module: diskless.statelite.dnsmasq
"""

EXAMPLES = r"""
- name: Have the loaders of all nodes there
  diskless.statelite.boot_loader:
"""

RETURN = r"""
loaders:
  description: The loaders, each by its path.
  returned: success
  type: list
  elements: str
  sample: [/tftpboot/boot/grub2/grub2.x86_64]
foreign:
  description: Loaders that somebody else put there, and that stay as they are.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.diskless.statelite.plugins.module_utils.boot.loaders import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.module import run


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
