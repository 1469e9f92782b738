# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents claim of a statelite node, each read from nodes that run: see "What must be seen" of issue 2."""

from __future__ import annotations

import re
import time

from lab import Lab
from processes import LabError
from qemu import Node

PROBE = "/usr/lab-probe"
LEVELS = "/srv/levels"
STATE = "/srv/state"
ISSUE_OF_DEBIAN = r"Debian GNU/Linux 12 .*"
SEEN_WITHIN = 300
"""Seconds in which a change on the server must show on a node: the site's attribute-cache time, and what QEMU makes of it."""
PAST_THE_LEASE = 180
"""Seconds of uptime at which the lab's two-minute lease has run out for certain."""
FORGET = "echo 3 > /proc/sys/vm/drop_caches"
"""What makes a node ask its server again: for files, and for names, which NFS looks up otherwise when they are not known yet."""
REFUSED = r"(?!.*WRITTEN).*(?:Read-only file system|Permission denied).*"

OF_ONE_NODE = {
    "write": f"touch {PROBE}; if [ -e {PROBE} ]; then echo WRITTEN; fi",
    "remount": f"mount -o remount,rw /; touch {PROBE}; if [ -e {PROBE} ]; then echo WRITTEN; fi; mount -o remount,ro /",
    "state": "systemctl is-system-running; systemctl --failed --no-legend --plain",
    "login": 'echo "$(id -un)@$(hostname)"',
    "journal": "journalctl --boot --quiet --lines=1 --output=cat | wc --lines",
    "motd": "cat /etc/motd",
    "own file": "cat /etc/node.conf",
    "pieces": "cat /etc/issue.net",
    "machine-id": "cat /etc/machine-id",
}
"""What both nodes are asked after their first boot."""


def of_running_nodes(lab: Lab) -> None:
    """Ask both nodes what a booted node must be, leave marks on the first, and try for another node's state."""
    with lab.progress.stage("both nodes are asked what they are", lab.box.commands):
        rooms = {lab.first.name: "attic", lab.second.name: "cellar"}
        identities = set()
        for node in lab.nodes:
            name, room = node.name, rooms[node.name]
            said = lab.talk.ask(node, OF_ONE_NODE)
            identities.add(said["machine-id"])
            lab.generations[name] = generation(lab, node)
            lab.saw("the root refuses a write", name, said["write"], REFUSED)
            lab.saw("the root refuses a write after `mount -o remount,rw /`", name, said["remount"], REFUSED)
            lab.saw("systemctl is-system-running; failed units (none)", name, said["state"], "running")
            lab.saw("an ssh login with the site's key", name, said["login"], f"root@{name}")
            lab.saw("lines of the journal that can be read (of one asked for)", name, said["journal"], "1")
            lab.saw("/etc/motd, one litetree row with $nodepos.room for all nodes", name, said["motd"], f"You are in the {room}\\.")
            lab.saw("a file from $noderes.nfsserver:/…/$node", name, said["own file"], f"made for {name} alone")
            pieces = rf"Debian GNU/Linux 12\npiece of {name}\npiece of the {room}\npiece of the site"
            lab.saw("a con entry: the image's content, then the pieces by priority", name, said["pieces"], pieces)
        lab.saw(
            "different machine-ids of the two nodes, 32 hex digits each", "both", " ".join(sorted(identities)), r"[0-9a-f]{32} [0-9a-f]{32}"
        )
        written = lab.box.command(f"find /install -name {PROBE.rpartition('/')[2]}")
        lab.saw("files that the refused writes left in the image on the server", "mn1", written.strip() or "none", "none")
        marks_are_left(lab)
        state_of_another_is_shut(lab)


def marks_are_left(lab: Lab) -> None:
    """Write to a volatile and to persistent entries of the first node, for the second boot."""
    questions = {
        "volatile": f"cat /etc/issue; {FORGET}; echo 'written by boot 1' > /etc/issue; cat /etc/issue",
        "persistent": f"{FORGET}; echo 'kept since boot 1' | tee /var/lib/site/kept /etc/kept.conf; ls /var/lib/site",
        "server's": "echo mine > /etc/site.conf; cat /etc/site.conf",
    }
    said = lab.talk.ask(lab.first, questions)
    lab.saw("a tmpfs entry: its default, then what boot 1 wrote", "n1", said["volatile"], ISSUE_OF_DEBIAN + "\nwritten by boot 1")
    lab.saw("persistent entries take a write of boot 1", "n1", said["persistent"], "kept since boot 1\nkept")
    refused = r".*(?:Read-only file system|Permission denied)\nsite: as the management node has it"
    lab.saw("an ro entry refuses a write of the node", "n1", said["server's"], refused)


def state_of_another_is_shut(lab: Lab) -> None:
    """Mount the first node's own state on it, then try for the second node's, in every way a mount can name it."""
    server = "10.77.0.1"
    questions = {
        "own": f"mount -t nfs -o vers=4.2,ro {server}:{STATE}/n1 /mnt && ls /mnt/var/lib/site; umount /mnt",
        "other": f"mount -t nfs -o vers=4.2,ro {server}:{STATE}/n2 /mnt && echo MOUNTED; umount -q /mnt",
        "other, v3": f"mount -t nfs -o vers=3,nolock,ro {server}:{STATE}/n2 /mnt && echo MOUNTED; umount -q /mnt",
        "above": f"mount -t nfs -o vers=4.2,ro {server}:{STATE} /mnt; ls /mnt/n2 && echo MOUNTED; umount -q /mnt",
        "other's level": f"mount -t nfs -o vers=4.2,ro {server}:{LEVELS}/nodes/n2 /mnt && echo MOUNTED; umount -q /mnt",
    }
    said = lab.talk.ask(lab.first, questions)
    lab.saw("the node's own state can be mounted once more", "n1", said["own"], "kept")
    shut = r"(?!.*MOUNTED)(?=.*(?:denied|No such file|not permitted|not supported|failed|cannot access)).+"
    lab.saw("another node's state can't be mounted (NFSv4.2)", "n1", said["other"], shut)
    lab.saw("another node's state can't be mounted (NFSv3)", "n1", said["other, v3"], shut)
    lab.saw("another node's state can't be reached from the directory above", "n1", said["above"], shut)
    lab.saw("another node's level can't be mounted", "n1", said["other's level"], shut)


def of_server_side_changes(lab: Lab) -> None:
    """Change what ro entries show while the node runs: a file replaced, and a file that appears in a directory."""
    with lab.progress.stage("files of the site change on the server while n1 runs", lab.box.commands):
        lab.box.command(
            f"cd {LEVELS}/site/etc && echo 'site: changed while nodes run' > site.conf.new && mv site.conf.new site.conf"
            " && echo 'policy: second' > site.d/later.conf"
        )
        asked = {"file": "cat /etc/site.conf", "directory": "cat /etc/site.d/*"}
        wanted = {"file": "site: changed while nodes run", "directory": "policy: second\npolicy: first"}
        deadline = time.monotonic() + SEEN_WITHIN
        said = lab.talk.ask(lab.first, asked)
        while said != wanted and time.monotonic() < deadline:
            time.sleep(5)
            said = lab.talk.ask(lab.first, asked)
    lab.saw("an ro file shows what the server changed while the node runs", "n1", said["file"], wanted["file"])
    lab.saw("an ro directory shows what appeared on the server", "n1", said["directory"], wanted["directory"])


def generation(lab: Lab, node: Node) -> str:
    """Return the generation of the image whose tree `node` has as its root; raise LabError when its root is anything else."""
    source = lab.talk.ask(node, {"root": "findmnt --noheadings --output SOURCE /"})["root"]
    found = re.search(r"/generations/([^/]+)/rootimg$", source)
    if found is None:
        raise LabError(f"the root of {node.name} is no generation of an image: {source}")
    return found[1]


def of_a_rebuild(lab: Lab) -> None:
    """After a rebuild, both nodes still run from the old tree, and read files of it that no cache holds."""
    asked = {
        "reads": f"{FORGET}; cat /usr/bin/* | wc --bytes",
        "less": "command -v less || echo 'no less'",
        "state": "systemctl is-system-running",
    }
    with lab.progress.stage("both nodes are asked whether the rebuild left them alone", lab.box.commands):
        for node in lab.nodes:
            said = lab.talk.ask(node, asked)
            seen = f"{said['reads']} bytes read, {said['less']}, {said['state']}, generation {generation(lab, node)}"
            lab.saw(
                "across an image rebuild the node works on from its own tree",
                node.name,
                seen,
                r"\d{7,} bytes read, no less, running, generation 1",
            )


def of_the_second_boot(lab: Lab) -> None:
    """What the first boot of the first node wrote: gone where volatile, kept where persistent; and its image is the new one."""
    asked = {
        "volatile": "cat /etc/issue",
        "directory": "cat /var/lib/site/kept",
        "file": "cat /etc/kept.conf",
        "less": "command -v less",
        "state": "systemctl is-system-running",
        "machine-id": "cat /etc/machine-id",
    }
    with lab.progress.stage("n1 is asked what its second boot found", lab.box.commands):
        said = lab.talk.ask(lab.first, asked)
        root = generation(lab, lab.first)
    lab.saw("boot 2: the tmpfs entry is back to its default", "n1", said["volatile"], ISSUE_OF_DEBIAN)
    lab.saw("boot 2: a persistent directory kept what boot 1 wrote", "n1", said["directory"], "kept since boot 1")
    lab.saw("boot 2: a persistent file kept what boot 1 wrote", "n1", said["file"], "kept since boot 1")
    wanted = rf"/usr/bin/less, generation (?!{lab.generations['n1']}$).+"
    lab.saw(f"boot 2: runs the rebuilt image, after generation {lab.generations['n1']}", "n1", f"{said['less']}, generation {root}", wanted)
    lab.saw("boot 2: systemctl is-system-running", "n1", said["state"], "running")
    before = next(fact.seen for fact in lab.facts if "machine-ids" in fact.title)
    lab.saw("boot 2: has the machine-id of boot 1", "n1", f"{said['machine-id'] in before}, {said['machine-id']}", r"True, [0-9a-f]{32}")


def of_the_lease(lab: Lab) -> None:
    """The second node, never restarted, works on after its two-minute lease has run out."""
    with lab.progress.stage("n2 passes the end of its two-minute lease"):
        while True:
            said = lab.talk.ask(
                lab.second,
                {
                    "uptime": "cut -d. -f1 /proc/uptime",
                    "writes": "echo still > /tmp/still && cat /tmp/still && sha256sum /usr/sbin/sshd | wc -w",
                    "state": "systemctl is-system-running",
                },
            )
            if int(said["uptime"]) > PAST_THE_LEASE:
                break
            time.sleep(5)
    ends = f"awk '/{lab.second.mac}/ {{print $1}}' /var/lib/misc/dnsmasq.leases"
    left = lab.box.command(f"end=$({ends}); echo $((${{end:-0}} - $(date +%s)))").strip()
    seen = f"up {said['uptime']} s, {' '.join(said['writes'].split())}, {said['state']}; its lease ends in {left} s"
    lab.saw("works on after its two-minute lease, which it renews", "n2", seen, r"up \d+ s, still 2, running; its lease ends in \d{1,3} s")
