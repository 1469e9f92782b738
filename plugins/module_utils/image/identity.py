# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image belongs to no machine: what the builder or a package left behind goes (decisions.md, The node)."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..apply.root import Root
from .tree import TreeFile, drop, is_link, names_in, put

FSTAB = b"# The root file system comes over NFS and is read-only; the boot plan mounts everything else.\n"
HOSTS = b"127.0.0.1\tlocalhost\n::1\t\tlocalhost ip6-localhost ip6-loopback\n"

LEFT_BEHIND = (
    ("/etc/ssh", re.compile(r"ssh_host_.*_key(\.pub)?")),
    ("/var/lib/dhcp", re.compile(r".*\.leases?~?")),
    ("/var/lib/dhclient", re.compile(r".*\.leases?")),
    ("/var/lib/systemd", re.compile(r"random-seed|credential\.secret")),
    ("/var/lib/urandom", re.compile(r"random-seed")),
    ("/var/lib/dbus", re.compile(r"machine-id")),
)
"""Directories and the names in them that would make every node the same machine, or the builder."""

OWN_FILES = (TreeFile("/etc/machine-id", b"", 0o444), TreeFile("/etc/hostname"), TreeFile("/etc/fstab", FSTAB))
"""The agent mounts the node's own machine-id and hostname over these; a mount needs something to stand on."""


def left_behind(root: Root) -> list[str]:
    """Return the files in an image that belong to one machine alone: host keys, leases, seeds."""
    found = [(directory, pattern, name) for directory, pattern in LEFT_BEHIND for name in names_in(root, directory)]
    return [f"{directory}/{name}" for directory, pattern, name in found if pattern.fullmatch(name)]


def remove_identity(root: Root, wanted: Collection[str] = ()) -> None:
    """Take every trace of a particular machine out of an image under construction, but for the paths that the site put there."""
    for path in left_behind(root):
        if path not in wanted:
            drop(root, path)
    for file in OWN_FILES:
        put(root, file)
    if not is_link(root, "/etc/resolv.conf"):
        put(root, TreeFile("/etc/resolv.conf"))
    if root.lstat("/etc/hosts") is None:
        put(root, TreeFile("/etc/hosts", HOSTS))
    if root.lstat("/var/lib/dbus") is not None:
        put(root, TreeFile("/var/lib/dbus/machine-id", target="/etc/machine-id"))
