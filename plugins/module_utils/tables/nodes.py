# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of nodes and node groups; in all but nodelist and nodegroup a group may stand in place of a node."""

from __future__ import annotations

from . import rules
from .columns import Column, Table

NODE = Column("node", "The node or node group.", required=True, rule=rules.name)

NODELIST = Table(
    "nodelist",
    (
        Column("node", "The node.", required=True, rule=rules.name),
        Column("groups", "The node's groups, separated by commas; earlier ones win.", rule=rules.names),
        Column("status", "Last state that the node reported."),
        Column("statustime", "When the node reported it."),
        Column("appstatus", "State of applications on the node."),
        Column("appstatustime", "When the state of applications was seen."),
        Column("primarysn", "Service node that serves the node now."),
        Column("hidden", "Whether the node is left out of lists."),
        Column("updatestatus", "State of the last update of the node."),
        Column("updatestatustime", "When the last update was."),
        Column("zonename", "Zone of ssh keys of the node."),
    ),
    ("node",),
    "The nodes, and the groups they are in.",
)

NODEGROUP = Table(
    "nodegroup",
    (
        Column("groupname", "Name of the group.", required=True, rule=rules.name),
        Column(
            "grouptype",
            "V(static) (the default): members are named in nodelist; V(dynamic): found by C(wherevals).",
            choices=("static", "dynamic"),
        ),
        Column("members", "Not used; members of static groups stand in nodelist."),
        Column("membergroups", "Groups whose members belong to this group, separated by commas.", rule=rules.names),
        Column("wherevals", "Conditions C(attribute==value), separated by C(::), that members of a dynamic group fulfil."),
    ),
    ("groupname",),
    "Groups of nodes.",
)

NODETYPE = Table(
    "nodetype",
    (
        NODE,
        Column("os", "Distribution and version that the node runs, such as C(debian12)."),
        Column("arch", "Architecture of the node, such as C(x86_64)."),
        Column("profile", "Purpose of the node, such as C(compute)."),
        Column("provmethod", "The osimage that the node boots; blank for C(os-arch-statelite-profile)."),
        Column("supportedarchs", "Architectures that the node could run, separated by commas."),
        Column("nodetype", "Kinds of thing the node is, separated by commas."),
    ),
    ("node",),
    "What nodes run.",
)

NODERES = Table(
    "noderes",
    (
        NODE,
        Column("servicenode", "Service nodes that may serve the node, separated by commas."),
        Column("netboot", "How the node boots from the network, such as C(pxe)."),
        Column("tftpserver", "Server of the node's boot files; by default xcatmaster."),
        Column("tftpdir", "Directory of boot files on that server."),
        Column("nfsserver", "Server of the node's root image; by default xcatmaster."),
        Column("monserver", "Server that collects monitoring data."),
        Column("nfsdir", "Directory on the NFS server that is used in place of the site's installdir."),
        Column("installnic", "Interface, or hardware address, that the node boots with."),
        Column("primarynic", "Interface of the node in the management network."),
        Column("discoverynics", "Interfaces to try in discovery, separated by commas."),
        Column("cmdinterface", "Interface for commands sent to the node."),
        Column("xcatmaster", "Management or service node as the node sees it; by default the site's master."),
        Column("current_osimage", "Image that the node was last deployed with."),
        Column("next_osimage", "Image that the node is to be deployed with."),
        Column("nimserver", "Installation server of AIX nodes."),
        Column("routenames", "Routes to set on the node, separated by commas."),
        Column("nameservers", "Name servers of the node, separated by commas."),
        Column("proxydhcp", "Whether proxy DHCP answers are used."),
        Column("syslog", "How syslog messages are sent on."),
    ),
    ("node",),
    "Which servers serve nodes, and how they boot.",
)

NODEPOS = Table(
    "nodepos",
    (
        NODE,
        Column("rack", "The rack."),
        Column("u", "Height unit in the rack."),
        Column("chassis", "The chassis."),
        Column("slot", "Slot in the chassis."),
        Column("room", "The room."),
        Column("height", "Height of the machine in units."),
    ),
    ("node",),
    "Where nodes stand.",
)

NODEHM = Table(
    "nodehm",
    (
        NODE,
        Column("power", "How power is controlled."),
        Column("mgt", "How the hardware is managed, such as C(ipmi)."),
        Column("cons", "How the console is reached."),
        Column("termserver", "Terminal server of the console."),
        Column("termport", "Port of the terminal server."),
        Column("conserver", "Host that runs the console service."),
        Column("serialport", "Number of the serial port used as console."),
        Column("serialspeed", "Speed of the serial port, such as V(115200)."),
        Column("serialflow", "Flow control of the serial port, such as C(hard)."),
        Column("getmac", "How hardware addresses are found."),
        Column("cmdmapping", "File that maps commands to hardware types."),
        Column("consoleondemand", "Whether the console is only connected when someone looks."),
        Column("consoleenabled", "Whether the console is configured."),
    ),
    ("node",),
    "How the hardware of nodes is managed, and its consoles.",
)

MAC = Table(
    "mac",
    (
        NODE,
        Column("interface", "Interface that has the address."),
        Column("mac", "Hardware address, or several as C(MAC!hostname|MAC!hostname).", rule=rules.hardware_address),
    ),
    ("node",),
    "Hardware addresses of nodes.",
)

VPD = Table(
    "vpd",
    (
        NODE,
        Column("serial", "Serial number of the machine."),
        Column("mtm", "Machine type and model."),
        Column("side", "Side of the machine that is meant, A or B."),
        Column("asset", "Number by which the site knows the machine."),
        Column(
            "uuid", "UUID of the machine as it says it when it boots; pxelinux looks for its file by it first.", rule=rules.machine_uuid
        ),
    ),
    ("node",),
    "What machines say of themselves.",
)

HOSTS = Table(
    "hosts",
    (
        NODE,
        Column("ip", "Address of the node, or a pattern that gives it.", rule=rules.address),
        Column("hostnames", "Further names of the node, separated by blanks or commas."),
        Column("otherinterfaces", "Further interfaces as C(name:address), separated by commas."),
    ),
    ("node",),
    "Addresses and names of nodes.",
)

BOOTPARAMS = Table(
    "bootparams",
    (
        NODE,
        Column("kernel", "Kernel that the node boots, when not the image's."),
        Column("initrd", "Initramfs that the node boots, when not the image's."),
        Column("kcmdline", "Kernel command line as last computed."),
        Column("addkcmdline", "Words to add to the kernel command line."),
        Column("dhcpstatements", "Statements for the node's DHCP entry."),
        Column("adddhcpstatements", "Further statements for the node's DHCP entry."),
    ),
    ("node",),
    "Kernel arguments and boot files of single nodes.",
)
