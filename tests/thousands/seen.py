# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen on the management node of thousands: how many nodes each service knows, and who answers them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from box import Box
from facts import Fact

GANESHA = "systemctl show --property=MainPID --value nfs-ganesha.service"
ASKED = """
import json, socket
talk = socket.socket(socket.AF_UNIX)
talk.connect("/run/kea/kea4-ctrl-socket")
talk.sendall(b'{"command": "config-get"}')
said = json.loads(b"".join(iter(lambda: talk.recv(65536), b"")))["arguments"]["Dhcp4"]
print(sum(len(subnet["reservations"]) for subnet in said["subnet4"]))
"""


@dataclass(frozen=True)
class Converged:
    """What one run of the playbook took: tasks that changed something, modules that ran, seconds."""

    changed: int
    modules: int
    seconds: float

    def verdict(self, most: int) -> str:
        """Return how many modules ran, of how many, or that they were more."""
        return f"{self.modules} of {most}" if self.modules <= most else f"{self.modules}, MORE THAN {most}"

    def __str__(self) -> str:
        return f"{self.modules} module runs, {self.changed} tasks changed, {self.seconds:.0f} s"


def ganesha(box: Box) -> str:
    """Return the process of the NFS server."""
    return box.command(GANESHA).strip()


def of_the_nodes(box: Box, count: int) -> Iterator[Fact]:
    """Every service knows every node."""
    asked = {
        "boot files": "ls /tftpboot/pxelinux.cfg | grep -cx 'n[0-9]*'",
        "addresses and names in dnsmasq's drop-in": "grep -cE '^(dhcp-host|host-record)=' /etc/dnsmasq.d/statelite.conf",
    }
    for title, command in asked.items():
        wanted = 2 * count if title.startswith("addresses") else count
        yield Fact(f"{title}, of {count} nodes", "mn1", box.command(command, limit=120).strip(), str(wanted))
    daemons = "systemctl is-active dnsmasq nginx nfs-ganesha statelite-answer | sort | uniq -c | xargs; systemctl is-system-running"
    yield Fact("daemons", "mn1", box.command(f"{daemons} || true").strip(), "4 active\nrunning")


def of_kea(box: Box, count: int) -> Iterator[Fact]:
    """Kea serves all of them, and dnsmasq gives no addresses any more."""
    yield Fact("Kea: reservations that the running daemon has", "mn1", box.command("python3 -", 120, ASKED).strip(), str(count))
    listening = "ss -H -l -u -n -p 'sport = :67' | grep -o 'kea-dhcp4\\|dnsmasq' | sort -u"
    yield Fact("who listens on the port of DHCP", "mn1", box.command(f"{listening} || true").strip(), "kea-dhcp4")
    logged = "journalctl --quiet --no-pager --output=cat --unit=kea-dhcp4-server | grep -cE ' (ERROR|FATAL) ' || true"
    yield Fact("Kea: errors in its journal", "mn1", box.command(logged).strip(), "0")
