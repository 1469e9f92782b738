# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for aarch64 and ppc64le, built on this machine under emulation, and a diskless machine of each that boots from its own.

(no word)   everything, and the table of what was seen
hold        the management node kept up, with both images built, for trying things by hand
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import mirror
import network
import places
import preflight
import sandbox
import seen
from box import Box, make_tree
from converge import converge
from facts import Fact, table
from foreign import ARCHITECTURES, INVENTORY, Emulators, handlers
from machines import Arm, Machine, Power
from nodes import Talk
from processes import LabError
from progress import Progress

HERE = Path(__file__).resolve().parent
WORDS = ("all", "hold")
BUILD_LIMIT = 5400
"""Seconds that both images may take, on a machine that is busy with other things."""
BOOT_LIMIT = 1800


def outside(word: str) -> int:
    """Look whether the machine will do, fill the mirrors where the machine's own network is, and go into namespaces of our own."""
    os.environ.pop("PYTHONPATH", None)
    preflight.require_machine()
    missing = preflight.missing_packages(preflight.package_names(HERE / "packages.txt"))
    if missing:
        raise LabError(f"this run needs Debian packages that are missing: {' '.join(missing)}")
    if handlers():
        mend = "take them away for the time of the run: systemctl stop systemd-binfmt"
        raise LabError(f"this machine's kernel has handlers for {' '.join(handlers())}, which the run would replace; {mend}")
    places.CACHE.mkdir(parents=True, exist_ok=True)
    log = places.CACHE / "mirror.log"
    with Progress().stage("mirrors of Debian packages for three architectures", log):
        make_mirrors(log)
    return sandbox.enter([word], HERE)


def make_mirrors(log: Path) -> dict[str, Path]:
    """Return the mirror of this machine's architecture and those of the others; make them first when their lists have changed."""
    found = {"": mirror.make_mirror(log)}
    found.update({osarch: each.make_mirror(osarch, log) for osarch, each in ARCHITECTURES.items()})
    return found


def inside(word: str) -> int:
    """Raise the management node, build, boot, print the table of facts; return the exit status."""
    os.environ.pop("PYTHONPATH", None)
    sandbox.settle()
    run = places.new_run("cross")
    progress = Progress()
    progress.say(f"the logs of this run are in {run}")
    facts: list[Fact] = []
    good = False
    try:
        with ExitStack() as ends:
            box = raise_box(run, progress, ends)
            for fact in images_are_built(box, run, progress):
                facts.append(fact)
            if word == "hold":
                hold(box, progress)
            facts += machines_boot(box, run, progress, ends)
        good = all(fact.holds for fact in facts)
    except LabError as error:
        progress.say(f"the run failed: {error}")
    shown = table(facts)
    (run / "facts.txt").write_text(shown + "\n", encoding="utf-8")
    print(shown, flush=True)
    progress.say(f"cross: {len(facts)} facts, {'as they must be' if good else 'NOT as they must be'}; logs in {run}")
    return 0 if good else 1


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
    for osarch, machine in machines.items():
        with progress.stage(f"{machine.name} ({osarch}) boots", machine.console):
            facts.append(seen.of_the_boot(talk.wait_until_up(machine, BOOT_LIMIT), osarch))
    for osarch, machine in machines.items():
        with progress.stage(f"{machine.name} is asked what it is", box.commands):
            facts += seen.of_the_node(talk, machine, osarch)
            facts.append(seen.of_the_state(box, machine))
    facts.append(seen.of_the_firmware(box, arm))
    return facts


def hold(box: Box, progress: Progress) -> None:
    """Keep the management node up until a signal ends the run."""
    inside = os.environ[sandbox.INSIDE]
    progress.say(f"enter: nsenter --net --mount --target $(tr -d ' ' </proc/{inside}/task/{inside}/children)")
    progress.say(f"log in from there: ssh {' '.join(box.ssh_options())} root@{network.MANAGEMENT}")
    while box.server.running:
        time.sleep(1)


def main(arguments: list[str]) -> int:
    """Do what the word says; return the exit status."""
    word = arguments[0] if arguments else "all"
    if len(arguments) > 1 or word not in WORDS:
        print(__doc__, file=sys.stderr)
        return 2
    return inside(word) if sandbox.inside() else outside(word)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        print(f"the run failed: {error}", file=sys.stderr)
        sys.exit(1)
