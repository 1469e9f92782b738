# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for aarch64 and ppc64le, built on this machine under emulation, and a diskless machine of each that boots from its own.

(no word)   everything, and the table of what was seen
hold        the management node kept up, with both images built, for trying things by hand
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import elsewhere
import mirror
import network
import places
import preflight
import seen
from box import Box, make_tree
from converge import converge
from facts import Fact
from foreign import ARCHITECTURES, INVENTORY, Emulators, handlers
from machines import Arm, Machine, Power
from nodes import Talk
from processes import LabError
from progress import Progress
from runs import Run, Stages, hold

HERE = Path(__file__).resolve().parent
BUILD_LIMIT = 5400
"""Seconds that both images may take, on a machine that is busy with other things."""
BOOT_LIMIT = 1800


def prepare(log: Path) -> None:
    """Look whether the machine will do, and fill the mirrors where its own network is."""
    missing = preflight.missing_packages(preflight.package_names(HERE / "packages.txt"))
    if missing:
        raise LabError(f"this run needs Debian packages that are missing: {' '.join(missing)}")
    if handlers():
        mend = "take them away for the time of the run: systemctl stop systemd-binfmt"
        raise LabError(f"this machine's kernel has handlers for {' '.join(handlers())}, which the run would replace; {mend}")
    with Progress().stage("mirrors of Debian packages for three architectures", log):
        make_mirrors(log)


def make_mirrors(log: Path) -> dict[str, Path]:
    """Return the mirror of this machine's architecture and those of the others; make them first when their lists have changed."""
    found = {"": mirror.make_mirror(log)}
    found.update({osarch: each.make_mirror(osarch, log) for osarch, each in ARCHITECTURES.items()})
    return found


def play(stages: Stages) -> None:
    """Raise the management node and build; boot from what was built, or keep the management node up."""
    box = raise_box(stages.logs, stages.progress, stages.ends)
    for fact in images_are_built(box, stages.logs, stages.progress):
        stages.facts.append(fact)
    if stages.word == "hold":
        hold(stages.progress, [box.server], f"{' '.join(box.ssh_options())} root@{network.MANAGEMENT}")
    else:
        stages.facts.extend(machines_boot(box, stages.logs, stages.progress, stages.ends))


def raise_box(run: Path, progress: Progress, ends: ExitStack) -> Box:
    """Raise network, mirrors, emulators and the management node; `ends` takes down each."""
    log = run / "setup.log"
    with progress.stage("network, mirrors and the tree of the management node", log):
        network.raise_bridge(log)
        mirrors = make_mirrors(log)
        ports = {"": mirror.PORT, **{osarch: each.port for osarch, each in ARCHITECTURES.items()}}
        for osarch, packages in mirrors.items():
            ends.callback(mirror.serve(packages, network.HOST, run / f"mirror-http{osarch}.log", ports[osarch]).stop)
        tree = make_tree(mirrors[""], log)
    with progress.stage("the management node starts", run / "box-console.log"):
        box = Box(tree, run / places.BOX, run)
        ends.callback(box.stop)
        box.wait_until_up()
    return box


def images_are_built(box: Box, run: Path, progress: Progress) -> Iterator[Fact]:
    """Converge a site whose images are foreign: refused, then emulators and images by the playbook for them, then all the rest, twice."""
    emulators = Emulators(box, run)
    log = run / "converge-refused.log"
    with progress.stage("the site playbook, where programs of other architectures don't run", log):
        box.put(HERE / "content")
        yield from seen.of_a_refusal(box, log, run_refused(box, log))
    log = run / "cross-build.log"
    with progress.stage("the playbook cross_build: emulators, and both images under emulation", log):
        emulators.bring()
        yield Fact("the playbook cross_build", "mn1", emulators.build(log, BUILD_LIMIT), r"\d+ tasks, 0 failed")
    log = run / "converge-1.log"
    with progress.stage("the site playbook", log):
        converge(box, log, inventory=INVENTORY)
    log = run / "converge-2.log"
    with progress.stage("the same playbook again", log):
        changed = converge(box, log, inventory=INVENTORY)
    yield Fact("a second converge of the unchanged site: tasks that changed something", "mn1", str(changed), "0")
    for osarch in ARCHITECTURES:
        yield from seen.of_the_image(box, osarch)
    emulators.remove()


def run_refused(box: Box, log: Path) -> bool:
    """Run the site playbook and return whether it was refused."""
    try:
        converge(box, log, inventory=INVENTORY)
    except LabError:
        return True
    return False


def machines_boot(box: Box, run: Path, progress: Progress, ends: ExitStack) -> list[Fact]:
    """Switch a machine of each architecture on, side by side, and ask both what they are."""
    arm = Arm("arm1", "52:54:00:77:00:21", "10.77.0.21", run)
    power = Power("power1", "52:54:00:77:00:22", "10.77.0.22", run)
    power.tftpdir = box.directory / "tftpboot"
    machines: dict[str, Machine] = {"aarch64": arm, "ppc64le": power}
    talk, facts = Talk(box), []
    for machine in machines.values():
        ends.callback(machine.stop)
        machine.start()
    outcomes = {}
    for osarch, machine in machines.items():
        with progress.stage(f"{machine.name} ({osarch}) boots", machine.console):
            facts.append(seen.of_the_boot(talk.wait_until_up(machine, BOOT_LIMIT), osarch))
        outcomes[osarch] = f"{'booted' if facts[-1].holds else 'NOT booted'} in tests/cross: {facts[-1].seen}"
    elsewhere.tell(outcomes)
    for osarch, machine in machines.items():
        with progress.stage(f"{machine.name} is asked what it is", box.commands):
            facts += seen.of_the_node(talk, machine, osarch)
            facts.append(seen.of_the_state(box, machine))
    facts.append(seen.of_the_firmware(box, arm))
    return facts


if __name__ == "__main__":
    sys.exit(Run("cross", __doc__, HERE, prepare, play).main())
