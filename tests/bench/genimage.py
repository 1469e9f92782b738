# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""genimage against the bare package manager, and a build that starts from the last one against one from nothing, side by side.

python3 tests/bench/genimage.py [MIRROR]    builds the shipped image for Debian 12 some times and ends with 1 when a gate is missed.

MIRROR is a directory that holds `debian/` (the lab's; made when it is not given). Bare is what a person would type: mmdebstrap with the
same packages and sources, then dracut in a chroot, with the same words. All that genimage does besides (the copy from which the next
build starts, keys, digests, a record) and the start of Python with its modules stand on its side alone. Both are built at the same time,
each from nothing in a directory of its own, so that whatever else the machine does slows both. Gates are of CPU time, which holds on a
busy machine; the seconds by the clock are those of two builds that share it. Nothing is removed before the end: ext4 passes over inodes
that were freed within the last minutes one by one, and a copy of a tree after the removal of another takes 4 CPU seconds more for that.

Packages change, one at a time: MORE comes, for which dracut has no use; TAKEN comes, of which dracut takes a program into the initramfs;
DECIDING comes, which has files where dracut decides; MORE goes. dracut runs again for the second and the third. Tree and initramfs with
MORE and TAKEN are compared with those of a build from nothing, path by path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.apply.removal import remove_tree
from ansible_collections.diskless.statelite.plugins.module_utils.image.asked import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.image.genimage import Genimage
from ansible_collections.diskless.statelite.plugins.module_utils.image.initramfs import dracut_arguments
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/image/files"
MORE, TAKEN, DECIDING = "rsync", "xz-utils", "ifupdown"
"""Packages that the list does not have at first."""
ROUNDS = 2
"""How often the two builds that are compared are done; the least of each is what the work itself takes."""
OVERHEAD = 1.10
TIMES = 3
NOTHING = 2.0
"""CPU seconds that an unchanged genimage may take, in a process of its own."""

BY_HAND = """
set -e
root=$1 agent=$2 count=$3
shift 3
DEBIAN_FRONTEND=noninteractive INITRD=No env "${@:1:count}"
cp -a "$agent" "$root/usr/lib/dracut/modules.d/95statelite"
for place in dev proc sys; do mount --rbind "/$place" "$root/$place"; done
mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" dracut "${@:count+1}"
"""


@dataclass
class Taken:
    """What one build took, in seconds."""

    cpu: float
    wall: float

    def words(self) -> str:
        return f"{self.cpu:.1f} CPU s ({self.wall:.0f} s)"


def mirror() -> Path:
    """Return the lab's mirror, made when it is not there."""
    code = "import pathlib, sys; from mirror import make_mirror; print(make_mirror(pathlib.Path(sys.argv[1])))"
    log = ROOT / "build/log/bench-mirror.log"
    made = subprocess.run([sys.executable, "-c", code, str(log)], check=True, capture_output=True, text=True, cwd=ROOT / "tests/lab")
    return Path(made.stdout.splitlines()[-1])


def measured(log: Path, *commands: Sequence[str]) -> list[Taken]:
    """Run commands at the same time; return what each took, with all that it started. One that fails ends the bench with its last words."""
    os.sync()
    begun, found, logs = time.monotonic(), {}, {}
    for number, command in enumerate(commands):
        path = log.with_suffix(f".{number}")
        with path.open("wb") as stream:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        logs[process.pid] = path
    while len(found) < len(commands):
        pid, status, used = os.wait3(0)
        found[pid] = Taken(used.ru_utime + used.ru_stime, time.monotonic() - begun)
        if status:
            sys.exit("\n".join(logs[pid].read_text(errors="replace").splitlines()[-15:]))
    return [found[pid] for pid in logs]


def prepare(place: Path, debian: Path, *more: str) -> None:
    """Write the site of one image, whose list has some packages more than the shipped one."""
    place.mkdir(exist_ok=True)
    for path in (ROLE / "pkglist").iterdir():
        shutil.copy(path, place)
    (place / "list").write_text("\n".join(["#INCLUDE:compute.debian12.x86_64.pkglist#", *more, ""]))
    image = {"imagename": "bench", "osvers": "debian12", "osarch": os.uname().machine, "profile": "compute", "provmethod": "statelite"}
    source = f"deb [trusted=yes] copy:{debian.resolve()}/debian bookworm main"
    linux = {"imagename": "bench", "pkglist": str(place / "list"), "pkgdir": source, "rootimgdir": str(place / "image")}
    with open_store(str(place / "site.db")) as store:
        store.write(plan_table(TABLES["osimage"], [], [image]))
        store.write(plan_table(TABLES["linuximage"], [], [linux]))


def plan(place: Path) -> Genimage:
    """Return genimage's plan."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    places = {
        "dracut_module": str(ROLE / "dracut/95statelite"),
        "rootfs": str(ROLE / "rootfs"),
        "share": str(ROLE),
        "ca": "",
        "authorized_keys": "",
    }
    found = read_and_plan({**params, **places, "site": str(place / "site.db"), "image": "bench"}, print)
    if not isinstance(found, Genimage):
        sys.exit("no build was planned")
    return found


def genimage(place: Path, due: bool = True) -> list[str]:
    """Return the command that runs genimage in a process of its own, and fails unless a build is `due` or is not."""
    return [sys.executable, __file__, "--run", str(place), "build" if due else "nothing"]


def run(place: Path, wanted: str) -> None:
    """Run genimage."""
    due = plan(place)
    if bool(due.lines()) != (wanted == "build"):
        sys.exit("\n".join(due.lines()) or "there was nothing to build")
    due.apply()


def by_hand(root: Path, like: Genimage, record: dict[str, Any]) -> list[str]:
    """Return the command that builds the same by hand, as far as tools do it."""
    installer = like.definition.installer
    first = ["mmdebstrap", *installer.arguments(), "bookworm", str(root), *installer.sources()]
    words = dracut_arguments(record["kernel_version"], record["drivers"])
    alone = ["unshare", "--mount", "--propagation", "private", "bash", "-c", BY_HAND, "bash"]
    return [*alone, str(root), str(ROLE / "dracut/95statelite"), str(len(first)), *first, *words]


def change(place: Path, log: Path, come: str = "", go: str = "") -> tuple[Taken, dict[str, Any]]:
    """Change one package of the list and run genimage; return what it took, and the record."""
    lines = (place / "list").read_text().splitlines()
    (place / "list").write_text("".join(f"{line}\n" for line in [*lines, come] if line and line != go))
    taken = measured(log, genimage(place))[0]
    return taken, plan(place).newest.record()


def alike(one: Path, other: Path) -> tuple[bool, str]:
    """Compare two generations path by path."""
    script = ROOT / "tests/integration/targets/genimage/files/alike.py"
    said = subprocess.run([sys.executable, str(script), str(one), str(other)], check=False, capture_output=True, text=True)
    return said.returncode == 0, (said.stdout or said.stderr).strip()


def compare(work: Path, debian: Path) -> bool:
    """Print the figures; return whether every gate is kept."""
    log, first = work / "log", work / "first"
    prepare(first, debian)
    measured(log, genimage(first))
    changed = {f"{name} comes": change(first, log, come=name) for name in (MORE, TAKEN)}
    ours, hand = [], []
    for number in range(ROUNDS):
        place, root = work / f"round-{number}", work / f"bare-{number}"
        prepare(place, debian, MORE, TAKEN)
        one, other = measured(log, genimage(place), by_hand(root, plan(place), plan(first).newest.record()))
        ours.append(one)
        hand.append(other)
    same, how = alike(Path(plan(first).newest.path), Path(plan(work / "round-0").newest.path))
    changed[f"{DECIDING} comes"] = change(first, log, come=DECIDING)
    changed[f"{MORE} goes"] = change(first, log, go=MORE)
    idle = min((measured(log, genimage(first, due=False))[0] for _round in range(3)), key=lambda one: one.cpu)
    whole, bare = (min(taken, key=lambda one: one.cpu) for taken in (ours, hand))
    share = whole.cpu / bare.cpu
    each = ", ".join(f"{one.cpu / other.cpu:.3f}" for one, other in zip(ours, hand))
    both = f"genimage {whole.words()}, mmdebstrap and dracut by hand {bare.words()}"
    lines = [
        (idle.cpu <= NOTHING, f"unchanged genimage {idle.cpu:.2f} CPU s ({idle.wall:.1f} s; at most {NOTHING:g})"),
        (share <= OVERHEAD, f"{both}: {share:.3f} times (at most {OVERHEAD}; rounds: {each})"),
    ]
    for title, (taken, record) in changed.items():
        began = record["from_nothing"] or "from the last build"
        words = f"{title}: {taken.words()}, {began}; initramfs: {record['initramfs_anew'] or 'the one before'}"
        good = taken.cpu * TIMES <= whole.cpu and not record["from_nothing"]
        lines.append((good, f"{words}: 1/{whole.cpu / taken.cpu:.1f} of a build from nothing (at most 1/{TIMES})"))
    lines.append((same, f"from the last build and from nothing, path by path: {how}"))
    for good, words in lines:
        print(f"{'ok  ' if good else 'fail'} {words}", flush=True)
    return all(good for good, _words in lines)


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        run(Path(sys.argv[2]), sys.argv[3])
        return
    debian = Path(sys.argv[1]) if len(sys.argv) > 1 else mirror()
    with tempfile.TemporaryDirectory(prefix="statelite-genimage-", dir=ROOT / "build") as name:
        try:
            good = compare(Path(name), debian)
        finally:
            for made in [*Path(name).glob("*/image"), *Path(name).glob("bare-*")]:
                remove_tree(str(made))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
