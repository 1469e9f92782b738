# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's entries against the plain loop of naive.sh, side by side: CPU seconds for the same tables on the same image.

python3 tests/bench/agent.py [MIX|SIZE|EASE…]   prints a line for each mix and size and ends with 1 when the agent takes more than
its share; EASE (1.0) is how many times its share it may take. First both carry the table out once and what stands at every entry is
compared.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import Entry
from ansible_collections.diskless.statelite.plugins.module_utils.lite.template import template_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from mixes import FIRST, IMAGE, MIXES, SECOND, contents

HERE = Path(__file__).resolve().parent
AGENT = HERE.parents[1] / "roles/image/files/dracut/95statelite"
SHARES = {60: 10, 2000: 50}
"""Number of entries, and of how many parts of the plain loop's time the agent may take one."""
LARGE = 500
NODE = "n1"

START = """set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --bind /usr "$ROOT/usr"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/.statelite"
cd "$ROOT/.statelite"
mkdir -p tmpfs mnt/first mnt/second image persistent/n1 system/work system/bound system/below system/state
mount --bind "$ROOT" image
for name in first second; do mount --bind "$WORK/$name" "mnt/$name" && mount -o remount,bind,ro "mnt/$name"; done
mount -t tmpfs -o mode=755 tmpfs persistent/n1
mount --bind persistent/n1 system/state
printf '1\\t/.statelite/mnt/first\\n2\\t/.statelite/mnt/second\\n' > system/levels
cp "$WORK/plan" "$AGENT"/* system
cp "$HERE/naive.sh" "$HERE/look.sh" "$WORK/table" "$WORK/looks" system
mount -o remount,bind,ro "$ROOT"
for name in proc dev; do mount --rbind "/$name" "$ROOT/$name"; done
exec chroot "$ROOT" /bin/sh -c "$JOB"
"""
LOOK = "; /bin/sh /.statelite/system/look.sh /.statelite/system/looks"
JOBS = {
    "nothing": ":",
    "agent": "/bin/sh /.statelite/system/entries.sh",
    "naive": "/bin/sh /.statelite/system/naive.sh /.statelite/system/table",
}


def lay_out(work: Path, table: list[Entry]) -> str:
    """Make the image and the levels with a content for each entry; return the plan."""
    root = work / IMAGE
    for name in ("usr", "proc", "dev", "etc"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in (FIRST, SECOND):
        (work / name).mkdir()
    for area, path in contents(table):
        place = work / area / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{area} {path}\n", encoding="utf-8")
    plan = plan_tree(str(root), Wanted("bench", table))
    plan.apply()
    return template_of(plan.layout).replace("@NODE@", NODE)


def run(work: Path, job: str, look: str = "") -> tuple[float, str]:
    """Do a job in the root, in mounts of its own; return its CPU seconds and what it printed."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(work / "root"), "WORK": str(work)}
    environment |= {"AGENT": str(AGENT), "HERE": str(HERE), "JOB": JOBS[job] + look}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["unshare", "--mount", "sh", "-c", START], env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"{job} failed: {done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def prepare(work: Path, mix: str, count: int) -> None:
    """Prepare an image, its levels, the plan for the agent and the table for the plain loop, and what is looked at after each."""
    table = list(MIXES[mix](count))
    (work / "plan").write_text(lay_out(work, table), encoding="utf-8")
    rows = sorted((entry.path, entry.kind, entry.storage, entry.attachment) for entry in table)
    (work / "table").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    names = [name for entry in table for name in ([entry.path, f"{entry.path}/inside"] if entry.kind == "d" else [entry.path])]
    (work / "looks").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def figures(work: Path, what: str, count: int) -> tuple[float, float]:
    """Return the CPU seconds of the agent and of the plain loop, which must make the same root."""
    looked = {job: run(work, job, LOOK) for job in ("agent", "naive")}
    views = {job: view.splitlines() for job, (_seconds, view) in looked.items()}
    if views["agent"] != views["naive"] or not views["naive"]:
        odd = sorted(set(views["agent"]) ^ set(views["naive"]))
        sys.exit(f"agent and plain loop don't make the same root of {what}: " + "\n".join(odd[:6]))
    jobs = [job for job in JOBS if job != "naive" or count < LARGE]
    # Side by side, and the best of each: what else a machine does is only ever added.
    rounds = [{job: run(work, job)[0] for job in jobs} for _round in range(5)]
    seconds = {job: min(each[job] for each in rounds) for job in jobs}
    agent = seconds["agent"] - seconds["nothing"]
    if "naive" in seconds:
        return agent, seconds["naive"] - seconds["nothing"]
    # Half a minute is long enough to be measured once: with the look at what it made, as the agent was too.
    return agent, looked["naive"][0] - looked["agent"][0] + agent


def measure(mix: str, count: int, ease: float) -> bool:
    """Print the figures for a table of `count` entries; return whether the agent keeps to its share."""
    what = f"{count} entries, {mix}"
    with tempfile.TemporaryDirectory(prefix="statelite-bench-") as directory:
        prepare(Path(directory), mix, count)
        agent, naive = figures(Path(directory), what, count)
    parts = SHARES[count] / ease
    good = agent * parts <= naive
    print(
        f"{'ok  ' if good else 'fail'} {what}: agent {agent:.3f} CPU s, plain loop {naive:.2f} CPU s,"
        f" 1/{naive / agent:.0f} (at most 1/{parts:g})",
        flush=True,
    )
    return good


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("the bench mounts: run it as root")
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or list(SHARES)
    ease = next((float(word) for word in sys.argv[1:] if "." in word), 1.0)
    mixes = [word for word in sys.argv[1:] if word in MIXES] or list(MIXES)
    failed = [(mix, count) for mix in mixes for count in sizes if not measure(mix, count, ease)]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
