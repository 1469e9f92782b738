# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service node in a box of its own: a node boots from it, and from nothing else, while the management node is switched off."""

from __future__ import annotations

import json
import time
from pathlib import Path

import mirror
import network
from box import Box, make_tree
from converge import RECAP, play
from facts import conclude
from lab import Lab
from nodes import KEY, Talk
from places import LAB
from processes import LabError
from reports import SPOOL

PLAYBOOK = "diskless.statelite.service_nodes"
INVENTORY = LAB / "service.yml"
ADDRESS = network.FURTHER[0]
BOOT_LIMIT = 900
OFF_LIMIT = 240
MARK = "written while the management node was down"
QUESTIONS = {
    "root": "findmnt --noheadings --list --output SOURCE,OPTIONS --types nfs,nfs4 / | tr ',' ' '",
    "servers": "grep --only-matching --extended-regexp '10\\.77\\.0\\.[0-9]+' /proc/cmdline /proc/mounts | sed 's/.*://' | sort --unique",
    "state": "systemctl is-system-running; systemctl --failed --no-legend --plain",
    "name": 'echo "$(id -un)@$(hostname)"',
    "own file": "cat /etc/node.conf",
    "kept": f"echo '{MARK}' > /etc/kept.conf; sync; cat /etc/kept.conf",
    "write": "touch /usr/written && echo WRITTEN",
}


def service(lab: Lab) -> bool:
    """Converge both servers, switch the management node off, boot n1; return whether every fact is as it must be."""
    log = lab.run / "setup.log"
    other = Box(make_tree(mirror.make_mirror(log), log), lab.run / "box-sn1", lab.run, "sn1", ADDRESS)
    try:
        with lab.progress.stage("the service node starts", other.log):
            other.wait_until_up()
        servers_converge(lab, other)
        key = lab.box.command(f"cat {KEY}")
        management_node_goes(lab)
        node_boots(lab, other, key)
    finally:
        other.stop()
    return conclude(lab.facts, lab.run)


def servers_converge(lab: Lab, other: Box) -> None:
    """Make the site, let its key in on the service node, and converge that twice."""
    log = lab.run / "converge-1.log"
    with lab.progress.stage("the site playbook converges a bare management node, image and all", log):
        for machine in (lab.box, other):
            machine.put(LAB / "content")
        words = ["--inventory", str(INVENTORY), *reaching(other)]
        play(lab.box, log, "diskless.statelite.site", words)
    public = lab.box.command(f"cat {KEY}.pub").strip()
    other.command(f"echo 'restrict {public}' >> /root/.ssh/authorized_keys")
    log = lab.run / "converge-sn1-1.log"
    with lab.progress.stage("the service node gets tables, image and all that its node needs", log):
        serve(lab, other, log)
    log = lab.run / "converge-sn1-2.log"
    with lab.progress.stage("the same playbook again", log):
        changed = serve(lab, other, log)
    lab.saw("a second run of an unchanged service node: tasks that changed something", "sn1", str(changed), "0")
    listing = "ls /tftpboot/pxelinux.cfg | grep --line-regexp 'n[0-9]*' | tr '\\n' ' '"
    files = {machine.name: machine.command(listing).strip() for machine in (lab.box, other)}
    lab.saw("each server has the boot files of its own nodes", "both", json.dumps(files), json.dumps({"mn1": "n2", "sn1": "n1"}))


def reaching(other: Box) -> list[str]:
    """Return the words by which Ansible reaches the service node as well."""
    return ["--extra-vars", json.dumps({"lab_service_node_ssh": " ".join(other.ssh_options())})]


def serve(lab: Lab, other: Box, log: Path) -> int:
    """Run the playbook for service nodes; return how many tasks changed something."""
    recaps = RECAP.findall(play(lab.box, log, PLAYBOOK, ["--inventory", str(INVENTORY), *reaching(other)]))
    if not recaps:
        raise LabError(f"{PLAYBOOK} ran on no host")
    return sum(int(changed) for _host, _ok, changed, _unreachable, _failed in recaps)


def management_node_goes(lab: Lab) -> None:
    """Switch the management node off."""
    with lab.progress.stage("the management node is switched off", lab.box.log):
        lab.box.command("systemd-run --on-active=1 systemctl poweroff")
        if not lab.box.server.wait(OFF_LIMIT):
            raise LabError(f"the management node is still there after {OFF_LIMIT} s; its console is {lab.box.log}")


def node_boots(lab: Lab, other: Box, key: str) -> None:
    """Boot the service node's node, and note as facts what it is and where everything came from; the lab asks it with the site's `key`."""
    node, talk = lab.first, Talk(other)
    other.command(f"install -D --mode=0600 /dev/stdin {KEY}", script=key)
    with lab.progress.stage("n1 boots while the management node is down", node.console):
        node.start()
        done = talk.wait_until_up(node, BOOT_LIMIT)
        said = talk.ask(node, QUESTIONS)
    gone = other.command(f"ping -c 1 -W 2 {network.MANAGEMENT} >/dev/null 2>&1 && echo answers || echo silent").strip()
    lab.saw("the management node, when n1 was up", "mn1", f"{'running' if lab.box.server.running else 'off'}, {gone}", "off, silent")
    seen = f"plan={done[3]} failed={done[5]}"
    lab.saw("n1 carried a plan out that the service node gave it", "n1", seen, "plan=service failed=0")
    lab.saw("its root is on the service node, read-only", "n1", said["root"], rf"{ADDRESS}:/install/\S+/generations/\d+/rootimg\s+ro .*")
    servers = rf"(?:10\.77\.0\.11\n)?{ADDRESS}"
    lab.saw("all addresses in its kernel line and its mounts (n1 is .11)", "n1", said["servers"], servers)
    lab.saw("systemctl is-system-running; failed units (none)", "n1", said["state"], "running")
    lab.saw("its login and its name", "n1", said["name"], "root@n1")
    lab.saw("its own level comes from the service node", "n1", said["own file"], "made for n1 alone")
    lab.saw("its root refuses a write", "n1", said["write"], r"(?!.*WRITTEN).*Read-only file system.*")
    kept = other.command("cat /srv/state/n1/etc/kept.conf").strip()
    lab.saw("what it keeps is on the service node", "sn1", f"{said['kept']}; {kept}", f"{MARK}; {MARK}")
    lab.saw("its report is spooled on the service node", "sn1", report_on(other), rf"n1 from {lab.first.address}: plan service, failed 0")


def report_on(other: Box) -> str:
    """Return what the service node's spool has of n1, which may take a moment to arrive."""
    text = ""
    for _second in range(60):
        text = other.command(f"cat {SPOOL}/n1.json 2>/dev/null || true")
        if text:
            break
        time.sleep(1)
    told = json.loads(text or "{}")
    report = told.get("report", {})
    return f"{told.get('node')} from {told.get('address')}: plan {report.get('plan')}, failed {report.get('failed')}"
