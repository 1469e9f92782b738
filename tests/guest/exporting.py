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

CARD = f"card=$(ip -oneline -4 address show to {OWN} | cut -d ' ' -f 2)"
MOUNTING = f"""
{CARD}
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


HIDDEN = f"""
mkdir -p /srv/levels/hidden /srv/levels/open
echo told to nobody > /srv/levels/hidden/secret
chmod -R go= /srv/levels/hidden
exportfs -o ro,no_root_squash,no_subtree_check {OWN}:/srv/levels/open
"""
REFUSED = "refused: STALE"

HOLD = f"""
mkdir -p /mnt/held
mount -t nfs -o ro,soft,timeo=100,retrans=1,noac,$version {SERVER}:{IMAGE} /mnt/held
cat > /tmp/held.py <<'END'
import os, signal, time
opened = os.open("/mnt/held/etc/hostname", os.O_RDONLY)
first = os.pread(opened, 100, 0).decode().strip()
signal.signal(signal.SIGUSR1, lambda *given: None)
open("/tmp/held.ready", "w").close()
signal.pause()
os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
try:
    second = os.pread(opened, 100, 0).decode().strip()
except OSError as error:
    second = error.strerror
with open("/tmp/held.said", "w") as stream:
    stream.write(first + ", then " + second + "\\n")
END
rm -f /tmp/held.ready /tmp/held.said
python3 /tmp/held.py > /dev/null 2>&1 < /dev/null &
echo $! > /tmp/held.pid
until [ -e /tmp/held.ready ]; do sleep 0.2; done
"""
HELD = """
echo 3 > /proc/sys/vm/drop_caches
kill -USR1 "$(cat /tmp/held.pid)"
until [ -s /tmp/held.said ]; do sleep 0.2; done
cat /tmp/held.said
umount /mnt/held
"""


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
        name = version.partition(",")[0]
        yield Fact(f"root by {name}: programs run", "client", "runs programs" if "runs programs" in lines else "no", "runs programs")
        written = [line for line in lines if line.startswith("link ")]
        wanted = r"link appended: second\|link created: third"
        yield Fact(f"root by {name}: an unseen link is opened for writing", "client", "|".join(written), wanted)
        refused = lines[lines.index("remounted for writing") + 1 :] if "remounted for writing" in lines else ["not remounted"]
        denied = r"((Read-only file system|Permission denied)\|?){3}"
        yield Fact(f"root by {name}: remounted rw, each write refused", "client", "|".join(refused), denied)


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
            title = f"{who} by {version.partition(',')[0]}: what it may mount, and write"
            yield Fact(title, "client", _words(short), re.escape(_words(must)))


def _words(said: dict[str, str]) -> str:
    return ", ".join(f"{place} {word}" for place, word in said.items())


def _numbers(server: Guest, path: str) -> str:
    """Return inode and generation of a file and of its directory: what a node would have to guess."""
    directory = path.rsplit("/", 1)[0]
    script = f"stat -c %i {path}; lsattr -v -d {path}; stat -c %i {directory}; lsattr -v -d {directory}"
    lines = server.run(script).splitlines()
    return " ".join(line.split()[0] for line in lines)


def forge(client: Guest, words: str) -> dict[str, str]:
    """Return what content/forge.py says on the client, by the kind of handle."""
    text = FORGE.read_text(encoding="utf-8")
    said = client.run(f"python3 - {words} <<'END OF FORGE'\n{text}\nEND OF FORGE\n").splitlines()
    return dict(line.split(": ", 1) for line in said)


def _forge(server: Guest, client: Guest, export: str, path: str) -> str:
    """Return what the client gets when it asks for a file of the server by a handle made up from that of an export."""
    seen = list(forge(client, f"kernel {SERVER} {OWN} {export} {_numbers(server, path)}").values())
    return next((word for word in seen if word.startswith("read")), seen[0] if seen else "nothing")


def handles(server: Guest, client: Guest) -> Iterator[Fact]:
    """Files of somebody else asked for by forged handles, from the address of a node; the first two show that the forgery is a good one."""
    server.run(HIDDEN)
    seen = _forge(server, client, "/srv/levels/open", "/srv/levels/hidden/secret")
    server.run("exportfs -r")
    yield Fact("a handle forged in an export without subtree_check", "client", seen, "read: told to nobody")
    other = "/srv/levels/nodes/n2/etc/own.conf"
    for title, export, path, wanted in (
        ("a handle of one's own file, made up, in one's own state", "/srv/state/n1", "/srv/state/n1/var/log/kept", "read: kept by n1"),
        ("n1 forges, in its state, n2's", "/srv/state/n1", "/srv/state/n2/var/log/kept", REFUSED),
        ("n1 forges, in its level, n2's", "/srv/levels/nodes/n1", other, REFUSED),
        ("n1 forges, in the shared level, n2's own", "/srv/levels/site", other, REFUSED),
        ("n1 forges, in the install directory, n2's own level", "/install", other, REFUSED),
        ("n1 forges, in the install directory, any file of the server", "/install", "/srv/levels/hidden/secret", REFUSED),
    ):
        yield Fact(title, "client", _forge(server, client, export, path), wanted)


def running(server: Guest, client: Guest) -> Iterator[Fact]:
    """A file that a node holds open, while the tree around it is replaced as publishing and pruning do, and the server forgets."""
    for version in VERSIONS:
        client.run(f"version={version}\n{HOLD}")
        server.run(f"mv {IMAGE} {IMAGE}.old && cp -a {IMAGE}.old {IMAGE} && echo 3 > /proc/sys/vm/drop_caches")
        seen = client.run(HELD, limit=180).strip()
        server.run(f"rm -r {IMAGE} && mv {IMAGE}.old {IMAGE}")
        name = version.partition(",")[0]
        yield Fact(f"root by {name}: an open file when its tree is renamed", "client", seen, "of the image, then of the image")


def seen(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """Everything of this file, in order."""
    yield from effective(server, collection)
    yield from root_over_nfs(client)
    yield from clients(client)
    yield from handles(server, client)
    yield from running(server, client)
