# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill image_packages at random moments of its work in place, and see that the next run ends as an undisturbed one does.

    kill.py DIRECTORY SITE COUNT      DIRECTORY holds the image of the target's tasks, `debian12` of the database SITE

Killed is the process itself, with SIGKILL. Then: nothing is mounted, nobody works there, the tree that nodes run from is whole in
every listed file, and the next run leaves the tree that an undisturbed run leaves.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.removal import mounts_under
from ansible_collections.diskless.statelite.plugins.module_utils.apply.scratch import LARGE, PREFIX
from ansible_collections.diskless.statelite.plugins.module_utils.edit.difference import survey
from ansible_collections.diskless.statelite.plugins.module_utils.edit.image_packages import SPEC, read_and_plan

ALWAYS = ("usr/bin/vim", ".default/usr/bin/vim", "usr/share/doc", "etc/passwd", "bin", "usr/bin/openssl")
"""Paths that stand before, during and after."""

VOLATILE = ("/.statelite-edits.json", "/var/lib/dpkg/lock", "/var/lib/dpkg/triggers/Lock", "/var/lib/dpkg/lock-frontend")


def change(site: str, state: str) -> int:
    """Install or remove in this process; return how many packages changed."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    plan = read_and_plan({**params, "site": site, "image": "debian12", "packages": ["nano"], "state": state, "in_place": True}, print)
    if plan.lines():
        plan.apply()
    return len(plan.result()["packages"])


def looks(rootimg: Path) -> dict[str, tuple[int, tuple[int, int, int], str, bytes]]:
    """Return what is to be the same after a kill and a run as after an undisturbed one."""
    found = {}
    for path, thing in survey(str(rootimg)).items():
        place = rootimg / path.lstrip("/")
        content = place.read_bytes() if place.is_file() and not place.is_symlink() and path not in VOLATILE else b""
        found[path] = (thing.kind, thing.look, thing.text, content)
    return found


def workers(directory: Path) -> list[str]:
    """Return the processes that have anything to do with the image of `directory`: by their root, working directory or words."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            places = [os.readlink(process / name) for name in ("root", "cwd")]
        except OSError:
            continue
        if f"{directory}/image/" in words or any(place.startswith(f"{directory}/image/") for place in places):
            found.append(f"{process.name} {words}")
    return found


def abandoned() -> list[Path]:
    """Return the directories of runs that were killed while they asked the repositories."""
    found = []
    for path in Path(LARGE).glob(f"{PREFIX}packages-*"):
        with suppress(OSError):
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(path)
            finally:
                os.close(held)
    return found


def main() -> None:
    directory, site, count = Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3])
    rootimg = (directory / "image/current/rootimg").resolve()
    change(site, "absent")
    began = time.monotonic()
    change(site, "present")
    whole = time.monotonic() - began
    wanted = looks(rootimg)
    asking: list[Path] = []
    for number in range(count):
        change(site, "absent")
        worker = subprocess.Popen([sys.executable, __file__, str(directory), site, "change"], stdout=subprocess.DEVNULL)
        moment = random.uniform(0.2, whole)
        end = time.monotonic() + moment
        while time.monotonic() < end and worker.poll() is None:
            gone = [path for path in ALWAYS if not os.path.lexists(rootimg / path)]
            if gone:
                raise SystemExit(f"kill {number}: {gone} was missing")
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        end = time.monotonic() + 60
        while workers(directory) and time.monotonic() < end:
            time.sleep(0.02)
        left = [*mounts_under(str(directory)), *workers(directory)]
        if left:
            raise SystemExit(f"kill {number} after {moment:.2f} s left {left}")
        asking = [*asking, *abandoned()]
        change(site, "present")
        if any(path.exists() for path in asking):
            raise SystemExit(f"kill {number} after {moment:.2f} s: of {asking} the next run left some")
        now = looks(rootimg)
        if now != wanted:
            differ = sorted(path for path in {*now, *wanted} if now.get(path) != wanted.get(path))
            raise SystemExit(f"kill {number} after {moment:.2f} s: {differ[:8]} differ")
        staged = [name for name in os.listdir(directory / "image/generations") if name.startswith(".")]
        if staged or (rootimg.parent / ".liteimg/edit.json").exists():
            raise SystemExit(f"kill {number} after {moment:.2f} s: {staged or 'the journal'} is left")
        print(f"kill {number} after {moment:.2f} of {whole:.2f} s: mended")
    print(f"{len(asking)} of {count} were killed while they asked the repositories")


if __name__ == "__main__":
    if sys.argv[3] == "change":
        change(sys.argv[2], "present")
    else:
        main()
