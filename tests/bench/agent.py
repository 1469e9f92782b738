# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's entries against the plain loop of naive.sh, side by side: CPU seconds for the same table on the same image.

python3 tests/bench/agent.py    prints a line for each size and ends with 1 when the agent takes more than its share.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import Entry
from ansible_collections.diskless.statelite.plugins.module_utils.lite.template import template_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree

HERE = Path(__file__).resolve().parent
AGENT = HERE.parents[1] / "roles/image/files/dracut/95statelite"
SHARES = {60: 10, 2000: 50}
"""Number of entries, and of how many parts of the plain loop's time the agent may take one."""

START = """set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --bind /usr "$ROOT/usr"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/.statelite"
cd "$ROOT/.statelite"
mkdir -p tmpfs mnt/first mnt/second image system/work system/bound
mount --bind "$ROOT" image
printf '1\\t/.statelite/mnt/first\\n2\\t/.statelite/mnt/second\\n' > system/levels
cp "$WORK/plan" "$AGENT/entries.sh" "$AGENT/overlays.sh" system
cp "$HERE/naive.sh" "$WORK/table" "$WORK/looks" system
mount -o remount,bind,ro "$ROOT"
for name in proc dev; do mount --rbind "/$name" "$ROOT/$name"; done
exec chroot "$ROOT" /bin/sh -c "$JOB"
"""
LOOK = """; cd / && tr '\\n' '\\0' < /.statelite/system/looks > /.statelite/names; xargs -0 sha256sum -- < /.statelite/names"""
JOBS = {
    "nothing": ":",
    "agent": "/bin/sh /.statelite/system/entries.sh",
    "naive": "/bin/sh /.statelite/system/naive.sh /.statelite/system/table",
}


def entries(count: int) -> Iterator[Entry]:
    """Yield a table as sites have them: mostly files attached by links, every tenth bound, every twentieth a directory."""
    for number in range(count):
        attachment = "bind" if number % 10 == 5 else "link"
        kind = "d" if number % 20 == 0 else "f"
        yield Entry(f"/opt/site/service{number % 40}/conf/entry{number}", kind, "tmpfs", attachment)


def lay_out(root: Path, table: list[Entry]) -> str:
    """Make the image with a content for each entry; return the plan."""
    for name in ("usr", "proc", "dev", "etc"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for entry in table:
        place = root / entry.path[1:]
        if entry.kind == "d":
            place.mkdir(parents=True)
            place = place / "inside"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{entry.path}\n", encoding="utf-8")
    plan = plan_tree(str(root), Wanted("bench", table))
    plan.apply()
    text = template_of(plan.layout)
    assert text is not None
    return text


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


def seen(work: Path, job: str, table: list[Entry]) -> str:
    """Return what stands at every entry after a job, each with its digest."""
    names = [entry.path[1:] + ("/inside" if entry.kind == "d" else "") for entry in table]
    (work / "looks").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return run(work, job, LOOK)[1]


def measure(count: int) -> bool:
    """Print the figures for a table of `count` entries; return whether the agent keeps to its share."""
    table = list(entries(count))
    with tempfile.TemporaryDirectory(prefix="statelite-bench-") as directory:
        work = Path(directory)
        (work / "plan").write_text(lay_out(work / "root", table), encoding="utf-8")
        (work / "table").write_text("".join(f"{entry.path}\t{entry.kind}\t{entry.attachment}\n" for entry in table), encoding="utf-8")
        if seen(work, "agent", table) != seen(work, "naive", table):
            sys.exit("agent and plain loop don't make the same root")
        rounds = [{job: run(work, job)[0] for job in JOBS} for _round in range(5 if count < 500 else 1)]
        seconds = {job: statistics.median(each[job] for each in rounds) for job in JOBS}
        agent, naive = seconds["agent"] - seconds["nothing"], seconds["naive"] - seconds["nothing"]
        good = agent * SHARES[count] <= naive
        print(
            f"{'ok  ' if good else 'fail'} {count} entries: agent {agent:.2f} CPU s, plain loop {naive:.2f} CPU s,"
            f" 1/{naive / agent:.0f} (at most 1/{SHARES[count]})",
            flush=True,
        )
        return good


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("the bench mounts: run it as root")
    sizes = [int(word) for word in sys.argv[1:]] or list(SHARES)
    failed = [count for count in sizes if not measure(count)]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
