# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that exports and exports_info share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  server:
    description:
      - The NFS server of this host, V(ganesha) for nfs-ganesha or V(kernel) for the kernel's own.
    type: str
    choices: [ganesha, kernel]
    default: ganesha
  clients:
    description:
      - Who may mount the install directory and shared levels, as addresses, networks, host names or V(*).
      - A node's own directories are exported to that node alone, whatever stands here.
    type: list
    elements: str
    default: ['*']
  options:
    description:
      - Export options of the install directory, as exports(5) has them. V(rw) is refused.
      - Without V(subtree_check) the kernel's server gives a client that makes up file handles every file on the file system of the install
        directory, which may hold this server's own secrets. Leave it out only where that file system holds nothing else.
    type: list
    elements: str
    default: [ro, no_root_squash, sync, subtree_check]
  take_over:
    description:
      - Whether lines of other export files that stand in the way are commented out, with a backup beside the file.
      - Otherwise they are refused by file and line.
    type: bool
    default: false
  accept_risk:
    description:
      - Whether nodes' state may be on the file system of the images, where a forged file handle reaches from one to the other.
      - Also whether a node's own level may lie in the install directory or in a shared level, where every client can read it.
    type: bool
    default: false
  addresses:
    description:
      - This server's addresses, which tell whose levels and state are here; by default those of its interfaces.
    type: list
    elements: str
    default: []
  path:
    description:
      - Our file; by default C(/etc/exports.d/statelite.exports) or C(/etc/ganesha/statelite.conf).
    type: path
  foreign_files:
    description:
      - Files and patterns of other people's exports in the order in which the kernel's server reads them.
    type: list
    elements: str
    default: [/etc/exports, /etc/exports.d/*.exports]
  versions:
    description:
      - NFS versions that nfs-ganesha speaks. Version 3 needs rpcbind.
    type: list
    elements: int
    default: [3, 4]
  bind_address:
    description:
      - The one address that nfs-ganesha listens on; all by default.
    type: str
  graceless:
    description:
      - Whether nfs-ganesha starts without the period in which clients get their locks back.
    type: bool
    default: false
  recovery:
    description:
      - Where nfs-ganesha keeps which clients have locks.
    type: path
    default: /var/lib/nfs/ganesha
  site:
    description:
      - The site database, or a published snapshot of it (a path that ends in V(.json)) on a server that has no database.
    type: str
    default: /etc/statelite/site.db
"""
