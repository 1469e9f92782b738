# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo` shows and `make test` looks at: a site converged, two nodes booted from it, one of them twice."""

from __future__ import annotations

from collections.abc import Callable

import booting
import claims
import drives
import kills
import levels
import manager
import memory
import predictions
import rebuilding
import reports
import update
import volumes
from converge import RECAP, converge, play
from facts import conclude
from lab import Lab
from matrix import GRUB, Machines
from places import LAB
from processes import LabError
from qemu import Node

BOOT_LIMIT = 1200
OFF_LIMIT = 600
ABSENT = 60
"""Seconds that the answer service stays away from a node that asks for it."""
POWEROFF = "systemctl --no-block poweroff"
DONE = r"STATELITE node="
"""What a node's agent says at its end."""
SERVICE = "statelite-answer.service"
PACKAGE_LIST = "/install/custom/netboot/debian/compute.pkglist"


def demo(lab: Lab) -> bool:
    """Play the demonstration; return whether every fact is as it must be."""
    two_nodes_boot(lab)
    image_is_rebuilt(lab)
    first_node_starts_again(lab)
    claims.of_the_lease(lab)
    first_node_is_up_again(lab)
    return conclude(lab.facts, lab.run)


def test(lab: Lab) -> bool:
    """Play the demonstration and look at more on its way: killed builds, boot reports, missing levels, a service that is away, copies.

    At the end, side by side, one node boots stateless and another machine by UEFI and GRUB 2.
    """
    two_nodes_boot(lab)
    image_is_rebuilt(lab, killing=True)
    levels.optional_ones_go_missing(lab)
    first_node_starts_again(lab)
    claims.of_the_lease(lab)
    reports.agree(lab, lab.second)
    second_node_is_asked_for_much(lab)
    first_node_is_up_again(lab)
    levels.were_left_out(lab, lab.first)
    reports.agree(lab, lab.first)
    second_node_gets_all(lab)
    reports.agree(lab, lab.second, overlays="0")
    volumes.copied_alike(lab)
    update.reaches_running_nodes(lab)
    sample_tables_fit(lab)
    with lab.progress.stage("n2 powers itself off", lab.second.console):
        switch_off(lab, lab.second)
    lab.first.stop()
    efi = Machines(lab)
    efi.are_declared()
    machine = efi.switch_on(GRUB)
    try:
        memory.stateless_boots(lab, lab.second)
        efi.came_up(GRUB)
    finally:
        machine.stop()
    return conclude(lab.facts, lab.run)


def in_memory(lab: Lab) -> bool:
    """Converge once, and boot both nodes with their roots in memory: one stateless, one as statelite."""
    log = lab.run / "converge-1.log"
    with lab.progress.stage("the site playbook converges a bare machine, image and all", log):
        lab.box.put(LAB / "content")
        converge(lab.box, log)
    memory.both_boot(lab)
    return conclude(lab.facts, lab.run)


def by_network_manager(lab: Lab) -> bool:
    """Boot and look at the same two nodes with an image that gets addresses by NetworkManager alone; once more in a rebuild loop."""
    two_nodes_boot(lab, manager.alone)
    manager.of_running_nodes(lab)
    manager.of_the_lease(lab)
    with lab.progress.stage("both nodes power themselves off", lab.second.console):
        for node in lab.nodes:
            lab.talk.run(node, POWEROFF)
        for node in lab.nodes:
            node.wait_off(OFF_LIMIT)
    rebuilding.both_boot(lab, memory.BOOT_LIMIT)
    return conclude(lab.facts, lab.run)


def two_nodes_boot(lab: Lab, furnish: Callable[[Lab], None] | None = None) -> None:
    """From a bare management node to two nodes that run; what is seen on the way are the facts.

    `furnish` changes what the image is made of.
    """
    site_is_made(lab, furnish)
    drives.before_the_first_boot(lab)
    predictions.foretell(lab, *lab.nodes)
    nodes_boot(lab)
    claims.of_running_nodes(lab)
    drives.at_the_first_boot(lab)
    for node in lab.nodes:
        predictions.prove(lab, node)
    levels.are_mounted_as_said(lab)
    claims.of_server_side_changes(lab)


def site_is_made(lab: Lab, furnish: Callable[[Lab], None] | None = None) -> None:
    """Converge the site twice; the second time nothing changes."""
    log = lab.run / "converge-1.log"
    with lab.progress.stage("the site playbook converges a bare machine, image and all", log):
        lab.box.put(LAB / "content")
        if furnish is not None:
            furnish(lab)
        converge(lab.box, log)
    log = lab.run / "converge-2.log"
    with lab.progress.stage("the same playbook again", log):
        changed = converge(lab.box, log)
    lab.saw("a second converge of the unchanged site: tasks that changed something", "mn1", str(changed), "0")


def nodes_boot(lab: Lab) -> None:
    """Have the playbook boot switch both nodes on, side by side, which waits for their reports; then wait until both are up."""
    with lab.progress.stage("n1 and n2 boot from the network, by the playbook boot", lab.first.console.with_name("n1-boot1.log")):
        told = booting.by_playbook(lab, lab.run / "boot.log", BOOT_LIMIT)
        for node in lab.nodes:
            lab.talk.wait_until_up(node, BOOT_LIMIT)
    title = "the playbook boot switched its power, waited for its report, and tells of it"
    lab.saw(title, "n1, n2", told, r"n1 booted at \S+, n2 booted at \S+")


def image_is_rebuilt(lab: Lab, killing: bool = False) -> None:
    """Add a package to the image's list and 200 MB to its content, and converge while both nodes run.

    With `killing`, the rebuild is killed a few times before it may end.
    """
    lab.box.command(f"echo less >> {PACKAGE_LIST}")
    volumes.grow(lab)
    if killing:
        kills.genimage_is_killed(lab)
    log = lab.run / "converge-3.log"
    with lab.progress.stage("the image is rebuilt with one more package while both nodes run from the old one", log):
        converge(lab.box, log)
    if killing:
        kills.nothing_is_left(lab)
    claims.of_a_rebuild(lab)


def first_node_starts_again(lab: Lab) -> None:
    """Power the first node off in order and on again."""
    with lab.progress.stage("n1 powers itself off", lab.first.console):
        switch_off(lab, lab.first)
    predictions.foretell(lab, lab.first)
    lab.first.start()


def first_node_is_up_again(lab: Lab) -> None:
    """Look at the second boot of the first node."""
    with lab.progress.stage("n1 boots a second time", lab.first.console):
        lab.talk.wait_until_up(lab.first, BOOT_LIMIT)
    claims.of_the_second_boot(lab)
    drives.at_the_second_boot(lab)
    predictions.prove(lab, lab.first)
    volumes.cost_nothing(lab)


def switch_off(lab: Lab, node: Node) -> None:
    """Let a node power itself off."""
    lab.talk.run(node, POWEROFF)
    node.wait_off(OFF_LIMIT)


def second_node_is_asked_for_much(lab: Lab) -> None:
    """Start the second node, which must copy now, while the answer service is away and a level that it must have is missing."""
    node = lab.second
    with lab.progress.stage("n2 powers itself off", node.console):
        switch_off(lab, node)
    with lab.progress.stage("n1 boots a second time until it needs the answer service no more, which is stopped", lab.first.console):
        lab.first.wait_for(DONE, BOOT_LIMIT)
        lab.box.command(f"systemctl stop {SERVICE}")
    levels.a_required_one_is_down(lab)
    volumes.copy_all(lab)
    predictions.foretell(lab, node)
    node.start()


def second_node_gets_all(lab: Lab) -> None:
    """Let the second node wait for the answer service, then for the level; it comes up when both are back."""
    node = lab.second
    with lab.progress.stage(f"n2 boots; the answer service comes back after {ABSENT} s", node.console):
        node.wait_for(r"statelite: boot plan: ", BOOT_LIMIT)
        if node.appears(DONE, ABSENT):
            raise LabError(f"n2 booted without a plan from the service that was away; its console is {node.console}")
        lab.box.command(f"systemctl start {SERVICE}")
    done = levels.the_required_one_returns(lab, node, BOOT_LIMIT)
    seen = f"plan={done[3]} failed={done[5]}, {lab.talk.ask(node, {'state': 'systemctl is-system-running'})['state']}"
    lab.saw(f"the answer service was away for {ABSENT} s: the node waited, then", "n2", seen, "plan=service failed=0, running")
    predictions.prove(lab, node)


def sample_tables_fit(lab: Lab) -> None:
    """Carry the document's two sample tables out on copies of the built image, and take them back; the play asserts what must be."""
    log = lab.run / "samples.log"
    with lab.progress.stage("the document's sample tables on the built image", log):
        failed = RECAP.findall(play(lab.box, log, str(LAB / "samples.yml")))
    seen = ", ".join(f"{tasks} tasks, {failures} failed" for _host, tasks, _changed, _gone, failures in failed)
    lab.saw("the document's sample tables: applied, unchanged, nothing outside, taken back", "mn1", seen, r"[1-9]\d* tasks, 0 failed")
