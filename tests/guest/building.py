# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role build_host mounts what it needs: the client builds an image from packages that it has from the server's /install alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from collection import Collection
from facts import Fact
from guest import Guest
from places import BOX, REPOSITORY
from processes import LabError, run

PLAYBOOK = "building.yml"
FABRICATE = REPOSITORY / "tests/integration/targets/genimage/files/fabricate.py"
PARTS = ("tiny/archive", "tiny/lists", "tiny/pki")
FAULTY = "faulty"
MISSING = "package-that-nobody-has"
IMAGE = "/install/netboot/debian12/x86_64/tiny"
MOUNTED = "findmnt --noheadings --output FSTYPE,SOURCE,OPTIONS /install || echo nothing"
THERE = "ls -d /install/tiny 2> /dev/null || echo nothing"
RECORD = f"cat {IMAGE}/generations/*/record.json"


def seen(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """Build with a list that can't be built, then with a right one, then once more."""
    logs = collection.logs
    distribution = fabricated(logs)
    words = ("--extra-vars", f"guest_distribution={distribution}")
    before = client.ask({"tiny": THERE})["tiny"]
    yield Fact("packages of the image on the build host before", "client", before, "nothing")
    yield Fact("a build that fails there", "server", failed(collection, *words, "--extra-vars", f"guest_list={FAULTY}"), f".*{MISSING}.*")
    yield Fact("what is mounted on the build host after it", "client", client.ask({"install": MOUNTED})["install"], "nothing")
    done = collection.play(PLAYBOOK, *words)
    yield Fact("a build with /install mounted from the management node", "server", done["server"], r"changed=\d+ failed=0")
    wrote = (logs / f"play-{collection.plays}.log").read_text(encoding="utf-8")
    yield Fact("of it, what was mounted, and taken away", "client", _changed(wrote), "mounted /install, unmounted /install")
    record = server.run(RECORD)
    built = re.findall(r'"host": "([^"]*)"', record)
    yield Fact("the generation on the management node was built on", "server", " ".join(built), re.escape(client.address))
    packages = server.run(f"ls {IMAGE}/generations/1/rootimg/var/lib/dpkg/info/*.list | wc -l").strip()
    yield Fact("packages in it", "server", packages, r"[1-9]\d*")
    left = client.ask({"install": MOUNTED, "tiny": THERE, "build": "ls -A /var/lib/statelite/build/tiny 2> /dev/null || echo nothing"})
    yield Fact("left on the build host: mount, packages, image", "client", " ".join(left.values()), "nothing nothing nothing")
    again = collection.play(PLAYBOOK, *words)
    yield Fact("the same again", "server", again["server"], "changed=0 failed=0")


def fabricated(logs: Path) -> Path:
    """Return an archive of a tiny distribution whose one list names a package that it has not."""
    home = logs / BOX
    log = logs / "fabricate.log"
    run([sys.executable, str(FABRICATE), str(home / "tiny")], log=log, limit=120)
    (home / "tiny/lists" / f"{FAULTY}.pkglist").write_text(f"#INCLUDE:base.pkglist#\n{MISSING}\n", encoding="utf-8")
    run(["tar", "--create", f"--file={home / 'tiny.tar'}", f"--directory={home}", *PARTS], log=log, limit=60)
    return home / "tiny.tar"


def failed(collection: Collection, *words: str) -> str:
    """Return what a run that fails says of it."""
    try:
        collection.play(PLAYBOOK, *words)
    except LabError:
        wrote = (collection.logs / f"play-{collection.plays}.log").read_text(encoding="utf-8", errors="replace")
        fatal = " | ".join(line for line in wrote.splitlines() if line.startswith("fatal:"))
        found = re.search(rf"[^\\\n]{{0,60}}{MISSING}", fatal)
        return found[0] if found else fatal[:300]
    return "it did not fail"


def _changed(wrote: str) -> str:
    """Return what the tasks that mount and unmount say that they did."""
    found = []
    for title, word in (("Mount from the management node", "mounted"), ("Take the mounts away again", "unmounted")):
        said = wrote.partition(f": {title}]")[2].partition("TASK [")[0]
        found += [f"{word} {place}" for place in re.findall(r"^changed: .*\(item=(\S+)\)", said, re.MULTILINE)]
    return ", ".join(found)
