# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A management node in a box for somebody else's playbooks (molecule): start it, reach it by an ssh configuration, stop it.

`start DIRECTORY` returns when the machine lets root in; DIRECTORY then holds `ssh_config`, in which the machine's name leads
into the lab's network namespace. `stop DIRECTORY` ends it. The machine itself is `keep DIRECTORY`, run in the lab's namespaces.
Names after DIRECTORY are further machines beside it, with the next addresses.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import box
import mirror
import network
import places
import preflight
import sandbox
from processes import LabError, tail

START_LIMIT = 1500
"""Seconds; the first machine of all waits for the mirror's packages to be downloaded."""
STOP_LIMIT = 120


def ssh_config(machine: box.Box, outside: int) -> str:
    """Return an ssh configuration that leads to the machine from outside; `outside` is the process that keeps its namespaces."""
    child = f"$(tr -d ' ' </proc/{outside}/task/{outside}/children)"
    relay = f"nsenter --net=/proc/{child}/ns/net nc -N {machine.address} 22"
    settings = {
        "HostName": machine.address,
        "User": "root",
        "IdentityFile": machine.key,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": machine.known_hosts,
        "ProxyCommand": relay,
        "ServerAliveInterval": "15",
    }
    return f"Host {machine.name}\n" + "".join(f"  {name} {value}\n" for name, value in settings.items())


def keep(directory: Path, *further: str) -> int:
    """Raise the machine, and `further` ones, and keep them until a signal ends this process; run inside the lab's namespaces."""
    sandbox.settle()
    run = places.new_run("machine")
    log = run / "network.log"
    network.raise_bridge(log)
    packages = mirror.make_mirror(run / "mirror.log")
    served = mirror.serve(packages, network.HOST, run / "mirror-http.log")
    tree = box.make_tree(packages, run / "box-tree.log")
    machines = [box.Box(tree, run / places.BOX, run)]
    try:
        for name, address in zip(further, network.FURTHER, strict=False):
            machines.append(box.Box(tree, run / f"{places.BOX}-{name}", run, name, address))
        for machine in machines:
            machine.wait_until_up()
        ready = directory / ".ssh_config"
        outside = int(os.environ[sandbox.INSIDE])
        ready.write_text("".join(ssh_config(machine, outside) for machine in machines), encoding="utf-8")
        ready.replace(directory / "ssh_config")
        while True:
            for machine in machines:
                machine.server.require_running()
            served.require_running()
            time.sleep(1)
    finally:
        (directory / "ssh_config").unlink(missing_ok=True)
        for machine in machines:
            machine.stop()
        served.stop()


def start(directory: Path, *further: str) -> int:
    """Start the machine, and `further` ones, in the background and wait until each lets root in; raise LabError with the last lines
    when one does not.
    """
    preflight.require_machine()
    stop(directory)
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "machine.log"
    mirror.make_mirror(log)  # here, where the machine's own network is
    with log.open("ab") as stream:
        command = [sys.executable, str(places.LAB), "machine", "keep", str(directory), *further]
        keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True)
    (directory / "machine.pid").write_text(f"{keeper.pid} {_born(keeper.pid)}", encoding="ascii")
    deadline = time.monotonic() + START_LIMIT
    while not (directory / "ssh_config").exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            stop(directory)
            raise LabError(f"the machine did not come up; its log is {log}:\n{tail(log)}")
        time.sleep(0.2)
    return 0


def stop(directory: Path) -> int:
    """End the machine that `start` left running; one that is not there any more is no fault."""
    record = directory / "machine.pid"
    if not record.exists():
        return 0
    number, born = record.read_text(encoding="ascii").split()
    for signum in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_LIMIT
        if _born(int(number)) == born:
            os.kill(int(number), signum)
        while _born(int(number)) == born and time.monotonic() < deadline:
            time.sleep(0.2)
    record.unlink()
    return 0


def _born(number: int) -> str:
    """Return when a process began, in the kernel's ticks, so that a number used again is not taken for it; '' when it has ended."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
