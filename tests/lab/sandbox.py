# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the lab in mount, network and process namespaces of its own.

The lab's mounts, its network and all its processes live in these namespaces only; when the lab ends, in whatever way,
the kernel takes them down. Nothing is left for a later run to clean up, and two labs cannot meet.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from places import LAB

INSIDE = "STATELITE_LAB_INSIDE"
CGROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
"""Where cgroup hierarchies that systemd uses are found; which of them are there depends on the machine."""
PREFIX = "statelite-lab-"
MOVE = 'while [ "$1" != -- ]; do echo 0 > "$1"; shift; done; shift; exec "$@"'
"""What a shell does with files to write itself into, `--`, and a command."""
ENTER = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def inside() -> bool:
    """Whether this process is already in the lab's namespaces."""
    return INSIDE in os.environ


def enter(arguments: Sequence[str], program: Path = LAB) -> int:
    """Run `program`, this lab when omitted, again with `arguments` inside new namespaces and return its exit status.

    SIGINT, SIGTERM and SIGHUP are handed to the lab inside, which ends in order; if this process is killed, the lab is too.
    """
    environment = {**os.environ, INSIDE: str(os.getpid())}
    process = subprocess.Popen([*ENTER, sys.executable, str(program), *arguments], env=environment)

    def hand_over(signum: int, _frame: object) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for child in children.read_text().split() if children.exists() else []:
            os.kill(int(child), signum)

    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, hand_over)
    signal.signal(signal.SIGINT, signal.SIG_IGN if os.isatty(0) else hand_over)  # a terminal's Ctrl-C reaches the lab itself
    try:
        return process.wait()
    finally:
        remove_cgroups()


def hierarchies() -> list[Path]:
    """Return the roots of the cgroup hierarchies in which the box's systemd makes its groups."""
    return [Path(root) for root in CGROUPS if Path(root, "cgroup.procs").exists()]


def in_groups_of(name: str, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` in control groups called `name`, which are made: no two boxes share their units' groups."""
    groups = [root / f"{PREFIX}{os.environ[INSIDE]}" / name for root in hierarchies()]
    for group in groups:
        group.mkdir(exist_ok=True)
    return ["sh", "-c", MOVE, "sh", *(f"{group}/cgroup.procs" for group in groups), "--", *command]


def remove_cgroups() -> None:
    """Remove the control groups of labs that have ended, however they did; one that is in use cannot be removed."""
    for root in hierarchies():
        for group in root.glob(f"{PREFIX}*"):
            for directory, _names, _files in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


def settle() -> None:
    """Prepare the namespaces from inside.

    Interruptions end the lab in order; systemd's run-time files and the control groups are the lab's own.
    """

    def interrupted(signum: int, _frame: object) -> None:
        raise SystemExit(128 + signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupted)
    for root in hierarchies():
        group = root / f"{PREFIX}{os.environ[INSIDE]}"
        group.mkdir()
        (group / "cgroup.procs").write_text("0", encoding="ascii")
    Path("/run/systemd").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "lab", "/run/systemd"], check=True)
