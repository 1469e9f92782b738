# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the real build of the real image at moments nobody chose: what serves the nodes stays, and nothing else is left."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor

from converge import converge
from lab import Lab
from processes import LabError

KILLS = 3
"""How many real builds are killed (decisions.md, Measuring); twenty of a made-up distribution are an integration target."""
LATEST = 0.45
"""What part of a build from nothing is over at the latest when it is killed, by the time that the first one took on this machine."""
IMAGE = "/install/netboot/debian12/x86_64/compute"
CURRENT = f"readlink {IMAGE}/current"
HOLDER = f"lslocks --noheadings --notruncate --output PID,PATH | awk '$2 == \"{IMAGE}/.genimage.lock\" {{ print $1 }}'"
# grep and pgrep end with 1 when they find nothing, which is what must be seen; hence "true".
LOOPS = f"losetup --noheadings --list --output BACK-FILE | grep ^{IMAGE}/"
LEFT = f"findmnt --raw --noheadings --output TARGET | grep ^{IMAGE}/; {LOOPS}; pgrep --list-name 'mmdebstrap|dracut|dpkg' || true"


def genimage_is_killed(lab: Lab) -> None:
    """Start the rebuild that the site asks for, from nothing, and kill it, KILLS times; the caller lets the next one end."""
    before = lab.box.command(CURRENT).strip()
    lasts = json.loads(lab.box.command(f"cat {IMAGE}/{before}/record.json"))["seconds"]
    for number in range(1, KILLS + 1):
        moment = random.uniform(0.5, LATEST * lasts)
        log = lab.run / f"killed-{number}.log"
        with lab.progress.stage(f"a build of the image is killed after {moment:.1f} s", log), ThreadPoolExecutor(1) as pool:
            build = pool.submit(converge, lab.box, log, {"image_full": True}, "image")
            holder = builder(lab)
            time.sleep(moment)
            lab.box.command(f"kill -KILL {holder}")
            if build.exception() is None:
                raise LabError(f"the build that was to be killed after {moment:.1f} s had ended; its log is {log}")
        lab.saw(f"build {number} of the image killed: mounts and tools it left", "mn1", left(lab) or "none", "none")
        lab.saw(f"build {number} of the image killed: the published one", "mn1", lab.box.command(CURRENT).strip(), before)


def builder(lab: Lab) -> int:
    """Wait for the process in the box that builds the image, and return its number there."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        found = lab.box.command(HOLDER).split()
        if found:
            return int(found[0])
        time.sleep(0.5)
    raise LabError("no build of the image began")


def left(lab: Lab) -> str:
    """Return what a killed build has left running or mounted, after the seconds that the kernel needs to take it down."""
    for _second in range(60):
        seen = lab.box.command(LEFT).strip()
        if not seen:
            break
        time.sleep(1)
    return seen.replace("\n", " | ")


def nothing_is_left(lab: Lab) -> None:
    """After the build that could end: the generations are the one before and the new one, without a cut-off one."""
    names = lab.box.command(f"ls -A {IMAGE}/generations").split()
    lab.saw(f"after {KILLS} killed builds and a whole one: generations", "mn1", " ".join(sorted(names)), "1 2")
