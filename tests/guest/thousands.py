# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an export for each of 5,000 nodes costs the kernel's server: to declare, to change one, to mount, and a client when caches go."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

from collection import Collection
from exporting import SERVER
from facts import Fact
from guest import Guest

COUNT = 5000
SITE = "/srv/thousands/site.db"
NODES = "/srv/thousands/nodes.jsonl"
KERNEL = {"site": SITE, "server": "kernel"}
PATIENCE = 60
"""Seconds that the module gives `exportfs -ra`."""

MOUNTING = """
point=$(mktemp -d)
began=$(date +%s%N)
for turn in 1 2 3 4 5; do
    mount -t nfs -o vers=4.2,soft,timeo=600 {server}:{path} "$point"
    stat --format=%i "$point" > /dev/null
    umount "$point"
done
echo $((($(date +%s%N) - began) / 5000000))
rmdir "$point"
"""
"""Milliseconds of a mount, a look and an unmount."""

HELD = """
mkdir -p /mnt/held
mountpoint -q /mnt/held || mount -t nfs -o vers=4.2,noac,soft,timeo=600 {server}:{path} /mnt/held
stat --format=%i /mnt/held > /dev/null
"""
LOOK = """
began=$(date +%s%N)
stat --format=%i /mnt/held > /dev/null
echo $((($(date +%s%N) - began) / 1000000))
"""
"""Milliseconds of one look over a mount that stands."""


def rows(count: int) -> str:
    """Return the rows of so many nodes, as lines of JSON; the first one has the client's address."""
    named = (f"k{number:04d}" for number in range(1, count + 1))
    addresses = ("10.77.0.11", *(f"10.77.{number // 250 + 4}.{number % 250 + 1}" for number in range(count)))
    lines = [{"node": name, "groups": ["compute"], "ip": address} for name, address in zip(named, addresses, strict=False)]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def declared(server: Guest, collection: Collection, count: int) -> None:
    """Declare so many nodes, each with a directory of state."""
    server.run(f"mkdir -p /srv/thousands && cat > {NODES} <<'END'\n{rows(count)}END\n", limit=180)
    collection.ask(server, "node", site=SITE, src=NODES, exclusive=True)


def exported(server: Guest, collection: Collection) -> tuple[int, float]:
    """Export what is declared; return how many directories that are, and the seconds."""
    answer = collection.ask(server, "exports", **KERNEL)
    return len(answer.result["exports"]), answer.seconds


def milliseconds(guest: Guest, script: str, path: str) -> str:
    """Return what a script of MOUNTING's kind measured."""
    return guest.run(script.format(server=SERVER, path=path), limit=600).strip().splitlines()[-1]


def after_a_flush(server: Guest, client: Guest, path: str) -> str:
    """Return the milliseconds of a look by a client that holds a mount, when the server has just forgotten who may what."""
    client.run(HELD.format(server=SERVER, path=path), limit=180)
    found = []
    for _turn in range(5):
        server.run("exportfs -f", limit=180)
        found.append(int(milliseconds(client, LOOK, path)))
    client.run("umount /mnt/held", limit=180)
    return str(sorted(found)[len(found) // 2])


def resident(server: Guest) -> str:
    """Return the memory of rpc.mountd in MB."""
    return server.run("awk '/VmRSS/ {printf \"%.1f\", $2 / 1024}' /proc/$(pidof rpc.mountd)/status").strip()


def seen(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """Measure with the two nodes of the other stages, then with thousands; afterwards export the small site again."""
    few = milliseconds(client, MOUNTING, "/srv/state/n1"), after_a_flush(server, client, "/srv/state/n1"), resident(server)
    collection.ask(server, "site_setting", site=SITE, rows=[{"key": "master", "value": SERVER}])
    image = {"imagename": "compute", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}
    collection.ask(server, "osimage", site=SITE, rows=[image])
    collection.ask(server, "nodegroup", site=SITE, rows=[{"groupname": "compute", "nodetype": {"provmethod": "compute"}}])
    collection.ask(server, "statelite", site=SITE, rows=[{"node": "compute", "statemnt": f"{SERVER}:/srv/state"}])
    declared(server, collection, COUNT)
    count, seconds = exported(server, collection)
    yield Fact(f"5,000 nodes: directories exported; the module, {seconds:.0f} s", "server", str(count), str(COUNT + 1))
    again = collection.ask(server, "exports", **KERNEL)
    yield Fact(f"5,000 nodes: exported again, {again.seconds:.0f} s", "server", f"changed: {again.result['changed']}", "changed: False")
    began = time.monotonic()
    server.run("exportfs -ra", limit=600)
    alone = time.monotonic() - began
    yield Fact(f"5,000 nodes: exportfs -ra by itself, of {PATIENCE} s", "server", f"{alone:.1f} s", ".*")
    yield Fact("5,000 nodes: that is within the time that it has", "server", str(alone < PATIENCE), "True")
    declared(server, collection, COUNT + 1)
    count, seconds = exported(server, collection)
    yield Fact(f"one node more; the module, {seconds:.0f} s", "server", str(count), str(COUNT + 2))
    path = "/srv/state/k0001"
    many = milliseconds(client, MOUNTING, path), after_a_flush(server, client, path), resident(server)
    for title, before, now in zip(("ms of a mount", "ms of a look after exportfs -f", "MB of rpc.mountd"), few, many, strict=True):
        yield Fact(f"{title}: with 2 nodes and with 5,001", "server", f"{before} and {now}", r"[\d.]+ and [\d.]+")
    refused = client.run(f"mount -t nfs -o vers=4.2,soft,retry=0 {SERVER}:/srv/state/k5000 /mnt 2>&1 && echo MOUNTED; true", limit=180)
    yield Fact("with 5,001 nodes: another node's state", "client", re.sub(r"\s+", " ", refused.strip()), r"(?!.*MOUNTED).+")
    played = collection.play("site.yml", "--tags", "nfs_exports")
    yield Fact("the small site again", "server", played.get("server", ""), r"changed=\d+ failed=0")
