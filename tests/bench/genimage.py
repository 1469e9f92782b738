# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""genimage against the bare package manager, and a build that starts from the last one against one from nothing, side by side.

python3 tests/bench/genimage.py [MIRROR]    builds the shipped image for Debian 12 some times and ends with 1 when a gate is missed.

MIRROR is a directory that holds `debian/` (the lab's; made when it is not given). Bare is what a person would type: mmdebstrap with the
same packages and sources, then dracut in a chroot, with the same words. Gates are of CPU time, which holds on a busy machine.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.removal import remove_tree
from ansible_collections.diskless.statelite.plugins.module_utils.image.asked import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.image.genimage import Genimage
from ansible_collections.diskless.statelite.plugins.module_utils.image.initramfs import dracut_arguments
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/image/files"
MORE = "rsync"
"""The package that the list has more the second time; dracut has no use for it."""
ROUNDS = 2
"""How often the two builds that are compared are done; the least of each is what the work itself takes."""
OVERHEAD = 1.10
TIMES = 3
NOTHING = 2.0
"""CPU seconds that an unchanged genimage may take, in a process of its own."""


@dataclass
class Taken:
    """What one build took."""

    cpu: float
    wall: float


def mirror() -> Path:
    """Return the lab's mirror, made when it is not there."""
    code = "import pathlib, sys; from mirror import make_mirror; print(make_mirror(pathlib.Path(sys.argv[1])))"
    log = ROOT / "build/log/bench-mirror.log"
    made = subprocess.run([sys.executable, "-c", code, str(log)], check=True, capture_output=True, text=True, cwd=ROOT / "tests/lab")
    return Path(made.stdout.splitlines()[-1])


def measured(act: Callable[[], object]) -> Taken:
    """Return the CPU seconds of this process and all that it started, and the seconds by the clock."""
    os.sync()
    begun, usage = time.monotonic(), _used()
    act()
    return Taken(_used() - usage, time.monotonic() - begun)


def _used() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def prepare(work: Path, debian: Path) -> None:
    """Write the site of one image."""
    for path in (ROLE / "pkglist").iterdir():
        shutil.copy(path, work)
    (work / "list").write_text("#INCLUDE:compute.debian12.x86_64.pkglist#\n")
    image = {"imagename": "bench", "osvers": "debian12", "osarch": os.uname().machine, "profile": "compute", "provmethod": "statelite"}
    source = f"deb [trusted=yes] copy:{debian}/debian bookworm main"
    linux = {"imagename": "bench", "pkglist": str(work / "list"), "pkgdir": source, "rootimgdir": str(work / "image")}
    with open_store(str(work / "site.db")) as store:
        store.write(plan_table(TABLES["osimage"], [], [image]))
        store.write(plan_table(TABLES["linuximage"], [], [linux]))


def plan(work: Path, **options: object) -> Genimage:
    """Return genimage's plan."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    places = {
        "dracut_module": str(ROLE / "dracut/95statelite"),
        "rootfs": str(ROLE / "rootfs"),
        "share": str(ROLE),
        "ca": "",
        "authorized_keys": "",
    }
    found = read_and_plan({**params, **places, "site": str(work / "site.db"), "image": "bench", **options}, print)
    if not isinstance(found, Genimage):
        sys.exit("no build was planned")
    return found


def build(work: Path, **options: object) -> Genimage:
    """Run genimage."""
    due = plan(work, **options)
    if not due.lines():
        sys.exit("there was nothing to build")
    due.apply()
    return due


def bare(work: Path, like: Genimage) -> None:
    """Build the same by hand, as far as tools do it."""
    root = work / "bare"
    installer = like.definition.installer
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "INITRD": "No"}
    command = ["mmdebstrap", *installer.arguments(), "bookworm", str(root), *installer.sources()]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = like.newest.record()
    agent = root / "usr/lib/dracut/modules.d/95statelite"
    subprocess.run(["cp", "-a", str(ROLE / "dracut/95statelite"), str(agent)], check=True)
    words = dracut_arguments(record["kernel_version"], record["drivers"])
    mounts = 'r=$1; shift; for d in dev proc sys; do mount --rbind /$d "$r/$d"; done; mount -t tmpfs tmpfs "$r/tmp"'
    script = f'set -e; {mounts}; exec chroot "$r" dracut "$@"'
    alone = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(root), *words]
    subprocess.run(alone, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def unchanged(work: Path) -> None:
    """Run an unchanged genimage in a process of its own, the start of Python and of its modules with it."""
    here = str(Path(__file__).parent)
    lines = ["import sys", "from pathlib import Path", f"sys.path.insert(0, {here!r})", "import genimage"]
    code = "; ".join([*lines, "sys.exit(bool(genimage.plan(Path(sys.argv[1])).lines()))"])
    subprocess.run([sys.executable, "-c", code, str(work)], check=True)


def compare(work: Path, debian: Path) -> bool:
    """Print the figures; return whether every gate is kept."""
    prepare(work, debian)
    rounds = [measured(lambda: build(work))]
    hand = []
    for _round in range(ROUNDS):
        hand.append(measured(lambda: bare(work, plan(work))))
        remove_tree(str(work / "bare"))
        if len(rounds) < ROUNDS:
            rounds.append(measured(lambda: build(work, force=True, full=True)))
    (work / "list").write_text((work / "list").read_text() + f"{MORE}\n")
    short = measured(lambda: build(work))
    record = plan(work).newest.record()
    rounds.append(measured(lambda: build(work, force=True, full=True)))
    other = plan(work).newest.record()
    whole, by_hand = (min(taken, key=lambda one: one.cpu) for taken in (rounds, hand))
    idle = min((measured(lambda: unchanged(work)) for _round in range(3)), key=lambda one: one.cpu)
    started = not record["from_nothing"] and other["from_nothing"] == "it is asked for"
    same = record["packages"] == other["packages"]
    parts = ", ".join(f"{name} {seconds} s" for name, seconds in record["seconds_of"].items())
    share = whole.cpu / by_hand.cpu
    full = f"genimage {whole.cpu:.1f} CPU s ({whole.wall:.0f} s)"
    manual = f"mmdebstrap and dracut by hand {by_hand.cpu:.1f} CPU s ({by_hand.wall:.0f} s)"
    more = f"one package more {short.cpu:.1f} CPU s ({short.wall:.0f} s; {parts})"
    kept = f"the same {len(other['packages'])} packages; initramfs: {record['initramfs_anew'] or 'the one before'}"
    lines = [
        (idle.cpu <= NOTHING, f"unchanged genimage {idle.cpu:.2f} CPU s ({idle.wall:.1f} s; at most {NOTHING:g})"),
        (share <= OVERHEAD, f"{full}, {manual}: {share:.3f} times (at most {OVERHEAD})"),
        (short.cpu * TIMES <= whole.cpu, f"{more}, {full}: 1/{whole.cpu / short.cpu:.1f} (at most 1/{TIMES})"),
        (started and same, kept),
    ]
    for good, words in lines:
        print(f"{'ok  ' if good else 'fail'} {words}", flush=True)
    return all(good for good, _words in lines)


def main() -> None:
    debian = Path(sys.argv[1]) if len(sys.argv) > 1 else mirror()
    with tempfile.TemporaryDirectory(prefix="statelite-genimage-", dir=ROOT / "build") as name:
        try:
            good = compare(Path(name), debian)
        finally:
            remove_tree(f"{name}/image")
            remove_tree(f"{name}/bare")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
