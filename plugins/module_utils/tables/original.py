# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the original that nothing here reads: a site's dump comes in whole, and goes out as it came."""

from __future__ import annotations

from . import rules
from .columns import Column, Table
from .nodes import NODE

BOOTTARGET = Table(
    "boottarget",
    (
        Column("bprofile", "Name by which C(linuximage.boottarget) refers to the row.", required=True, rule=rules.name),
        Column("kernel", "Kernel to boot."),
        Column("initrd", "Initramfs to boot."),
        Column("kcmdline", "Words of the kernel's command line."),
    ),
    ("bprofile",),
    "Kernels to boot in place of an image's.",
)

CHAIN = Table(
    "chain",
    (
        NODE,
        Column("currstate", "What the node does, as the original's nodeset left it."),
        Column("currchain", "What it does after that."),
        Column("chain", "What newly discovered nodes do, one after the other."),
        Column("ondiscover", "What is done when the node is discovered."),
    ),
    ("node",),
    "What the original's nodes do in turn.",
)

OSDISTRO = Table(
    "osdistro",
    (
        Column("osdistroname", "Name of the distribution's copy, such as C(rhels9.4-x86_64).", required=True, rule=rules.name),
        Column("basename", "The distribution without its version."),
        Column("majorversion", "Its major version."),
        Column("minorversion", "Its minor version."),
        Column("arch", "Its architecture."),
        Column("type", "Kind of operating system, such as C(Linux)."),
        Column("dirpaths", "Directories of its packages, separated by commas."),
    ),
    ("osdistroname",),
    "Distributions that were copied from their media.",
)

POSTSCRIPTS = Table(
    "postscripts",
    (
        NODE,
        Column("postscripts", "Scripts that the original runs on a node once it is installed, separated by commas."),
        Column("postbootscripts", "Scripts that it runs after the first boot, separated by commas."),
    ),
    ("node",),
    "Scripts that the original runs on nodes.",
)

KEPT = (BOOTTARGET, CHAIN, OSDISTRO, POSTSCRIPTS)
