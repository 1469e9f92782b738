# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's NFS server makes of the export file that the role nfs_exports wrote: its table, its clients, its handles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from collection import Collection
from facts import Fact
from guest import Guest

IMAGE = "/install/netboot/debian12/x86_64/compute/rootimg"
SERVER, STRANGER = "10.77.0.1", "10.77.0.99"
OWN, OTHER = "10.77.0.11", "10.77.0.12"
VERSIONS = ("vers=3,nolock", "vers=4.2")
KERNEL = {"server": "kernel", "clients": [OWN, OTHER]}
FORGE = Path(__file__).resolve().parent / "content/forge.py"

ROOT_ON_NFS = f"""
root=$(mktemp -d)
mount -t nfs -o ro,soft,timeo=100,retrans=1,$version {SERVER}:{IMAGE} "$root" || exit
"$root/bin/true" && echo "runs programs"
volatile=$root/.statelite
mount -t tmpfs -o mode=755 volatile "$volatile" && mkdir -p "$volatile/tmpfs/etc" && echo first > "$volatile/tmpfs/etc/issue"
echo 3 > /proc/sys/vm/drop_caches
echo second >> "$root/etc/issue" && echo "link appended: $(tail -n 1 "$volatile/tmpfs/etc/issue")"
echo 3 > /proc/sys/vm/drop_caches
echo third > "$root/etc/motd" && echo "link created: $(cat "$volatile/tmpfs/etc/motd")"
umount "$volatile"
mount -o remount,rw "$root" && grep -q "$root nfs4\\? rw" /proc/mounts && echo "remounted for writing"
touch "$root/etc/new" 2>&1 | sed 's/.*: //'
rm "$root/etc/hostname" 2>&1 | sed 's/.*: //'
chmod 777 "$root/etc" 2>&1 | sed 's/.*: //'
umount "$root" && rmdir "$root"
"""
"""What a node does with its root: only the server stands between it and the image, as it may remount what it has mounted."""

MOUNTING = f"""
card=$(ip -oneline -4 address show to {OWN} | cut -d ' ' -f 2)
point=$(mktemp -d)
for address in {OWN} {OTHER} {STRANGER}; do
    ip address replace "$address/24" dev "$card"
    ip route replace {SERVER}/32 dev "$card" src "$address"
    for place in {IMAGE} /srv/levels/site /srv/levels/nodes/n1 /srv/levels/nodes/n2 /srv/state/n1 /srv/state/n2; do
        for version in {" ".join(VERSIONS)}; do
            if said=$(mount -t nfs -o "retry=0,soft,timeo=100,retrans=1,$version" "{SERVER}:$place" "$point" 2>&1); then
                said=read-only
                touch "$point/probe" 2> /dev/null && said=writable && rm "$point/probe"
                umount "$point"
            else
                said=refused
            fi
            echo "$address $place $version $said"
        done
    done
done
ip route delete {SERVER}/32
ip address delete {OTHER}/24 dev "$card"
ip address delete {STRANGER}/24 dev "$card"
rmdir "$point"
"""
"""One machine in the place of three: its address decides what it may mount."""


def effective(server: Guest, collection: Collection) -> Iterator[Fact]:
    """The kernel's own table, the module's, and whether a line that somebody added is noticed."""
    first = server.run("exportfs -v")
    told = collection.ask(server, "exports_info", **KERNEL).result
    kernels = {
        f"{path} {client} {'rw' if 'rw' in options.split(',') else 'ro'}"
        for path, client, options in re.findall(r"^(/\S*)\s+(\S+?)\(([^)]*)\)", first, re.MULTILINE)
    }
    ours = {f"{each['path']} {client} {each['options'][0]}" for each in told["exports"] for client in each["clients"]}
    same = "the same" if kernels == ours else f"exportfs has {sorted(kernels - ours)}, the module {sorted(ours - kernels)}"
    yield Fact("exportfs -v and exports_info: directories, clients, access", "server", f"{len(kernels)}: {same}", "8: the same")
    yield Fact("exports_info finds nothing that differs", "server", str(told["differences"]), r"\[\]")
    opened = server.run(f"exportfs -o rw,no_root_squash {STRANGER}:/install && echo opened").strip()
    told = collection.ask(server, "exports_info", **KERNEL).result
    server.run("exportfs -r")
    wanted = rf"opened: .*/install is exported to {STRANGER} rw.*"
    yield Fact("a line added by hand is found", "server", f"{opened}: {told['differences']}", wanted)


def root_over_nfs(client: Guest) -> Iterator[Fact]:
    """The root of a node, by both versions."""
    for version in VERSIONS:
        lines = client.run(f"version={version}\n{ROOT_ON_NFS}", limit=180).splitlines()
        name = version.split(",")[0]
        yield Fact(f"root by {name}: programs run", "client", "runs programs" if "runs programs" in lines else "no", "runs programs")
        written = [line for line in lines if line.startswith("link ")]
        wanted = r"link appended: second\|link created: third"
        yield Fact(f"root by {name}: a link entry not seen before is opened for writing", "client", "|".join(written), wanted)
        refused = lines[lines.index("remounted for writing") + 1 :] if "remounted for writing" in lines else ["not remounted"]
        denied = r"((Read-only file system|Permission denied)\|?){3}"
        yield Fact(f"root by {name}: remounted for writing, and every write refused", "client", "|".join(refused), denied)


def clients(client: Guest) -> Iterator[Fact]:
    """Who may mount what."""
    seen = {tuple(line.split()[:3]): line.split()[3] for line in client.run(MOUNTING, limit=300).splitlines()}
    for address, who in ((OWN, "n1"), (OTHER, "n2"), (STRANGER, "stranger")):
        for version in VERSIONS:
            said = {place: seen.get((address, place, version), "not tried") for place in sorted({key[1] for key in seen})}
            known = who != "stranger"
            wanted = {
                IMAGE: "read-only" if known else "refused",
                "/srv/levels/site": "read-only" if known else "refused",
                **{f"/srv/levels/nodes/{node}": "read-only" if node == who else "refused" for node in ("n1", "n2")},
                **{f"/srv/state/{node}": "writable" if node == who else "refused" for node in ("n1", "n2")},
            }
            short = {place.removeprefix("/install/netboot/debian12/x86_64/"): word for place, word in said.items()}
            must = {place.removeprefix("/install/netboot/debian12/x86_64/"): wanted[place] for place in sorted(wanted)}
            title = f"{who} by {version.split(',')[0]}: what it may mount, and write"
            yield Fact(title, "client", _words(short), re.escape(_words(must)))


def _words(said: dict[str, str]) -> str:
    return ", ".join(f"{place} {word}" for place, word in said.items())


def _numbers(server: Guest, path: str) -> str:
    """Return inode and generation of a file and of its directory: what a node would have to guess."""
    directory = path.rsplit("/", 1)[0]
    script = f"stat -c %i {path}; lsattr -v -d {path}; stat -c %i {directory}; lsattr -v -d {directory}"
    lines = server.run(script).splitlines()
    return " ".join(line.split()[0] for line in lines)


def handles(server: Guest, client: Guest) -> Iterator[Fact]:
    """Files of somebody else asked for by forged handles, from the address of a node."""
    server.run("mkdir -p /srv/levels/hidden && echo told to nobody > /srv/levels/hidden/secret && chmod -R go= /srv/levels/hidden")
    cases = (
        ("n1 forges, in its own state, its own file: the form is right", "/srv/state/n1", "/srv/state/n1/var/log/kept", "read: kept by n1"),
        ("n1 forges, in its own state, n2's file", "/srv/state/n1", "/srv/state/n2/var/log/kept", "refused: STALE"),
        ("n1 forges, in its own level, n2's", "/srv/levels/nodes/n1", "/srv/levels/nodes/n2/etc/own.conf", "refused: STALE"),
        ("n1 forges, in the shared level, n2's own", "/srv/levels/site", "/srv/levels/nodes/n2/etc/own.conf", "refused: STALE"),
        ("n1 forges, in the install directory, n2's level", "/install", "/srv/levels/nodes/n2/etc/own.conf", "refused: STALE"),
        ("n1 forges, in the install directory, any file of the server", "/install", "/srv/levels/hidden/secret", "refused: STALE"),
    )
    for title, export, path, wanted in cases:
        command = f"python3 - {SERVER} {OWN} {export} {_numbers(server, path)}"
        text = FORGE.read_text(encoding="utf-8")
        said = client.run(f"{command} <<'END OF FORGE'\n{text}\nEND OF FORGE\n").splitlines()
        seen = [line.split(": ", 1)[1] for line in said]
        best = next((word for word in seen if word.startswith("read")), seen[0] if seen else "nothing")
        yield Fact(title, "client", best, wanted)


def seen(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """Everything of this file, in order."""
    yield from effective(server, collection)
    yield from root_over_nfs(client)
    yield from clients(client)
    yield from handles(server, client)
