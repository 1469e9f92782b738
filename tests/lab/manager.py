# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes whose initramfs gets its address by NetworkManager, as that of Enterprise Linux 10: Debian's own, with nothing else for it."""

from __future__ import annotations

import shlex
import time

from lab import Lab

LISTS = "/install/custom/netboot/debian"
TAKEN_AWAY = ("/usr/sbin/dhclient", "/usr/lib/dracut/modules.d/35network-legacy")
"""What Enterprise Linux 10 has no longer, and Debian's dracut brings along."""
PAST_THE_LEASE = 180
UNIT = "nm-initrd.service"
"""NetworkManager in the initramfs, as dracut has it."""
QUESTIONS = {
    "away": f"ls -d {' '.join(TAKEN_AWAY)} 2>&1 | grep -c 'No such file'",
    "initramfs": f"journalctl --boot --quiet --output=cat --unit={UNIT} | grep -o '^St.*ed {UNIT}' | tr '\\n' ' '",
    "address": "ip -4 -o address show scope global | grep -o '[0-9.]*/24.*' | tr -s ' \\\\' ' '",
    "root's": "systemctl is-active NetworkManager.service; nmcli --terse --fields TYPE,STATE device | grep ethernet",
    "resolver": "cat /etc/resolv.conf",
    "errors": "journalctl --boot --quiet --output=cat --priority=err --unit=NetworkManager.service",
}
OF_THE_LEASE = {
    "uptime": "cut -d. -f1 /proc/uptime",
    "writes": "echo still > /tmp/still && cat /tmp/still && sha256sum /usr/sbin/sshd | wc -w",
    "state": "systemctl is-system-running",
}


def alone(lab: Lab) -> None:
    """Let the image be made with NetworkManager, and without dhclient and the module of dracut that takes it."""
    away = "".join(f'rm -r "$IMG_ROOTIMGDIR"{path}\n' for path in TAKEN_AWAY)
    lab.box.command(f"echo network-manager >> {LISTS}/compute.pkglist; printf %s {shlex.quote(away)} >> {LISTS}/furnish")


def of_running_nodes(lab: Lab) -> None:
    """Ask both nodes how they got their address, and who has it now."""
    with lab.progress.stage("both nodes are asked about NetworkManager", lab.box.commands):
        for node in lab.nodes:
            said = lab.talk.ask(node, QUESTIONS)
            name = node.name
            wanted = rf"{node.address}/24 .* valid_lft forever preferred_lft forever"
            lab.saw("of dhclient and its module of dracut so many are not there", name, said["away"], "2")
            lab.saw("NetworkManager of the initramfs", name, said["initramfs"], f"Started {UNIT}.* Stopped {UNIT}.*")
            lab.saw("the address, and how long the kernel keeps it", name, said["address"], wanted)
            lab.saw("NetworkManager of the root, and what it does with the card", name, said["root's"], r"active\nethernet:unmanaged")
            lab.saw("errors of NetworkManager of the root", name, said["errors"] or "none", "none")
            lab.saw("/etc/resolv.conf", name, said["resolver"], r"nameserver 10\.77\.0\.1")


def of_the_lease(lab: Lab) -> None:
    """The second node works on when its lease, which nobody renews, has run out."""
    with lab.progress.stage("n2 passes the end of its two-minute lease"):
        said = lab.talk.ask(lab.second, OF_THE_LEASE)
        while int(said["uptime"]) <= PAST_THE_LEASE:
            time.sleep(5)
            said = lab.talk.ask(lab.second, OF_THE_LEASE)
    seen = f"up {said['uptime']} s, {' '.join(said['writes'].split())}, {said['state']}"
    lab.saw("works on after its two-minute lease, which it can't renew", "n2", seen, r"up \d+ s, still 2, running")
