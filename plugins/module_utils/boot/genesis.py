# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The original's Genesis, a system in memory that waits for somebody at a shell, where its files are there (behaviour.md e.5)."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..nodes.attributes import attribute
from ..nodes.servers import bracketed, xcatmaster
from ..nodes.site import Site
from .kernel_args import console_words
from .method import SHELL

LABEL = "xCAT Genesis shell"


class Genesis(NamedTuple):
    """Kernel and initramfs below the TFTP directory."""

    kernel: str
    initrd: str


def genesis(tftpdir: str, arch: str) -> Genesis | None:
    """Return the files for an architecture; None unless both are there."""
    name = "ppc64" if arch == "ppc64le" else arch
    kernel = f"xcat/genesis.kernel.{name}"
    initrds = (f"xcat/genesis.fs.{name}.{kind}" for kind in ("lzma", "gz"))
    initrd = next((path for path in initrds if os.path.isfile(os.path.join(tftpdir, path))), None)
    if initrd is None or not os.path.isfile(os.path.join(tftpdir, kernel)):
        return None
    return Genesis(kernel, initrd)


def genesis_line(site: Site, node: str, arch: str, facing: str | None) -> str:
    """Return its kernel line."""
    server = bracketed(xcatmaster(site, node, facing))
    return " ".join(["quiet", *console_words(site, node, arch), f"xcatd={server}:{site.setting('xcatdport')}", f"destiny={SHELL}"])


def arch_of(site: Site, node: str, usual: str) -> str:
    """Return the architecture of a node as nodetype has it, else `usual`."""
    value = attribute(site, node, "nodetype", "arch")
    return value.text if value else usual
