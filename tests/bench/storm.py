# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot storm: every node of a site asks the answer service for its plan, beside the same client at `openssl s_server`.

python3 tests/bench/storm.py [nodes] [share]   prints what was seen and ends with 1 when a gate is not kept; `share` (0.6) is that of
the connections of `openssl s_server` which the service must reach.

Both sides have the same certificate and send the same number of bytes; the client, one process, verifies the certificate as a
node does and holds 128 connections at once, each from the address of a node of its own (127.0.0.0/8 is this machine's). The
sides take turns, so that what else the machine does falls on both. Rates are connections per wall second.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.asking import Serving
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.crowd import Client, Crowd
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import free_port, make_pki, publish

NODES = 10000
SHARE = 0.6
"""Connections of the service for one of `openssl s_server`."""
ROUNDS = 5
AT_ONCE = 128
MEMORY = 400
"""MiB that all processes of the service may take together at their highest."""
FILES, LEVELS = 60, 3
ASKS = b"<xcatrequest>\n<command>bootplan</command>\n<arg>image=compute</arg>\n</xcatrequest>\n"
GETS = b"GET /answer HTTP/1.0\r\n\r\n"
Tables = dict[str, list[dict[str, str]]]


def address(number: int) -> str:
    """Return the address of a node."""
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def tables_of(work: Path, count: int) -> Tables:
    """Return a site as they are: what nodes boot is said by their group, some levels are their own."""
    numbers = range(count)
    options = ("", "tmpfs", "persistent", "ro", "bind,con")
    return {
        "policy": [
            {"priority": "4.7", "commands": "litefile", "rule": "allow"},
            {"priority": "4.8", "commands": "litetree", "rule": "allow"},
        ],
        "site": [{"key": "master", "value": "127.0.0.1"}],
        "nodelist": [{"node": f"n{number}", "groups": f"compute,rack{number // 64},all"} for number in numbers],
        "hosts": [{"node": f"n{number}", "ip": address(number)} for number in numbers],
        "nodetype": [{"node": "compute", "provmethod": "compute"}],
        "noderes": [{"node": "compute", "netboot": "pxe", "nfsserver": "127.0.0.1"}],
        "nodepos": [{"node": f"rack{number}", "rack": f"r{number}"} for number in range(count // 64 + 1)],
        "statelite": [{"node": "compute", "statemnt": "$noderes.nfsserver:/srv/state"}],
        "osimage": [{"imagename": "compute", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "compute", "rootimgdir": f"{work}/image"}],
        "litefile": [{"file": f"/etc/service{number % 9}/entry{number}", "options": options[number % 5]} for number in range(FILES)],
        "litetree": [
            {"priority": str(number), "directory": f"10.0.0.{number}:/tree/{('all', '$nodepos.rack', '$node')[number % 3]}"}
            for number in range(1, LEVELS + 1)
        ],
    }


def lay_out(work: Path, tables: Tables) -> None:
    """Make the image that the nodes boot and publish the site."""
    (work / "image/rootimg/etc").mkdir(parents=True)
    plan_tree(f"{work}/image/rootimg", Wanted("compute", entries_for(Site(tables), "compute"))).apply()
    publish(work / "published/site.json", tables)


def reference(work: Path, pki: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `openssl s_server`, which gives every connection the file `answer`."""
    words = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", f"{pki}/server.pem", "-key", f"{pki}/server.key"]
    return subprocess.Popen(
        [*words, "-HTTP", "-quiet"], cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def plan_of(number: int) -> Callable[[bytes], bool]:
    """Return what tells whether an answer is the whole plan of a node."""
    ours = f"<data>node\tn{number}</data>".encode()
    return lambda answer: ours in answer and answer.endswith(b"<serverdone></serverdone>\n</xcatresponse>\n") and b"<data>end\t" in answer


def storm(work: Path, count: int, least: float) -> bool:
    """Let every node ask once; print rates, latencies and memory; return whether the gates were kept."""
    pki = make_pki(work / "pki")
    tables = tables_of(work, count)
    lay_out(work, tables)
    del tables
    gc.collect()
    port = free_port()
    with Serving(work / "published/site.json", work / "spool", pki) as service:
        plain = reference(work, pki, port)
        try:
            ours, theirs = Crowd(service.port, pki, AT_ONCE), Crowd(port, pki, AT_ONCE)
            example = ours.run([Client(address(0), ASKS, plan_of(0))]).answers[0]
            (work / "answer").write_bytes(example)
            theirs.warm(Client(address(0), GETS, lambda answer: answer.endswith(example)))
            rates, took, faults = [], [], []
            size = count // ROUNDS
            for turn in range(ROUNDS):
                numbers = range(turn * size, (turn + 1) * size)
                other = theirs.run([Client(address(number), GETS, lambda answer: answer.endswith(example)) for number in numbers])
                own = ours.run([Client(address(number), ASKS, plan_of(number)) for number in numbers])
                rates.append((own.rate, other.rate))
                took += own.seconds
                faults += [*own.faults, *(f"s_server: {fault}" for fault in other.faults)]
        finally:
            plain.kill()
            plain.wait()
        peak = service.peak()
    return told(count, Seen(len(example), rates, took, faults, peak), least)


@dataclass(frozen=True)
class Seen:
    """What came of a storm: bytes of an answer, rates of both sides by round, seconds of each node, MiB."""

    size: int
    rates: list[tuple[float, float]]
    took: list[float]
    faults: list[str]
    peak: int


def told(count: int, seen: Seen, least: float) -> bool:
    """Print what was seen; return whether the gates were kept."""
    own, other = (statistics.median(each) for each in zip(*seen.rates))
    share = statistics.median(mine / yours for mine, yours in seen.rates)
    took = sorted(seen.took)
    good = {"answers": len(took) == count // ROUNDS * ROUNDS and not seen.faults, "rate": share >= least, "memory": seen.peak <= MEMORY}
    faults = f"{len(seen.faults)} faults {seen.faults[:3] or ''}".strip()
    print(f"{mark(good['answers'])} storm: {len(took)} of {count} nodes got their plans of {seen.size} bytes, {faults}")
    print(f"{mark(good['rate'])} storm: {own:.0f} connections a second, openssl s_server {other:.0f}: {share:.0%} (at least {least:.0%})")
    print(f"{mark(good['memory'])} storm: the service took at most {seen.peak} MiB (at most {MEMORY})")
    middle, late = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    print(f"     storm: {AT_ONCE} connections at once; half of the nodes had their plans within {middle:.2f} s, 99 % within {late:.2f} s")
    return all(good.values())


def mark(good: bool) -> str:
    """Return how a line begins."""
    return "ok  " if good else "fail"


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    shares = [float(word) for word in sys.argv[1:] if not word.isdigit()]
    with tempfile.TemporaryDirectory(prefix="statelite-storm-") as directory:
        sys.exit(0 if storm(Path(directory), *(numbers or [NODES]), *(shares or [SHARE])) else 1)


if __name__ == "__main__":
    main()
