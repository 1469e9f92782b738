# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a node came that has not reported, read from what this server's own daemons logged of it. Pure but for `read_logs`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..apply.commands import is_installed, run_command
from ..errors import SiteError

UNITS = ("dnsmasq.service", "kea-dhcp4-server.service", "statelite-answer.service")
ACCESS_LOG = "/var/log/nginx/access.log"
LOG_LIMIT = 16 * 1024 * 1024
"""Bytes of nginx's log that are read, from its end."""
JOURNAL_LIMIT = 60.0

SILENT, ASKS, HAS_ADDRESS, FETCHED, KERNEL, INITRAMFS, PLAN = range(7)
"""How far a node came, in order."""

MAC = r"(?P<mac>(?:[0-9a-f]{2}:){5}[0-9a-f]{2})"
PATTERNS = [
    (ASKS, re.compile(rf"DHCPDISCOVER\(\S+\) (?:\S+ )?{MAC}(?P<no> no address available| ignored)?")),
    (HAS_ADDRESS, re.compile(rf"DHCPACK\(\S+\) \S+ {MAC}")),
    (ASKS, re.compile(rf"DHCP4_LEASE_ADVERT .*\[hwtype=1 {MAC}\]")),
    (HAS_ADDRESS, re.compile(rf"DHCP4_LEASE_ALLOC .*\[hwtype=1 {MAC}\]")),
    (FETCHED, re.compile(r"sent (?P<file>/.*) to (?P<address>[0-9a-fA-F.:]+)$")),
    (SILENT, re.compile(r"file (?P<missing>/.*) not found for (?P<address>[0-9a-fA-F.:]+)$")),
    (PLAN, re.compile(r"INFO \S+ \((?P<address>[0-9a-fA-F.:]+)\) asks (?:bootplan|litefile|litetree)$")),
]
GET = re.compile(r'^(?P<address>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?:GET|HEAD) (?P<file>\S+)[^"]*" (?P<status>\d+)')


@dataclass
class Trace:
    """What the daemons logged of one node: the farthest step, the last file that it fetched, files that were not there."""

    step: int = SILENT
    file: str = ""
    missing: list[str] = field(default_factory=list)
    refused: str = ""

    def came(self, step: int) -> None:
        """Note a step."""
        self.step = max(self.step, step)

    def fetched(self, file: str) -> None:
        """Note a file that was sent to the node."""
        name = os.path.basename(file)
        self.file = file
        self.came(KERNEL if name.startswith("kernel") else INITRAMFS if name.startswith("initrd") else FETCHED)


def traces(lines: Iterable[str], requests: Iterable[str], macs: Mapping[str, str], addresses: Mapping[str, str]) -> dict[str, Trace]:
    """Return what is known of each node, by name.

    `lines` are of the journal, `requests` of nginx's log; `macs` (lower case) and `addresses` lead to names.
    """
    found: dict[str, Trace] = {}
    for line in lines:
        for step, pattern in PATTERNS:
            match = pattern.search(line)
            if match is not None:
                _note(found, step, match.groupdict(), macs, addresses)
                break
    for line in requests:
        match = GET.match(line)
        name = addresses.get(match["address"]) if match else None
        if match and name:
            trace = found.setdefault(name, Trace())
            if match["status"].startswith(("2", "3")):
                trace.fetched(match["file"])
            elif match["status"] == "404":
                trace.missing.append(match["file"])
    return found


def _note(
    found: dict[str, Trace], step: int, said: Mapping[str, str | None], macs: Mapping[str, str], addresses: Mapping[str, str]
) -> None:
    name = macs.get((said.get("mac") or "").lower()) or addresses.get(said.get("address") or "")
    if not name:
        return
    trace = found.setdefault(name, Trace())
    trace.came(step)
    if said.get("file"):
        trace.fetched(said["file"] or "")
    if said.get("missing"):
        trace.missing.append(said["missing"] or "")
    if said.get("no"):
        trace.refused = (said["no"] or "").strip()


def cause(trace: Trace, mac: str, logged: bool) -> str:
    """Return for a person how far a node came, and where to look; `logged` says whether there were logs to read."""
    if not logged:
        return "has not reported; the journal of this server can't be read, so it is not known how far it came"
    missing = f"; not found: {trace.missing[-1]}" if trace.missing else ""
    if trace.step == SILENT and not trace.missing:
        card = f"no DHCP request of {mac} came" if mac else "the table mac has no card for it"
        return f"{card}: is it switched on, does it boot from that card, is the card in this network?"
    if trace.step <= ASKS and trace.refused:
        mend = "is it in the tables mac and hosts, has the role pxe run since?"
        return f"it asks for an address and the DHCP server has none for {mac} ({trace.refused}): {mend}"
    if trace.step <= ASKS and not trace.missing:
        return f"it asks for an address ({mac}) and takes none: another DHCP server, or answers that do not reach it?"
    if trace.step <= HAS_ADDRESS:
        return f"it has its address and fetched nothing{missing}: boot loader, TFTP and a firewall between?"
    if trace.step == FETCHED:
        return f"it fetched {trace.file}, and no kernel after it{missing}"
    if trace.step == KERNEL:
        return f"it fetched {trace.file}, and no initramfs after it{missing}"
    if trace.step == INITRAMFS:
        mend = "a kernel that does not come up, no driver for its card, or no way to port 3001?"
        return f"it fetched kernel and initramfs and asks for no plan: {mend}"
    return "it asked for its plan and has not reported: look at its console"


def read_logs(since: int, access_log: str) -> tuple[list[str], list[str], bool]:
    """Return lines of the journal and of nginx's log since a moment (seconds of the epoch), and whether there is a journal."""
    lines: list[str] = []
    logged = is_installed("journalctl")
    if logged:
        units = [word for unit in UNITS for word in (f"_SYSTEMD_UNIT={unit}", "+")][:-1]
        command = ["journalctl", f"--since=@{since}", "--no-pager", "--quiet", "--output=cat", *units]
        try:
            lines = run_command(command, limit=JOURNAL_LIMIT, mend="Look at the journal").splitlines()
        except SiteError:
            logged = False
    return lines, list(_requests(since, access_log)), logged


def _requests(since: int, access_log: str) -> Sequence[str]:
    try:
        with open(access_log, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_LIMIT))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if _moment(line) >= since]


def _moment(line: str) -> float:
    """Return when a line of nginx's log was written; 0 for another line."""
    match = GET.match(line)
    try:
        return datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp() if match else 0.0
    except ValueError:
        return 0.0
