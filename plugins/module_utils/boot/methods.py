# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot methods by the name that noderes.netboot has for them."""

from __future__ import annotations

from .grub import Grub
from .ipxe import Xnba
from .method import Method
from .petitboot import Petitboot
from .pxelinux import Pxelinux
from .yaboot import Yaboot

ALL: tuple[Method, ...] = (
    Pxelinux(),
    Xnba(),
    Grub("grub2", "tftp"),
    Grub("grub2-tftp", "tftp"),
    Grub("grub2-http", "http"),
    Petitboot(),
    Yaboot(),
)
METHODS = {method.name: method for method in ALL}
NAMES = ", ".join(METHODS)
