#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give known nodes their addresses, boot files and names by dnsmasq."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dnsmasq
short_description: Give known nodes their addresses, boot files and names by dnsmasq
version_added: 0.1.0
description:
  - Writes one drop-in of dnsmasq from the tables C(networks), C(nodelist), C(mac), C(hosts) and C(noderes). Only nodes with a hardware
    address in the table C(mac) get an answer, on the interfaces named, and the boot loader that is for C(noderes.netboot) and for the
    machine that they say that they are.
  - Files of others are never written. A C(dhcp-host) line of theirs for one of our nodes is refused by file and line. Files that they
    include, such as those of C(conf-file) or C(dhcp-hostsfile), are not looked through; the module warns of them.
  - What the table C(hosts) names has DNS records, forward and back, by its name with the domain of its network (C(networks.domain), else
    the key C(domain) of the table C(site)), its name alone, and its aliases (C(hostnames)); so have further interfaces
    (C(otherinterfaces)). Addresses may be of IPv6. A C(host-record) or C(cname) of somebody else that says something else of such a name is
    refused by file and line, and so is an alias that is the name of another host.
  - The whole configuration as it would be is tested by dnsmasq itself before the file is put in place. Restarting the daemon is the
    caller's.
  - Leases that stand in the way are dropped from dnsmasq's lease file and shown in the diff, namely those of a node's address with another
    hardware address, and those of hosts that were in the drop-in and are no more. As dnsmasq keeps its leases in memory, C(dnsmasq.service)
    is stopped for that when it runs, and started again. A daemon that systemd does not run has to be stopped by the caller.
author:
  - diskless.statelite contributors (!UNKNOWN)
options:
  interfaces:
    description:
      - The interfaces of this server in the nodes' networks; by default those that the table C(networks) names as C(mgtifname).
    type: list
    elements: str
    default: []
  dhcp:
    description:
      - Whether dnsmasq answers DHCP; V(false) leaves that to another server; TFTP and names are set up all the same.
    type: bool
    default: true
  proxy:
    description:
      - Whether dnsmasq stands beside another DHCP server, as a proxy. It gives an address to nobody, and tells a boot loader to known
        network cards alone that ask as PXE clients do, for the machine that they say that they are. Nobody else is answered.
      - Address, gateway, resolver and host name come from the other server, on another machine, as both answer at one port. It has to give
        each node its address of the table C(hosts), name no boot file, and name this server as the next one, where iPXE and GRUB look for
        what comes after them.
      - Nodes of the boot methods C(petitboot) and C(yaboot), POWER machines, and machines that boot over HTTP are no PXE clients; they hear
        nothing from a proxy. The module warns of nodes that it can't tell anything, by their boot method.
      - Leases of nodes that were in the drop-in are dropped, as dnsmasq gives them no more.
    type: bool
    default: false
  dns:
    description:
      - Whether dnsmasq goes on answering DNS as it is set up; V(false) turns that off.
    type: bool
    default: true
  records:
    description:
      - Whether what the table C(hosts) names has DNS records; without O(dns) nothing has.
    type: bool
    default: true
  lease:
    description:
      - How long a node may use its address, V(infinite) or a number with C(m), C(h), C(d) or C(w), two minutes at least.
    type: str
    default: infinite
  boot_file:
    description:
      - The boot loader below the TFTP directory.
    type: str
    default: lpxelinux.0
  path:
    description:
      - Our drop-in.
    type: path
    default: /etc/dnsmasq.d/statelite.conf
  main_file:
    description:
      - The main configuration file, which is only read.
    type: path
    default: /etc/dnsmasq.conf
  lease_file:
    description:
      - The file of dnsmasq's leases; by default what C(dhcp-leasefile) of the main file or of another drop-in says, else
        C(/var/lib/misc/dnsmasq.leases).
    type: path
  own:
    description:
      - Whether only nodes that this server serves are given addresses here. A node is served by each server that C(noderes.servicenode)
        names, by their addresses; one without C(servicenode) by the management node.
    type: bool
    default: false
extends_documentation_fragment:
  - diskless.statelite.attributes
  - diskless.statelite.site
"""

EXAMPLES = r"""
- name: Answer the nodes on the inner network
  diskless.statelite.dnsmasq:
    interfaces: [eth1]
  notify: Restart dnsmasq

- name: Name a boot loader to the nodes, whose addresses come from another DHCP server
  diskless.statelite.dnsmasq:
    interfaces: [eth1]
    proxy: true
  notify: Restart dnsmasq
"""

RETURN = r"""
path:
  description: The drop-in.
  returned: success
  type: str
  sample: /etc/dnsmasq.d/statelite.conf
restarted:
  description: Whether the daemon was stopped and started again, for leases that were dropped; it has read the drop-in then.
  returned: success
  type: bool
  sample: false
hosts:
  description: Each host name with its hardware address and IP address.
  returned: success
  type: dict
  sample: {"n1": {"mac": "52:54:00:77:00:11", "ip": "10.77.0.11"}}
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.dnsmasq import SPEC, read_and_plan


def main() -> None:
    """Run the module."""
    run(SPEC, read_and_plan)


if __name__ == "__main__":
    main()
