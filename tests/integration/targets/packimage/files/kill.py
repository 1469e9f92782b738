# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill packimage at random moments and see that what was packed before stands, and that the next run packs as an undisturbed one.

kill.py DIRECTORY COUNT      DIRECTORY holds image/generations/1/rootimg; prints one line a kill, fails on the first fault
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.packs import packs
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.pack.packimage import SPEC, plan_packimage

FORMS = ("cpio", "tar", "squashfs", "erofs")
TABLE = {"imagename": "i", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "netboot"}


def plan(work: Path, method: str):
    site = Site({"osimage": [TABLE], "linuximage": [{"imagename": "i", "rootimgdir": str(work / "image")}]})
    params = {name: option.get("default") for name, option in SPEC.items()}
    return plan_packimage(site, {**params, "image": "i", "method": method, "source_date_epoch": 1_700_000_000}, {})


def packed(work: Path, method: str) -> None:
    plan(work, method).apply()


def killed(work: Path, method: str, after: float) -> bool:
    """Pack in a process of its own and kill it `after` seconds; return whether it was still at work."""
    child = os.fork()
    if child == 0:
        packed(work, method)
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def at_work(work: Path) -> list[str]:
    """Return the processes that work below the directory."""
    found = subprocess.run(["pgrep", "--full", "--list-full", str(work)], capture_output=True, text=True, check=False).stdout
    return [line for line in found.splitlines() if "kill.py" not in line and "pgrep" not in line]


def main(work: Path, count: int) -> None:
    generation = Generation(str(work / "image"), 1)
    digests, seconds = {}, {}
    for method in FORMS:
        started = time.monotonic()
        packed(work, method)
        seconds[method] = time.monotonic() - started
        digests[method] = packs(generation)["stateless"].digest
    for number in range(count):
        before = packs(generation)["stateless"]
        method = FORMS[number % len(FORMS)]
        moment = random.uniform(0, seconds[method])
        ended = "killed" if killed(work, method, moment) else "done before"
        now = packs(generation)["stateless"]
        content = hashlib.sha256(Path(now.file).read_bytes()).hexdigest()
        assert now.digest == f"sha256:{content}", f"{now.file} is not what its record says"
        assert ended == "done before" or now == before or now.digest == digests[method], "neither the old pack nor a whole new one"
        ends = time.monotonic() + 60
        while at_work(work):
            assert time.monotonic() < ends, at_work(work)
            time.sleep(0.02)
        packed(work, method)
        assert packs(generation)["stateless"].digest == digests[method]
        left = [name for name in os.listdir(work / "image/generations") if name != "1"]
        assert not left, left
        print(f"{method} {ended} after {moment:.2f} s: mended")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
