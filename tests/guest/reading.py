# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What node_view_info on the client tells of the server's levels and state: while the server serves, refuses, dies."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from collection import Answer, Collection
from facts import Fact
from guest import Guest
from processes import LabError

PART = 1 << 24
TIMEOUT = 10
GRACE = 25
"""Seconds more than an undisturbed run that a server's death may cost: its one answer, and that this machine is slow."""
BEGUN = 6 << 20
"""Bytes that the server has sent when the reading of its files is under way."""
LEFT = r"grep -lE '^10\.77\.0\.1:\S+ \S+ nfs' /proc/[0-9]*/mounts 2>/dev/null | wc -l"
KILL = r"""
for mounts in $(grep -lE '^10\.77\.0\.1:\S+ \S+ nfs' /proc/[0-9]*/mounts 2>/dev/null); do
    aside=${mounts#/proc/}
    above=$(cut -d ' ' -f 4 "/proc/${aside%/mounts}/stat")
    [ "$(readlink "/proc/$above/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ] && kill -KILL "$above" && echo killed && break
done
sleep 3
"""


class Reading:
    """node_view_info that runs beside us."""

    def __init__(self, collection: Collection, guest: Guest, **options: Any) -> None:
        self.answer: Answer | None = None
        self.error: LabError | None = None

        def ask() -> None:
            try:
                self.answer = collection.ask(guest, "node_view_info", **options)
            except LabError as error:
                self.error = error

        self.thread = threading.Thread(target=ask, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Wait until it has ended."""
        self.thread.join()


def row(answer: Answer, path: str) -> dict[str, Any]:
    """Return the row of a path."""
    found = [each for group in answer.result["groups"] for each in group["tree"] if each["path"] == path]
    return found[0] if found else {"type": "not shown"}


def levels(answer: Answer) -> str:
    """Return what became of the levels."""
    return ", ".join(f"{each['level']} {each['status']}" for each in answer.result["groups"][0]["levels"])


def messages(answer: Answer) -> str:
    """Return why levels are not known."""
    return " | ".join(each.get("message", "") for each in answer.result["groups"][0]["levels"])


def within(seconds: float, limit: float) -> str:
    """Return a duration, and whether it is one that we promise."""
    return f"{seconds:.0f} s, {'within' if seconds <= limit else 'MORE THAN'} {limit:.0f}"


def digest(text: str) -> str:
    """Return the SHA-256 sum of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def served(client: Guest, collection: Collection) -> Iterator[Fact]:
    """The right answer of a server that serves this machine, and what it keeps from it."""
    own = collection.ask(client, "node_view_info", noderange="n1", digest=True, paths=["/etc", "/var/log"])
    yield Fact("levels of n1 by NFS mounts", "client", levels(own), "1 mounted, 2 mounted")
    for path, text, origin in (
        ("/etc/own.conf", "of n1\n", "level 1"),
        ("/etc/motd", "of the site\n", "level 2"),
        ("/etc/issue", "of the image\n", "default"),
        ("/var/log/kept", "kept by n1\n", "kept"),
    ):
        found = row(own, path)
        content = "right" if found.get("digest") == digest(text) else f"WRONG: {found}"
        yield Fact(f"n1's {path}: origin and content", "client", f"{found.get('origin')}, {content}", f"{origin}, right")
    yield Fact("nothing stays mounted, for nobody", "client", client.run(LEFT).strip(), "0")
    other = collection.ask(client, "node_view_info", noderange="n2")
    refused = ".*/srv/levels/nodes/n2 can't be .*server.*"
    yield Fact("what is n2's alone is not known, with the server's words", "client", messages(other), refused)
    types = [row(other, path)["type"] for path in ("/etc/motd", "/var/log")]
    yield Fact("nor what depends on it", "client", ", ".join(types), "unknown, unknown")


def gone(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """A server that does not serve, and one that is off the network."""
    wanted = {"noderange": "n1", "level_timeout": TIMEOUT}
    usual = collection.ask(client, "node_view_info", **wanted).seconds
    server.run("systemctl stop nfs-server", limit=180)
    stopped = collection.ask(client, "node_view_info", **wanted)
    server.run("systemctl start nfs-server", limit=180)
    yield Fact("nfsd stopped: levels", "client", levels(stopped), "1 unknown, 2 unknown")
    yield Fact("nfsd stopped: why", "client", messages(stopped), ".*can't be mounted here: .+")
    yield Fact(f"nfsd stopped: time (usually {usual:.0f} s)", "client", within(stopped.seconds, usual + GRACE), ".*, within .*")
    server.unplug()
    try:
        lost = collection.ask(client, "node_view_info", **wanted)
    finally:
        server.plug_in()
    yield Fact("server off the network: levels", "client", levels(lost), "1 unknown, 2 unknown")
    late = f".*(did not answer within {TIMEOUT} s|does not answer|timed out).*"
    yield Fact("server off the network: why", "client", messages(lost), late)
    yield Fact(f"server off the network: time (usually {usual:.0f} s)", "client", within(lost.seconds, usual + GRACE), ".*, within .*")
    yield Fact("nothing stays mounted, nothing hangs", "client", client.run(LEFT).strip(), "0")


def _under_way(server: Guest, reading: Reading) -> None:
    """Wait until the server sends what files hold."""
    before = server.sent()
    while server.sent() - before < BEGUN:
        if not reading.thread.is_alive():
            raise LabError(f"the reading ended before the server had sent {BEGUN} bytes: {reading.error}")
        time.sleep(0.05)


def dies(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """A server that dies while its files are read, and a module that is killed."""
    wanted = {"noderange": "n1", "level_timeout": TIMEOUT, "digest": True, "paths": ["/srv/data"]}
    parts = {f"/srv/data/part{number}": digest(str(number) * PART) for number in range(1, 5)}
    whole = collection.ask(client, "node_view_info", **wanted)
    right = sum(row(whole, path).get("digest") == wanted_sum for path, wanted_sum in parts.items())
    yield Fact(f"64 MB of a level, read and summed in {whole.seconds:.0f} s", "client", f"{right} of 4 right", "4 of 4 right")
    reading = Reading(collection, client, **wanted)
    _under_way(server, reading)
    began = time.monotonic()
    server.unplug()
    try:
        reading.end()
        seconds = time.monotonic() - began
    finally:
        server.plug_in()
    answer = reading.answer
    if answer is None:
        raise LabError(f"node_view_info failed when its server died: {reading.error}")
    found = [row(answer, path) for path in parts]
    summed = [each["digest"] for each in found if "digest" in each]
    told = [each.get("reason", "") for each in found if "digest" not in each]
    good = set(summed) <= set(parts.values()) and len(told) >= 1 and all("can't be read (10.77.0.1 " in each for each in told)
    yield Fact("server dies under the files: sums are right or not given", "client", f"{good}: {told[:1]}", "True: .*")
    yield Fact("server dies under the files: the module ends in time", "client", within(seconds, whole.seconds + GRACE), ".*, within .*")
    yield Fact("nothing stays mounted, nothing hangs", "client", client.run(LEFT).strip(), "0")
    reading = Reading(collection, client, **wanted)
    _under_way(server, reading)
    killed = client.run(KILL)
    left = client.run(LEFT).strip()
    reading.end()
    yield Fact("module killed by SIGKILL while it reads: mounts left", "client", f"{killed.strip()}, {left}", "killed, 0")


def seen(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """Everything of this file, in order."""
    yield from served(client, collection)
    yield from gone(server, client, collection)
    yield from dies(server, client, collection)
