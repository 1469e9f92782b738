# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot method is asked: the files of one node below the TFTP directory, and the other names that they have."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..nodes.interfaces import colons
from ..nodes.servers import TFTP_ON_WEB, behind_server

BOOT = "boot"
OFFLINE = "offline"
SHELL = "shell"


class Web(NamedTuple):
    """What a site says about its web server, in as far as boot files do: the port, and the TFTP directory there."""

    port: str = "80"
    tftpdir: str = TFTP_ON_WEB
    debug: bool = False

    @property
    def suffix(self) -> str:
        """The port as it stands behind a server, empty for the usual one."""
        return behind_server(self.port)


class Target(NamedTuple):
    """The machine that boots: `addresses` are the node's own first, then those of its other names; `server` has its boot files.

    `uuid` is what its firmware calls it, where the tables say it.
    """

    node: str
    arch: str = ""
    mac: str | None = None
    addresses: Sequence[str] = ()
    server: str = ""
    uuid: str = ""


@dataclass(frozen=True)
class Boots:
    """What a boot file says: the comment, kernel and initramfs below the TFTP directory, the kernel line.

    `lines` has the line once more for each other word that the method knows its server by; `stub` tells whether UEFI can start
    the kernel itself.
    """

    state: str
    kernel: str
    initrd: str
    line: str
    label: str = "xCAT"
    stub: bool = True
    lines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeFiles:
    """Paths below the TFTP directory: files with their text, further names of such a file, symbolic links with their target."""

    state: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """Every path that there has to be."""
        return [*self.texts, *self.same, *self.links]


class Method:
    """One boot loader: how its files look and are called. `facing` are its own words for the server that answers."""

    name = ""
    families: tuple[str, ...] = ()
    """How the names of the architectures begin that the loader can boot."""

    usual: tuple[str, ...] = ()
    """How those begin that it is meant for, when it can boot others as well."""

    facing: tuple[str | None, ...] = (None,)
    named_server = False
    """Whether its files name the TFTP server by its address."""

    by_uuid = False
    """Whether machines look for its files by their UUID."""

    escaped = ""
    """Characters that the loader would take for its own; each gets a backslash."""

    forbidden: re.Pattern[str] | None = None
    """What no word of a kernel line may hold, as the loader would replace it."""

    reserved: re.Pattern[str] = re.compile(r"(?!)")
    """Names of nodes whose file other machines would boot, or that would stand in the place of something else."""

    looks = ""
    """By what the loader finds a file of a reserved name."""

    def fits(self, arch: str) -> bool:
        """Return whether the loader can boot the architecture."""
        return arch.startswith(self.families)

    def loader(self, arch: str) -> str | None:
        """Return the path below the TFTP directory of the loader that a boot file needs to be there, if any."""
        return None

    def boots(self, target: Target, boots: Boots, web: Web) -> NodeFiles:
        """Return the files of a node that boots."""
        raise NotImplementedError

    def local(self, target: Target, state: str, web: Web) -> NodeFiles:
        """Return the files of a node that boots from its own disk (`boot`) or that nobody deploys (`offline`)."""
        raise NotImplementedError

    def comment(self, text: str) -> str | None:
        """Return the state that a boot file of this method names."""
        first = text.split("\n", 1)[0]
        return first[1:] if first.startswith("#") else None

    def main(self, node: str) -> str:
        """Return the path of the node's own file."""
        raise NotImplementedError

    def own(self, node: str) -> list[str]:
        """Return every path that stands for the node by its name, the main one first."""
        return [self.main(node)]

    absent = OFFLINE
    """The state of a node without a file."""

    def line(self, line: str) -> str:
        """Return a kernel line as it stands in this loader's file."""
        if not self.escaped:
            return line
        return "".join(f"\\{each}" if each in self.escaped else each for each in line)


def hexadecimal(address: str) -> str | None:
    """Return an IPv4 address as eight capital hexadecimal digits; None for IPv6, which has none."""
    if address.count(".") == 3:
        octets = address.split(".")
        return f"{int(octets[0]):02X}{int(octets[1]):02X}{int(octets[2]):02X}{int(octets[3]):02X}"
    ipaddress.ip_address(address)
    return None


def dashes(mac: str) -> str:
    """Return an Ethernet address in lower case with dashes."""
    return colons(mac).replace(":", "-")
