# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnsmasq's drop-in: addresses for the nodes we know, on named interfaces, and the TFTP directory (decisions.md, The servers)."""

from __future__ import annotations

import fnmatch
import glob
import ipaddress
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.addresses import local_addresses
from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..apply.scratch import scratch
from ..errors import Fault, SiteError, raise_faults
from ..nodes.servers import own_view
from ..nodes.site import Site, split_list
from ..tables.columns import Row
from ..tables.store import DEFAULT_SITE, open_store
from . import leases, linechanges, netboot, proxy
from . import records as names
from .hosts import Host, holding, hosts, interfaces, left_out, settings_faults, used_networks

SPEC: dict[str, Any] = {
    "interfaces": {"type": "list", "elements": "str", "default": []},
    "dhcp": {"type": "bool", "default": True},
    "proxy": {"type": "bool", "default": False},
    "dns": {"type": "bool", "default": True},
    "records": {"type": "bool", "default": True},
    "lease": {"type": "str", "default": "infinite"},
    "boot_file": {"type": "str", "default": "lpxelinux.0"},
    "path": {"type": "path", "default": "/etc/dnsmasq.d/statelite.conf"},
    "main_file": {"type": "path", "default": "/etc/dnsmasq.conf"},
    "lease_file": {"type": "path"},
    "own": {"type": "bool", "default": False},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""The options of the module."""

HEADER = "# Written by diskless.statelite (module dnsmasq). Changes made here are lost."
IGNORED = ("~", ".dpkg-dist", ".dpkg-old", ".dpkg-new")
"""Files in a configuration directory that dnsmasq on Debian does not read."""

CARD = re.compile(r"(?:[0-9a-f]{1,2}-)?((?:[0-9a-f]{1,2}|\*)(?:[:-](?:[0-9a-f]{1,2}|\*)){5})")
"""A hardware address in a dhcp-host line: octets of one or two digits or `*`, perhaps after the type of the hardware."""

INCLUDES = ("conf-file", "conf-dir", "conf-script", "dhcp-hostsfile", "dhcp-hostsdir", "read-ethers")
"""Words by which dnsmasq reads files that are not looked through here."""

LIMIT = 30.0


@dataclass(frozen=True)
class ForeignHost:
    """A word of somebody else's dhcp-host line: a hardware or an IP address."""

    place: str
    word: str


def _network_lines(network: ipaddress.IPv4Network, row: Row, lease: str) -> list[str]:
    """Return the range of one network, for known hosts only, and its options."""
    tag = netboot.network_tag(network)
    lines = [f"dhcp-range=set:{tag},{network.network_address},static,{network.netmask},{lease}"]
    gateway = row.get("gateway") or ""
    router = {"": "", "<xcatmaster>": ",0.0.0.0"}.get(gateway, f",{gateway}")
    lines.append(f"dhcp-option=tag:{tag},option:router{router}")
    for column, option in (("nameservers", "dns-server"), ("ntpservers", "ntp-server"), ("logservers", "log-server")):
        servers = ["0.0.0.0" if server == "<xcatmaster>" else server for server in split_list(row.get(column))]
        if servers:
            lines.append(f"dhcp-option=tag:{tag},option:{option},{','.join(servers)}")
    if row.get("domain"):
        lines.append(f"dhcp-option=tag:{tag},option:domain-name,{row['domain']}")
    if row.get("mtu"):
        lines.append(f"dhcp-option=tag:{tag},option:mtu,{row['mtu']}")
    return lines


def render(
    site: Site, found: Sequence[Host], params: dict[str, Any], binds: bool, own: Sequence[str] = (), told: Sequence[names.Record] = ()
) -> str:
    """Return the text of the drop-in, with DNS records of what is `told`.

    `binds` tells whether somebody else says how dnsmasq binds, `own` are this machine's addresses.
    """
    tftpdir = site.setting("tftpdir")
    lines = [HEADER]
    if not params["dns"]:
        lines.append("port=0")
    lines += [f"interface={name}" for name in params["interfaces"]]
    if params["interfaces"] and not binds:
        lines.append("bind-dynamic")
    lines.append("enable-tftp")
    lines += [f"tftp-root={tftpdir},{name}" for name in params["interfaces"]] or [f"tftp-root={tftpdir}"]
    if params["dhcp"] and params["proxy"]:
        lines += proxy.lines(found, holding(site, found), params["interfaces"], params["boot_file"])
    elif params["dhcp"]:
        used = used_networks(site, found)
        for network, row in used:
            lines += _network_lines(network, row, params["lease"])
        lines += netboot.lines(found, [network for network, _row in used], params["boot_file"], own, site.setting("httpport"))
        for host in found:
            tags = f"set:{netboot.server_tag(host.server)},set:{netboot.tag_of(host.method)}"
            lines.append(f"dhcp-host={host.mac},{tags},{host.address},{host.name},{params['lease']}")
    lines += [record.line() for record in told]
    for line in lines:
        if re.search(r"[\x00-\x1f\x7f]", line):
            raise SiteError.of("dnsmasq", f"{line!r} has a control character", "Take it out of the tables")
    return "".join(f"{line}\n" for line in lines)


def foreign_files(main: str, own: str) -> list[str]:
    """Return the configuration files of others that dnsmasq reads with ours."""
    directory = os.path.dirname(own)
    beside = sorted(
        path for path in glob.glob(os.path.join(directory, "*")) if os.path.isfile(path) and path != own and not path.endswith(IGNORED)
    )
    return [path for path in [main, *beside] if os.path.isfile(path)]


def _lines(path: str) -> list[tuple[str, str]]:
    """Return (file and line number, text) of the lines of a configuration file that say something."""
    text = (read_bytes(path) or b"").decode(errors="replace")
    numbered = ((f"{path} line {number}", line.split(" #")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(place, line) for place, line in numbered if line and not line.startswith("#")]


def foreign_hosts(files: Iterable[str]) -> list[ForeignHost]:
    """Return the addresses that dhcp-host lines of others name."""
    found = []
    for path in files:
        for place, line in _lines(path):
            key, _equals, value = line.partition("=")
            if key.strip() == "dhcp-host":
                found += [ForeignHost(place, _padded(word.strip().lower())) for word in value.split(",")]
    return found


def _padded(word: str) -> str:
    """Return a hardware address as the tables have it, two digits an octet; any other word as it is."""
    card = CARD.fullmatch(word)
    return ":".join(octet if octet == "*" else octet.zfill(2) for octet in re.split("[:-]", card.group(1))) if card else word


def unread(files: Iterable[str], own: str) -> list[str]:
    """Return a sentence for each line by which dnsmasq reads files that are not looked through for nodes of ours."""
    found = []
    for path in files:
        for place, line in _lines(path):
            key, _equals, value = (part.strip() for part in line.partition("="))
            if key in INCLUDES and not (
                key == "conf-dir" and os.path.realpath(value.split(",")[0]) == os.path.realpath(os.path.dirname(own))
            ):
                found.append(f"{place}: '{line}' is not followed; look there yourself for dhcp-host lines of our nodes")
    return found


def conflicts(found: Iterable[Host], others: Iterable[ForeignHost]) -> list[Fault]:
    """Return a fault for each foreign line that gives one of our nodes an address, or one of their addresses to another."""
    by_word = {word: each for each in found for word in (each.mac, each.address)}
    faults = []
    for other in others:
        host = by_word.get(other.word)
        if "*" in other.word and CARD.fullmatch(other.word):
            host = next((each for mac, each in by_word.items() if fnmatch.fnmatchcase(mac, other.word)), None)
        if host is not None:
            what = f"has a dhcp-host of its own with {other.word}, which is {host.name}'s"
            faults.append(Fault(other.place, what, "Remove the line, or the node"))
    return faults


def _binds(files: Iterable[str]) -> bool:
    return any(line in ("bind-interfaces", "bind-dynamic") for path in files for _place, line in _lines(path))


def _lease_file(files: Iterable[str]) -> str:
    """Return where dnsmasq keeps its leases: what a file of others says last, else Debian's place."""
    said = [line.partition("=") for path in files for _place, line in _lines(path)]
    return next((value.strip() for key, _equals, value in reversed(said) if key.strip() == "dhcp-leasefile"), leases.LEASES)


@dataclass
class DnsmasqPlan:
    """The drop-in as it is and as it has to be, and the leases that stand in its way."""

    path: str
    main: str
    others: list[str]
    present: str | None
    text: str
    found: list[Host]
    lease_file: str
    stale: list[leases.Lease]
    restarted: bool
    silent: list[Host]
    """Nodes that a proxy can't tell anything."""

    def lines(self) -> list[str]:
        """Return the lines that come and go, and the leases that are dropped."""
        dropped = [f"- {self.lease_file}: {lease.line}" for lease in self.stale]
        return linechanges.told(self.path, self.present, self.text) + dropped

    def result(self) -> dict[str, Any]:
        """Return the file, the hosts in it, and whether the daemon is started anew with it for the sake of leases."""
        return {
            "path": self.path,
            "restarted": self.restarted,
            "hosts": {host.name: {"mac": host.mac, "ip": host.address} for host in self.found},
        }

    def validate(self) -> None:
        """Have dnsmasq test the whole configuration as it would be, ours beside copies of the others' files."""
        with scratch("dnsmasq") as directory:
            for path in self.others:
                if path != self.main:
                    shutil.copyfile(path, os.path.join(directory, os.path.basename(path)))
            write_file(os.path.join(directory, os.path.basename(self.path)), self.text.encode())
            main = self.main if os.path.isfile(self.main) else "/dev/null"
            command = ["dnsmasq", "--test", f"--conf-file={main}", f"--conf-dir={directory},{','.join(IGNORED)}"]
            run_command(command, limit=LIMIT, mend="Correct the line that dnsmasq names; nothing was changed")

    def apply(self) -> None:
        """Put the drop-in in place after dnsmasq has accepted it; leases are dropped while the daemon is stopped, and before.

        Cut off in between, the next run still finds in the old drop-in whose leases were to go.
        """
        self.validate()
        if self.restarted:
            leases.stop()
        try:
            if self.stale:
                leases.drop(self.lease_file, [(lease.mac, lease.address) for lease in self.stale])
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            write_file(self.path, self.text.encode())
        finally:
            if self.restarted:
                leases.start()


def plan(site: Site, params: dict[str, Any], own: Sequence[str], named: Site | None = None) -> DnsmasqPlan:
    """Return the plan for the declared site; `named` has the names that are told, by default the same site.

    Raises SiteError with every fault of options, nodes and foreign files.
    """
    params = {**params, "interfaces": params["interfaces"] or interfaces(site)}
    raise_faults(settings_faults(params) + proxy.faults(params))
    path = params["path"]
    found = hosts(site, own) if params["dhcp"] else []
    silent = [host for host in found if params["proxy"] and not proxy.is_told(host.method)]
    found = [host for host in found if not params["proxy"] or proxy.is_told(host.method)]
    others = foreign_files(params["main_file"], path)
    told = names.records(named or site) if params["dns"] and params["records"] else []
    faults = conflicts(found, foreign_hosts(others))
    raise_faults(faults + names.conflicts(told, [line for other in others for line in _lines(other)]))
    raw = read_bytes(path)
    present = None if raw is None else raw.decode(errors="replace")
    text = render(site, found, params, _binds(others), own, told)
    lease_file = params["lease_file"] or _lease_file(others)
    stale = _stale(lease_file, [] if params["proxy"] else found, present or "") if params["dhcp"] else []
    restarted = bool(stale) and leases.is_running()
    return DnsmasqPlan(path, params["main_file"], others, present, text, found, lease_file, stale, restarted, silent)


def _stale(path: str, found: Iterable[Host], present: str) -> list[leases.Lease]:
    """Return the leases that have to go so that every host gets its address, and no host that is gone keeps one."""
    known = leases.parse((read_bytes(path) or b"").decode("utf-8", "surrogateescape"))
    return leases.stale(known, [(host.mac, host.address) for host in found], leases.given(present))


def read_and_plan(params: dict[str, Any], warn: Callable[[str], None]) -> DnsmasqPlan:
    """Read the site and the files of dnsmasq and plan; `params` are the options of the module."""
    with open_store(params["site"]) as store:
        site = Site(store.tables(), local_addresses())
    named = site
    if params["own"]:
        site = own_view(site)
    decided = plan(site, params, local_addresses(), named)
    for sentence in unread(decided.others, decided.path):
        warn(sentence)
    missing = left_out(site, [*decided.found, *decided.silent]) if params["dhcp"] else []
    for sentence in missing + proxy.left_out(decided.silent):
        warn(sentence)
    return decided
