# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that a node writes under the kernel word statelite.prove, and how it differs from what was foretold of the node.

The form of the proof is in docs/boot-plan.md, that of the prediction in the documentation of the module node_view_info.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

S = "/.statelite"
KINDS = {"f": "f", "d": "d", "l": "l"}
RESOLVER = "/etc/resolv.conf"
IDENTITY = {"/etc/hostname": "hostname", "/etc/machine-id": "machine-id", RESOLVER: ""}
"""The files of a node's identity, and the plan's word for what is in them; what DHCP says is in no plan."""
MOUNTS = "/etc/mtab"
COMPARED = ("type", "mode", "target", "place", "writable", "survives", "origin", "digest")
WRITTEN = "written"


class ProofError(Exception):
    """A proof that is not whole, or not one."""


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo (proc(5)): `root` is what of the file system is mounted, `options` those of mount and file system."""

    device: str
    root: str
    point: str
    kind: str
    source: str
    readonly: bool

    @property
    def file_system(self) -> str:
        """What two mounts of one file system have in common."""
        return "nfs" if self.kind.startswith("nfs") else self.device

    @property
    def part(self) -> str:
        """What of the file system is mounted: for NFS the kernel shows it in the source, and every root as `/`."""
        return self.source if self.kind.startswith("nfs") else self.root


@dataclass(frozen=True)
class Read:
    """Bytes that came over NFS since the node was switched on: by READ, and in all answers together."""

    by_read: int
    answers: int


def unescaped(text: str) -> str:
    """Return a name of mountinfo, where blanks and backslashes are octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def mounts_of(text: str) -> list[Mount]:
    """Return the mounts of a node in the order in which they were made."""
    found = []
    for line in text.splitlines():
        before, _dash, after = line.partition(" - ")
        _number, _above, device, root, point, options = before.split()[:6]
        kind, source, more = after.split(" ", 2)
        readonly = "ro" in options.split(",") or "ro" in more.split(",")
        found.append(Mount(device, unescaped(root), unescaped(point), kind, unescaped(source), readonly))
    return found


def read_of(mountstats: str, mounts: Sequence[Mount]) -> Read:
    """Return what came over NFS; a file system that is mounted in several places is counted once."""
    blocks = [block.split("\n") for block in ("\n" + mountstats).split("\ndevice ")[1:]]
    if len(blocks) != len(mounts):
        raise ProofError(f"{len(blocks)} mounts in mountstats, {len(mounts)} in mountinfo")
    counted: set[str] = set()
    by_read = answers = 0
    for mount, lines in zip(mounts, blocks):
        if not mount.kind.startswith("nfs") or mount.device in counted:
            continue
        counted.add(mount.device)
        operations = False
        for fields in (line.split() for line in lines):
            if fields[:1] == ["bytes:"]:
                by_read += int(fields[5])
            elif fields[:2] == ["per-op", "statistics"]:
                operations = True
            elif operations and len(fields) > 5:
                answers += int(fields[5])
    return Read(by_read, answers)


def _fields(content: bytes) -> list[str]:
    return content.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _lines(content: bytes) -> list[list[str]]:
    return [line.split("\t") for line in content.decode("utf-8", "surrogateescape").splitlines()]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Proof:
    """What a node saw of its entries just before switch_root; `files` are those of /.statelite/proof by name."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        if "whole" not in files:
            raise ProofError("the proof is not whole")
        self.trouble = files.get("trouble", b"").decode("utf-8", "replace")
        self.plan = _lines(files["plan"])
        self.node = next(fields[1] for fields in self.plan if fields[0] == "node")
        self.entries = {fields[1]: fields for fields in self.plan if fields[0] == "entry"}
        self.results = {fields[0]: (fields[1], fields[2], fields[3]) for fields in _lines(files["results"])}
        self.mounts = mounts_of(files["mounts"].decode("utf-8", "surrogateescape"))
        self.read = read_of(files["mountstats"].decode("utf-8", "surrogateescape"), self.mounts)
        tops, leads = _fields(files["tops"]), _fields(files["leads"])
        self.leads = dict(zip(tops, leads))
        self.digests = {item[66:]: item[:64] for item in _fields(files["digests"])}
        writes = _fields(files["writes"])
        self.writes = dict(zip(writes[::2], writes[1::2]))
        shown = _fields(files["paths"])
        told = {shown[at + 3]: shown[at : at + 6] for at in range(0, len(shown), 6)}
        self.shown_as_links = {path for path, fields in told.items() if fields[0] == "l"}
        self.places = {mount: self._place_of(mount) for mount in self.mounts}
        self.rows = {path: self._row(*fields) for path, fields in told.items()}

    def _row(self, found: str, mode: str, owner: str, path: str, target: str, access: str) -> dict[str, Any]:
        kind = KINDS.get(found, "o")
        mount = self.mount_of(path)
        place = self.places[mount]
        # What access(2) says of a link is true of what it leads to.
        can = access == "w" or kind not in "fd"
        writable = not mount.readonly and place not in ("image", "level", "live") and can
        kept = {"persistent": "yes", "localdisk": "yes"}.get(place, "no")
        row = {"path": path, "type": kind, "mode": mode.zfill(4), "owner": owner, "place": place, "writable": writable}
        row["survives"] = kept if writable else "-"
        if access == "w" and kind in "fd" and not writable:
            row["place"] = f"{place}, writable"
        if kind == "l":
            row["target"] = target
        elif kind == "f":
            row["digest"] = self.digests.get(path, "none was taken")
        return row

    def mount_of(self, path: str) -> Mount:
        """Return the mount that a path lies on, links of the entry it belongs to followed."""
        top = max((top for top in self.leads if path == top or path.startswith(top + "/")), key=len, default="")
        # A path that is looked at is shown as what it leads to; one that leads nowhere is shown as the link it is.
        real = self.leads[top] + path[len(top) :] if top and top not in self.shown_as_links else path
        best = None
        for mount in self.mounts:
            if real == mount.point or real.startswith(mount.point.rstrip("/") + "/"):
                best = mount if best is None or len(mount.point) >= len(best.point) else best
        if best is None:
            raise ProofError(f"no mount for {path}")
        return best

    def _anchors(self) -> dict[str, str]:
        """Return what lies at each place where the agent mounts something first."""
        found = {"/": "image", S: "tmpfs", f"{S}/persistent/{self.node}": "persistent"}
        for mount in self.mounts:
            if mount.point.startswith(f"{S}/mnt/"):
                found[mount.point] = "level"
            elif mount.point.startswith(f"{S}/localdisk"):
                found[mount.point] = "localdisk"
        return found

    def _place_of(self, mount: Mount) -> str:
        """Return what a mount shows, in the prediction's words: image, level, tmpfs, persistent, localdisk, or live."""
        if mount.kind == "overlay":
            return "tmpfs"  # what is written lies there
        best, place = "", "live"
        points = self._anchors()
        for anchor in self.mounts:
            if anchor.point not in points or anchor.file_system != mount.file_system:
                continue
            inside = mount.part == anchor.part or mount.part.startswith(anchor.part.rstrip("/") + "/")
            if inside and len(anchor.part) >= len(best):
                best, place = anchor.part, points[anchor.point]
        return place

    def origins(self, path: str) -> set[str]:
        """Return where the content at a path may have come from, as far as the node knows: it notes one source for each entry."""
        row = self.rows[path]
        place = row["place"]
        if path in IDENTITY and self.mount_of(path).root.endswith(f"/system/{path.rpartition('/')[2]}"):
            return {"identity"}
        if place == "image":
            return {"image"}
        above = [entry for entry in self.entries if path == entry or path.startswith(entry + "/")]
        found: set[str] = set()
        kept = ""
        for entry in sorted(above, key=len, reverse=True):
            storage, attach = self.entries[entry][3], self.entries[entry][8]
            if kept not in ("", storage):
                continue
            _status, source, _message = self.results.get(entry, ("", "-", ""))
            if path == RESOLVER == entry and source in ("default", "created"):
                found.add("identity")  # what DHCP says is written into it, where it says something
            found.add(" + ".join(part if part in ("default", "created", "kept") else f"level {part}" for part in source.split("+")))
            if attach == "inline":
                continue
            if source != "kept":
                break
            kept = storage  # since an earlier boot, or since this one filled the same storage's entry above it
        if path == MOUNTS and any(fields[0] == "mounts" for fields in self.plan):
            found.add("identity")  # a file where it is kept became a link to what the kernel says
        if any(entry.startswith(path + "/") for entry in self.entries) and row["type"] == "d":
            found.add("created")  # a step on the way to an entry below it
        return found

    def identity(self, path: str) -> str | None:
        """Return the digest that a file of the node's identity must have by its plan."""
        words = {fields[0]: fields[1] for fields in self.plan if len(fields) > 1}
        word = IDENTITY.get(path, "")
        return _digest(f"{words[word]}\n".encode()) if word else None


@dataclass(frozen=True)
class Difference:
    """What is foretold and what is so, where they are not the same."""

    path: str
    what: str
    foretold: str
    real: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what} foretold {self.foretold}, really {self.real}"


def _of_path(row: Mapping[str, Any], proof: Proof, resolver: bytes) -> Iterable[Difference]:
    path = str(row["path"])
    real = proof.rows.get(path)
    if row["type"] == "absent" or real is None:
        if (row["type"] == "absent") != (real is None):
            yield Difference(path, "type", str(row["type"]), str(real["type"]) if real else "absent")
        return
    told = dict(row)
    if told["origin"] == "identity":
        told["digest"] = _digest(resolver) if path == RESOLVER else proof.identity(path)
    real = {**real, "origin": told["origin"] if told["origin"] in proof.origins(path) else "/".join(sorted(proof.origins(path)))}
    for word in COMPARED:
        if told.get(word) != real.get(word):
            yield Difference(path, word, str(told.get(word)), str(real.get(word)))


def _of_write(row: Mapping[str, Any], proof: Proof) -> Iterable[Difference]:
    answer = proof.writes.get(str(row["path"]))  # nothing is tried but at entries, and there everywhere
    if answer is None or row["type"] not in ("f", "d"):
        return
    wanted = WRITTEN if row["writable"] else "Read-only file system"
    if answer != wanted:
        yield Difference(str(row["path"]), "a write", wanted, answer)


def differences(group: Mapping[str, Any], proof: Proof, resolver: bytes) -> list[Difference]:
    """Return every difference between one of the groups that node_view_info gives and a node's proof: paths, writes and entries.

    `resolver` is what resolv.conf must hold where the prediction says that it is of the node's identity: only the network knows.
    """
    rows: list[Mapping[str, Any]] = list(group["tree"])
    found = [difference for row in rows for difference in (*_of_path(row, proof, resolver), *_of_write(row, proof))]
    entries = proof.entries.keys() | {entry["path"] for entry in group["entries"]}
    found += [Difference(path, "a write", "tried", "not tried") for path in entries - proof.writes.keys()]
    foretold = {row["path"] for row in rows}
    found += [Difference(path, "type", "nothing", str(row["type"])) for path, row in proof.rows.items() if path not in foretold]
    told = {entry["path"]: (entry["status"], entry["source"] if entry["status"] == "done" else "") for entry in group["entries"]}
    done = {path: (status, source if status == "done" else "") for path, (status, source, _message) in proof.results.items()}
    for path in sorted(told.keys() | done.keys()):
        if told.get(path) != done.get(path):
            found.append(Difference(path, "entry", " ".join(told.get(path, ("none",))), " ".join(done.get(path, ("none",)))))
    return sorted(found, key=lambda difference: (difference.path, difference.what))


def alike(one: Proof, other: Proof, places: Iterable[str]) -> tuple[int, list[str]]:
    """Return how many paths two nodes have at and below `places`, and which of them are not the same on both."""
    words = ("owner", *(word for word in COMPARED if word != "origin"))
    inside = tuple(f"{place}/" for place in places)
    first, second = (
        {path: {word: row.get(word) for word in words} for path, row in proof.rows.items() if f"{path}/".startswith(inside)}
        for proof in (one, other)
    )
    paths = sorted(first.keys() | second.keys())
    return len(paths), [path for path in paths if first.get(path) != second.get(path)]
