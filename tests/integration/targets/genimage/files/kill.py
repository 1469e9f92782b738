# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill genimage at random moments and see that the next run ends as an undisturbed one does (decisions.md, Measuring).

    kill.py DIRECTORY COUNT [OSVERS]      DIRECTORY holds what fabricate.py made, or fabricate_rpm.py for an OSVERS of its kind;
                                          prints one line a kill, fails on the first fault

Killed is genimage's own process, with SIGKILL, as the kernel does it to a process that has used up the memory: nothing of it
can clean up. Every other one is a build from nothing, the others start from the packages of the build before. Then: no mount
below the directory, no process that works in it, no loop device, the generations that were there are as they were, and the next
run builds the same tree, kernel, initramfs and record as an undisturbed run from nothing does. All the time the answer
service answers a node of the image: its plan is that of the generation it runs, whatever happens to the next one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import publish as publish_generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import is_seal
from ansible_collections.diskless.statelite.plugins.module_utils.apply.removal import mounts_under
from ansible_collections.diskless.statelite.plugins.module_utils.image.genimage import SPEC, plan_genimage
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.asking import Asking, Serving, only
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import make_pki, publish

OSVERS = sys.argv[3] if len(sys.argv) > 3 else "debian12"
VOLATILE = ("built", "packages_read", "seconds", "seconds_of", "generation", "from_nothing", "initramfs_anew")
DATED = re.compile(r"status-old|pkgcache\.bin|srcpkgcache\.bin|ld\.so\.cache|aux-cache|AutoInstalled|(?:rpmdb|history)\.sqlite")
"""Files that hold the time they were written, or what else no two builds share."""

ALWAYS = [("litefile",), ("litetree",)]
SOON = 60.0
"""Seconds for what takes a moment, on a machine that does other things too."""
PLAN = ("bootplan", "image=tiny", "generation=1")
"""What a node asks that runs from the generation which stands while the next one is built."""


def site(work: Path) -> dict[str, list[dict[str, str]]]:
    """Return the tables of the tiny image in `work`; this machine is its node n1."""
    rpm = (work / "key.asc").exists()
    osimage = {"imagename": "tiny", "osvers": OSVERS, "osarch": os.uname().machine, "profile": "compute", "provmethod": "statelite"}
    linuximage = {
        "imagename": "tiny",
        "pkglist": f"{work}/lists/compute.pkglist",
        "pkgdir": f"[signed-by={work}/key.asc] {work}/archive" if rpm else f"deb [trusted=yes] copy:{work}/archive bookworm main",
        "rootimgdir": f"{work}/image",
    }
    return {
        "osimage": [osimage],
        "linuximage": [linuximage],
        "policy": [{"priority": "1", "commands": "litefile,litetree", "rule": "allow"}],
        "nodelist": [{"node": "n1", "groups": "all"}],
        "hosts": [{"node": "n1", "ip": "127.0.0.1"}],
        "nodetype": [{"node": "n1", "provmethod": "tiny"}],
        "litefile": [{"file": "/etc/fstab"}, {"file": "/var/log/", "options": "tmpfs"}],
        "litetree": [{"priority": "1", "directory": "10.0.0.1:/lt/$node"}],
    }


def lay_out(work: Path) -> None:
    """Lay the generation out that a node runs from."""
    plan_tree(f"{work}/image/generations/1/rootimg", Wanted("tiny", entries_for(Site(site(work)), "tiny"))).apply()


def plan(work: Path):
    """Return genimage's plan for the tiny image in `work`."""
    names = {"dracut_module": "dracut", "rootfs": "rootfs", "ca": "pki/ca.pem", "authorized_keys": "ssh/id.pub"}
    params = {name: option.get("default") for name, option in SPEC.items()}
    params.update({name: str(work / path) for name, path in names.items()}, image="tiny")
    return plan_genimage(Site(site(work)), params)


def build(work: Path) -> None:
    """Run genimage once, here, and publish what it made."""
    due = plan(work)
    if due.lines():
        due.apply()
    if due.newest is not None:
        publish_generation(due.newest)


def look(tree: Path) -> dict[str, str]:
    """Return what a generation is: each path with its kind, mode, owner and content; times and volatile record fields left out."""
    found = {}
    for folder, names, files in os.walk(tree):
        for name in [*names, *files]:
            path = Path(folder, name)
            status = path.lstat()
            kind = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
            relative = str(path.relative_to(tree))
            if is_seal(relative):
                found[relative] = "volatile"
            elif relative == "record.json":
                record = {key: value for key, value in json.loads(path.read_text()).items() if key not in VOLATILE}
                del record["digests"]["initrd-statelite.gz"]
                found[relative] = json.dumps(record, sort_keys=True)
            elif stat.S_ISLNK(status.st_mode):
                found[relative] = f"{kind} -> {path.readlink()}"
            elif stat.S_ISREG(status.st_mode):
                found[relative] = f"{kind} {content(path)}"
            else:
                found[relative] = kind
    return found


def content(path: Path) -> str:
    """Return the digest of a file; of an initramfs its members, for cpio holds times; of dpkg's and apt's databases what is installed."""
    if path.name == "initrd-statelite.gz":
        archive = gzip.decompress(path.read_bytes())
        listed = subprocess.run(["cpio", "-t", "--quiet"], input=archive, check=True, capture_output=True).stdout
        return " ".join(sorted(listed.decode().split()))
    if DATED.match(path.name) or "/var/log/" in str(path):
        return "volatile"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def processes(work: Path) -> list[str]:
    """Return the processes that have anything to do with `work`: by their root, directory or words."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            places = [os.readlink(entry / "root"), os.readlink(entry / "cwd")]
        except OSError:
            continue
        if any(place.startswith(f"{work}/image") for place in places) or f"{work}/image" in words:
            found.append(f"{entry.name} {words}")
    return found


def loop_devices(work: Path) -> list[str]:
    """Return the files below `work` that loop devices stand for."""
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            found.append(path.read_text().strip())
    return [file for file in found if file.startswith(f"{work}/")]


def killed_build(work: Path, after: float) -> float | None:
    """Start genimage and kill it `after` seconds; return None, or the seconds it took when it ended before."""
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        build(work)
        os._exit(0)
    started = time.monotonic()
    while time.monotonic() < started + after:
        if os.waitpid(child, os.WNOHANG)[0]:
            return time.monotonic() - started
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return None if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else after


def expect(fact: bool, what: object) -> None:
    if not fact:
        sys.exit(f"FAILED: {what}")


def main(work: Path, count: int) -> None:
    """Measure one undisturbed build, then kill `count` others."""
    shutil.rmtree(work / "image", ignore_errors=True)
    started = time.monotonic()
    build(work)
    whole = time.monotonic() - started
    expect(not mounts_under(str(work / "image")), "an undisturbed build left mounts")
    undisturbed = look(work / "image/generations/1")
    half = short_build(work)
    started = sum(os.times()[:4])
    expect(not plan(work).lines() and sum(os.times()[:4]) - started < 2, "an unchanged image is not left alone within 2 s of the CPU")
    seed = int(os.environ.get("KILL_SEED", time.time()))
    chance = random.Random(seed)
    print(f"an undisturbed build takes {whole:.1f} s, one that starts from the last {half:.1f} s; KILL_SEED={seed}", flush=True)
    publish(work / "published/site.json", site(work))
    pki = make_pki(work / "answer")
    with Serving(work / "published/site.json", work / "spool", pki) as service, Asking(service.port, pki, ALWAYS, 0.02) as asking:
        kill_all(work, count, [whole, half], chance, undisturbed, asking)
        print(f"a node was answered {asking.answered} times", flush=True)


def short_build(work: Path) -> float:
    """Return the seconds of a build that starts from the packages of the last one, whose list has one package less."""
    (work / "lists/compute.pkglist").write_text("#INCLUDE:base.pkglist#\nvim\n")
    build(work)
    (work / "lists/compute.pkglist").write_text("#INCLUDE:base.pkglist#\n")
    started = time.monotonic()
    build(work)
    taken = time.monotonic() - started
    expect(json.loads((work / "image/generations/3/record.json").read_text())["from_nothing"] == "", "a build did not start from the last")
    return taken


def kill_all(work: Path, count: int, seconds: list[float], chance: random.Random, undisturbed: dict[str, str], asking: Asking) -> None:
    """Kill `count` builds of such `seconds`, and look each time at what was left, what comes next, and what nodes are told."""
    at_work = 0
    always = asking.now()
    expect(len({*always.values()}) == 2 and all("n1: " in answer for answer in always.values()), always)
    for number in range(count):
        asking.questions = ALWAYS
        asking.gathered()
        shutil.rmtree(work / "image")
        if number % 2:  # every other time there is a good image already, whose list has changed since
            (work / "lists/compute.pkglist").write_text("#INCLUDE:base.pkglist#\nvim\n")
            build(work)
            lay_out(work)
            (work / "lists/compute.pkglist").write_text("#INCLUDE:base.pkglist#\n")
            asking.questions = [*ALWAYS, PLAN]
            before = look(work / "image/generations/1")
        told = asking.now()
        expect({question: told[question] for question in ALWAYS} == always, f"kill {number}: before it a node is told {told}")
        expect(PLAN not in told or "entry\t/var/log\td\ttmpfs" in told[PLAN], f"kill {number}: the plan is {told.get(PLAN)}")
        after = chance.uniform(0.05, 0.95) * seconds[number % 2]
        took = killed_build(work, after)
        alive = took is None
        at_work += alive
        if took is not None:
            seconds[number % 2] = took
        ends = time.monotonic() + SOON
        while (left := processes(work)) and time.monotonic() < ends:
            time.sleep(0.02)
        expect(not left, f"kill {number} after {after:.2f} s left processes: {left}")
        expect(not mounts_under(str(work / "image")), f"kill {number} after {after:.2f} s left mounts")
        expect(not loop_devices(work), f"kill {number} after {after:.2f} s left loop devices")
        if number % 2:
            expect(look(work / "image/generations/1") == before, f"kill {number} after {after:.2f} s changed the last good image")
        left = [path.name for path in (work / "image/generations").glob(".*")] if (work / "image/generations").exists() else []
        build(work)
        last = 2 if number % 2 else 1
        expect(sorted(os.listdir(work / "image/generations")) == [str(n) for n in range(1, last + 1)], f"kill {number}: generations")
        ended = look(work / f"image/generations/{last}")
        differing = sorted(path for path in {*ended, *undisturbed} if ended.get(path) != undisturbed.get(path))
        expect(not differing, f"kill {number} after {after:.2f} s: the next run differs in {differing}")
        expect(asking.now() == told, f"kill {number}: a node is told something else")
        only(asking.gathered(), told)
        expect(os.readlink(work / "image/current") == f"generations/{last}", f"kill {number}: not published")
        expect(not plan(work).lines(), f"kill {number}: the next run is not settled")
        print(f"kill {number + 1}: after {after:.2f} s, {'at work' if alive else 'ended'}, left {left or 'nothing'}: mended", flush=True)
    expect(at_work >= count // 2, f"only {at_work} of {count} builds were still at work when they were killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
