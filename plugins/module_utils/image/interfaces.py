# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image knows of its nodes' network interfaces: linuximage.nodebootif and otherifce (behaviour.md f.2; pure)."""

from __future__ import annotations

import re

from ..errors import Fault
from ..nodes.images import Image
from .listfile import split_column
from .systems import DEBIAN, ENTERPRISE_LINUX, SUSE, family, major, version
from .tree import TreeFile

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,14}")
UNIT = "statelite-interface@"
MANAGED_SINCE = 10
"""The first release of Enterprise Linux without dhclient."""

CLIENT = "/etc/statelite/interface.conf"
CLIENT_TEXT = b"""\
# Of further interfaces: an address. Routes, resolver and name are those of the interface by which the node booted.
request subnet-mask, broadcast-address, dhcp-lease-time, dhcp-renewal-time, dhcp-rebinding-time;
"""

UNIT_TEXT = b"""\
[Unit]
Description=Address of %i, a further interface of the image (otherifce)
ConditionPathExists=|/sbin/dhclient
ConditionPathExists=|/usr/sbin/dhclient
BindsTo=sys-subsystem-net-devices-%i.device
After=sys-subsystem-net-devices-%i.device

[Service]
Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin
ExecStartPre=/bin/sh -c 'mkdir -p /run/statelite && exec ip link set dev %i up'
Environment=STATE=/run/statelite/other.%i
ExecStart=/bin/sh -c 'exec dhclient -4 -d -q -cf /etc/statelite/interface.conf -pf $STATE.pid -lf $STATE.lease %i'
Restart=on-failure
RestartSec=30
"""

MANAGED_TEXT = """\
[connection]
id=statelite-{0}
type={1}
interface-name={0}

[ipv4]
method=auto
never-default=true
ignore-auto-dns=true
ignore-auto-routes=true

[ipv6]
method=ignore
"""
"""The same of NetworkManager, where there is no dhclient. It takes no such file that others may read."""

INFINIBAND = "[infiniband]\ntransport-mode=datagram\n"

LEFT_ALONE = {
    "debian": ("/etc/network/interfaces.d/{0}", "# The node booted by it: its address is kept already.\niface {0} inet manual\n"),
    "suse": ("/etc/sysconfig/network/ifcfg-{0}", "# The node booted by it.\nBOOTPROTO='dhcp'\nSTARTMODE='nfsroot'\n"),
    "rh": (
        "/etc/sysconfig/network-scripts/ifcfg-{0}",
        "# The node booted by it: its address is kept already.\nDEVICE={0}\nONBOOT=no\nBOOTPROTO=none\nNM_CONTROLLED=no\n",
    ),
    "managed": (
        "/etc/NetworkManager/conf.d/95-statelite-{0}.conf",
        "# The node booted by it: its address is kept already.\n[device-statelite-{0}]\nmatch-device=interface-name:{0}\nmanaged=0\n",
    ),
}
"""How a distribution's own tools are told to leave the interface that a node boots by as it is."""


def _names(image: Image) -> tuple[str, list[str]]:
    boots = image.column("nodebootif").strip()
    return boots, [name for name in split_column(image.column("otherifce")) if name != boots]


def interface_faults(image: Image) -> list[Fault]:
    """Return what is wrong with the names of interfaces in the image's row."""
    boots, others = _names(image)
    named = [("nodebootif", boots)] if boots else []
    return [
        Fault(f"table linuximage, imagename {image.name}, column {column}", f"'{name}' is no interface name", "Write one as eth1 or ens3")
        for column, name in [*named, *(("otherifce", name) for name in others)]
        if not NAME.fullmatch(name)
    ]


def _manner(osvers: str) -> str:
    """Return how a system sets its network up: Enterprise Linux 10 has NetworkManager alone, and none of the older files."""
    system = family(osvers)
    if system in ENTERPRISE_LINUX and major(version(osvers)) >= MANAGED_SINCE:
        return "managed"
    return "debian" if system in DEBIAN else "suse" if system in SUSE else "rh"


def _managed(name: str) -> TreeFile:
    """Return NetworkManager's file for a further interface."""
    of_infiniband = re.fullmatch(r"ib\w*", name) is not None
    text = MANAGED_TEXT.format(name, "infiniband" if of_infiniband else "ethernet") + (INFINIBAND if of_infiniband else "")
    return TreeFile(f"/etc/NetworkManager/system-connections/statelite-{name}.nmconnection", text.encode(), 0o600)


def interface_files(image: Image) -> list[TreeFile]:
    """Return the files that an image has for them: one that leaves the boot interface alone, a unit for each further one."""
    boots, others = _names(image)
    files = []
    manner = _manner(image.osvers)
    if boots:
        path, text = LEFT_ALONE[manner]
        files.append(TreeFile(path.format(boots), text.format(boots).encode()))
    if manner == "managed":
        return files + [_managed(name) for name in others]
    if others:
        files += [TreeFile(f"/etc/systemd/system/{UNIT}.service", UNIT_TEXT), TreeFile(CLIENT, CLIENT_TEXT)]
    # A node that lacks the card does not wait for it.
    wants = "/etc/systemd/system/sys-subsystem-net-devices-{0}.device.wants/" + UNIT + "{0}.service"
    files += [TreeFile(wants.format(name), target=f"../{UNIT}.service") for name in others]
    return files
