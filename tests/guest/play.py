# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two guests with kernels of their own: what the kernel's NFS server and client make of what the collection writes and reads.

(no word)   everything, and the table of what was seen
hold        both guests kept up for trying things by hand
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import building
import exporting
import ganesha
import mirror
import network
import places
import reading
import thousands
from collection import Collection
from disk import MACHINES, make_machine
from facts import Fact
from guest import Guest
from progress import Progress
from runs import Run, Stages, hold

HERE = Path(__file__).resolve().parent
PREPARE = HERE / "content/prepare.sh"


def make_mirror(log: Path) -> None:
    """Fill the mirror where the machine's own network is."""
    with Progress().stage("the lab's mirror of Debian packages", log):
        mirror.make_mirror(log)


def everything(guests: dict[str, Guest], progress: Progress, collection: Collection, facts: list[Fact]) -> None:
    """Declare the site on both guests, lock the server down, and look."""
    server, client = guests["server"], guests["client"]
    with progress.stage("the site is declared, and the server exports it"):
        for guest in (server, client):
            guest.run(PREPARE.read_text(encoding="utf-8"), limit=180)
        first = collection.play("site.yml")
        again = collection.play("site.yml", "--tags", "nfs_exports")
    facts.append(Fact("the role's own assertion of the effective table", "server", first.get("server", ""), r"changed=\d+ failed=0"))
    facts.append(Fact("the role again", "server", again.get("server", ""), "changed=0 failed=0"))
    with progress.stage("what the kernel exports, to whom"):
        facts.extend(exporting.seen(server, client, collection))
    with progress.stage("levels read by NFS mounts"):
        facts.extend(reading.seen(server, client, collection))
    with progress.stage("an image is built on the client, which mounts the server's /install"):
        facts.extend(building.seen(server, client, collection))
    with progress.stage("5,000 exports on the kernel's server"):
        facts.extend(thousands.seen(server, client, collection))
    with progress.stage("the same site by nfs-ganesha"):
        facts.extend(ganesha.seen(server, client, collection))


def play(stages: Stages) -> None:
    """Raise the guests, and look at them or keep them up."""
    guests, collection = raise_guests(stages.logs, stages.progress, stages.ends)
    if stages.word == "hold":
        logins = (f"{' '.join(guest.ssh_options())} root@{guest.address}" for guest in guests.values())
        hold(stages.progress, [guest.server for guest in guests.values()], *logins)
    else:
        everything(guests, stages.progress, collection, stages.facts)


def raise_guests(run: Path, progress: Progress, ends: ExitStack) -> tuple[dict[str, Guest], Collection]:
    """Raise network, mirror and both guests, and wait until they are up; `ends` takes down each."""
    log = run / "setup.log"
    with progress.stage("network, mirror and the guests' disk", log):
        network.raise_bridge(log)
        packages = mirror.make_mirror(log)
        ends.callback(mirror.serve(packages, network.HOST, run / "mirror-http.log").stop)
        machine = make_machine(packages, log)
    home = run / places.BOX
    home.mkdir()
    ends.callback(places.remove_tree, home)
    guests = {}
    for name in MACHINES:
        guests[name] = Guest(name, machine, home, run)
        ends.callback(guests[name].stop)
    for guest in guests.values():
        with progress.stage(f"guest {guest.name} starts", guest.console):
            guest.wait_until_up()
    return guests, Collection(guests["server"], home, run)


if __name__ == "__main__":
    sys.exit(Run("guest", __doc__, HERE, make_mirror, play).main())
