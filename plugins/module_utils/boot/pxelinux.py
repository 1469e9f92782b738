# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pxelinux: the text of a node's file and the names it is found by (statelite document 2.12; behaviour.md e.5)."""

from __future__ import annotations

import ipaddress
import re

from ..nodes.interfaces import colons

DIRECTORY = "pxelinux.cfg"
ARCHITECTURES = ("x86_64", "x86", "i386", "i686")
OFFLINE = "offline"
OURS = re.compile(r"#[^\n]*\nDEFAULT xCAT\nLABEL xCAT\n KERNEL [^\n]*\n APPEND [^\n]* statelite\.image=[^\n]*\n")
"""A file that boots one of our images; the original's files have the same form and not the word."""

RESERVED = re.compile(r"default|[0-9A-F]{1,8}|01(?:-[0-9a-f]{2}){6}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The names by which pxelinux looks: for any machine, for one by its address or the first digits of it, its card, its UUID."""


def boot_text(state: str, kernel: str, initrd: str, line: str) -> str:
    """Return the file of a node that boots: `state` is the comment, the paths are below the TFTP root."""
    return f"#{state}\nDEFAULT xCAT\nLABEL xCAT\n KERNEL {kernel}\n APPEND initrd={initrd} {line}\n  IPAPPEND 2\n"


def local_text(state: str) -> str:
    """Return the file of a node that boots from its own disk or not at all."""
    return f"#{state}\nDEFAULT xCAT\nLABEL xCAT\nLOCALBOOT 0\n"


def address_link(address: str) -> str | None:
    """Return the link name of an IPv4 address, eight capital hexadecimal digits; None for IPv6, which has none."""
    own = ipaddress.ip_address(address)
    return f"{int(own):08X}" if own.version == 4 else None


def mac_link(mac: str) -> str:
    """Return the link name of an Ethernet address."""
    return "01-" + colons(mac).replace(":", "-")


def is_link_name(name: str) -> bool:
    """Return whether a name in the directory is one by which pxelinux looks for a machine."""
    return bool(re.fullmatch(r"[0-9A-F]{8}|01(?:-[0-9a-f]{2}){6}", name))


def is_reserved(name: str) -> bool:
    """Return whether a file of this name would be booted by machines that are not the node of the name."""
    return bool(RESERVED.fullmatch(name))


def is_ours(text: str) -> bool:
    """Return whether a boot file is one that nodeset writes."""
    return bool(OURS.fullmatch(text.removesuffix("  IPAPPEND 2\n"))) or text == local_text(OFFLINE)
