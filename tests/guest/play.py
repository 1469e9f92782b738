# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two guests with kernels of their own: what the kernel's NFS server and client make of what the collection writes and reads.

(no word)   everything, and the table of what was seen
hold        both guests kept up for trying things by hand
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import exporting
import ganesha
import mirror
import network
import places
import preflight
import reading
import sandbox
from collection import Collection
from disk import MACHINES, make_machine
from facts import Fact, table
from guest import Guest
from processes import LabError
from progress import Progress

WORDS = ("all", "hold")
PREPARE = Path(__file__).resolve().parent / "content/prepare.sh"


def outside(word: str) -> int:
    """Look whether the machine will do, fill the mirror where the machine's own network is, and go into namespaces of our own."""
    os.environ.pop("PYTHONPATH", None)
    preflight.require_machine()
    places.CACHE.mkdir(parents=True, exist_ok=True)
    log = places.CACHE / "mirror.log"
    with Progress().stage("the lab's mirror of Debian packages", log):
        mirror.make_mirror(log)
    return sandbox.enter([word], Path(__file__).resolve().parent)


def hold(guests: dict[str, Guest], progress: Progress, _collection: Collection, _facts: list[Fact]) -> None:
    """Keep the guests up until a signal ends the run."""
    inside = os.environ[sandbox.INSIDE]
    progress.say(f"enter: nsenter --net --mount --target $(tr -d ' ' </proc/{inside}/task/{inside}/children)")
    for guest in guests.values():
        progress.say(f"log in from there: ssh {' '.join(guest.ssh_options())} root@{guest.address}")
    while all(guest.server.running for guest in guests.values()):
        time.sleep(1)


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
    with progress.stage("the same site by nfs-ganesha"):
        facts.extend(ganesha.seen(server, client, collection))


def inside(word: str) -> int:
    """Raise the guests, look, print the table of facts; return the exit status."""
    os.environ.pop("PYTHONPATH", None)
    sandbox.settle()
    run = places.new_run("guest")
    progress = Progress()
    progress.say(f"the guests' logs are in {run}")
    facts: list[Fact] = []
    good = False
    try:
        with ExitStack() as ends:
            guests, collection = raise_guests(run, progress, ends)
            (hold if word == "hold" else everything)(guests, progress, collection, facts)
        good = bool(facts) and all(fact.holds for fact in facts)
    except LabError as error:
        progress.say(f"the guests failed: {error}")
    shown = table(facts)
    (run / "facts.txt").write_text(shown + "\n", encoding="utf-8")
    print(shown, flush=True)
    progress.say(f"guests: {len(facts)} facts, {'as they must be' if good else 'NOT as they must be'}; logs in {run}")
    return 0 if good else 1


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
        print(f"the guests failed: {error}", file=sys.stderr)
        sys.exit(1)
