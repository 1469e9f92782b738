#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give known nodes their addresses and boot files by Kea."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kea
short_description: Give known nodes their addresses and boot files by Kea
version_added: 0.1.0
description:
  - Writes two pieces of the configuration of ISC Kea's DHCPv4 server from the tables C(networks), C(nodelist), C(mac), C(hosts) and
    C(noderes), the client classes that tell machines apart by DHCP option 93 and by iPXE's user class, and subnets that have reservations
    and no pool. Nodes get what the module M(diskless.statelite.dnsmasq) gives them, and machines that the table C(mac) does not know get no
    answer.
  - Kea has no directory of drop-ins. Its main file is written when there is none, when it is ours, or when it is as its Debian package
    brought it. A main file of somebody else is only read. It has to include both pieces in its lists C(client-classes) and C(subnet4), and
    what it has besides stays in effect; otherwise it is refused with the two lines to add. Reservations and pools in it that hold an
    address of our nodes are refused by line.
  - The whole configuration as it would be is tested by C(kea-dhcp4 -t) before a file is put in place. A running daemon is told once to read
    it again, through its control socket. What it then refuses is put back.
  - Leases that stand in the way are ended in Kea's lease file and shown in the diff, namely those of a node's address with another hardware
    address, and those of hosts that were in our piece and are no more. C(kea-dhcp4-server.service) is stopped for that when it runs, and
    started again.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  dhcp:
    description:
      - Whether Kea gives our nodes their addresses. V(false) empties our pieces where they are, for a site whose addresses come from
        dnsmasq or from a server of its own. What others have in the main file stays in effect, and the daemon is left as it is; RV(ours)
        tells whether there is any use for it.
    type: bool
    default: true
  interfaces:
    description:
      - The interfaces of this server in the nodes' networks; by default those that the table C(networks) names as C(mgtifname).
    type: list
    elements: str
    default: []
  lease:
    description:
      - How long a node may use its address, V(infinite) or a number with C(m), C(h), C(d) or C(w), two minutes at least.
    type: str
    default: infinite
  boot_file:
    description:
      - The boot loader of nodes that boot by pxelinux, below the TFTP directory.
    type: str
    default: lpxelinux.0
  main_file:
    description:
      - The main configuration file of the daemon.
    type: path
    default: /etc/kea/kea-dhcp4.conf
  directory:
    description:
      - The directory of our pieces.
    type: path
    default: /etc/kea/statelite
  lease_file:
    description:
      - The file of Kea's leases; by default what C(lease-database) of somebody else's main file says, else
        C(/var/lib/kea/kea-leases4.csv).
    type: path
  take_over:
    description:
      - Whether a main file of somebody else that does not read our pieces is replaced. It is kept beside, as C(.statelite~).
    type: bool
    default: false
  own:
    description:
      - Whether only those nodes are answered that this server serves, as on one of several servers.
    type: bool
    default: false
  reload:
    description:
      - Whether a running daemon is told to read its configuration again.
    type: bool
    default: true
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
"""

EXAMPLES = r"""
- name: Answer the nodes on the inner network by Kea
  diskless.statelite.kea:
    interfaces: [eth1]

- name: Have Kea answer them no more
  diskless.statelite.kea:
    dhcp: false
"""

RETURN = r"""
files:
  description: The files that were written or have to be there.
  returned: success
  type: list
  elements: str
  sample: [/etc/kea/kea-dhcp4.conf, /etc/kea/statelite/client-classes.json, /etc/kea/statelite/subnet4.json]
hosts:
  description: Each host name with its hardware address and IP address.
  returned: success
  type: dict
  sample: {"n1": {"mac": "52:54:00:77:00:11", "ip": "10.77.0.11"}}
ours:
  description: Whether the main file is ours, so that the daemon serves nobody but our nodes.
  returned: success
  type: bool
  sample: true
serves_others:
  description:
    - Whether the main file is somebody else's and reads our pieces, so that the daemon serves others too; with O(dhcp=false), also whether
      systemd runs it.
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.kea import SPEC, read_and_plan


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
