# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a generation: every file of it by its digest, the packages, and the list of the root tree; signed by the site.

    manifest.json, manifest.json.sig, tree.list.gz              made when the generation is first published
    manifest+1.json, manifest+1.json.sig, tree+1.list.gz        made when its root tree was amended in place: its id is `<n>+1`

What is published never changes: an amendment adds files. The highest number holds.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Fault, SiteError, raise_faults
from .files import read_bytes, write_file
from .signing import Keys
from .treelist import digest_of, listed, packed, refuse_differences, unpacked
from .withdrawn import now

if TYPE_CHECKING:
    from .generations import Generation

FORMAT = 1
SEAL = re.compile(r"manifest(?:\+([1-9][0-9]*))?\.json(?:\.sig)?|tree(?:\+([1-9][0-9]*))?\.list\.gz")
DUE = ".amending"
"""A file of a generation whose root tree is being changed in place: its manifest is out of date until there is another."""

SEALED = "Look at it, and seal it as it is with the module generation, seal: [{0}], or build the image again"
LARGE = 64 << 20
"""Bytes beyond which a file is told by its size alone, unless everything is to be read: a packed root of gigabytes takes seconds."""

REBUILD = "Build the image again, or go back to a generation that is whole with the module generation"


def is_seal(name: str) -> bool:
    """Tell whether a file of a generation belongs to one of its manifests."""
    return name == DUE or SEAL.fullmatch(name) is not None


def names_of(amended: int) -> tuple[str, str, str]:
    """Return the names of manifest, signature and tree list of an amendment, 0 for the generation as it was published."""
    plus = f"+{amended}" if amended else ""
    return f"manifest{plus}.json", f"manifest{plus}.json.sig", f"tree{plus}.list.gz"


def amendments(directory: str) -> int | None:
    """Return the number of the manifest that holds, None when there is none."""
    try:
        matches = map(SEAL.fullmatch, os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = [int(match.group(1) or 0) for match in matches if match and match.group(0).endswith(".json")]
    return max(found, default=None)


@dataclass(frozen=True)
class Manifest:
    """What one manifest says; `content` is what was signed."""

    directory: str
    amended: int
    content: bytes
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The generation's number, with the count of its amendments."""
        return str(self.document["id"])

    @property
    def tree_list(self) -> str:
        """The path of the list of the root tree."""
        return os.path.join(self.directory, names_of(self.amended)[2])


def read_manifest(directory: str) -> Manifest | None:
    """Return the manifest that holds for the generation in `directory`, None when it was never sealed.

    Raises SiteError for one that can't be read.
    """
    amended = amendments(directory)
    if amended is None:
        return None
    path = os.path.join(directory, names_of(amended)[0])
    return parse(read_bytes(path) or b"", directory, amended, path)


def parse(content: bytes, directory: str, amended: int, where: str) -> Manifest:
    """Return a manifest from its content; raises SiteError when it is none."""
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            what = f"the manifest has format {document['format']}, this release knows format {FORMAT}"
            raise SiteError.of(where, what, REBUILD)
        if not all(
            re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name) and re.fullmatch(r"[0-9a-f]{64}", one["sha256"])
            for name, one in document["files"].items()
        ):
            raise ValueError
        str(document["id"]), int(document["generation"]), dict(document["packages"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteError.of(where, "it is no manifest", REBUILD) from error
    return Manifest(directory, amended, content, document)


def _files(directory: str, amended: int) -> dict[str, dict[str, Any]]:
    """Return the digests of the plain files of a generation, without its manifests but with the tree list of this one."""
    own_list = names_of(amended)[2]
    found = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and not name.startswith(".") and (name == own_list or not is_seal(name)):
            found[name] = {"sha256": digest_of(path), "size": status.st_size}
    return found


def _write(generation: Generation, keys: Keys | None, amended: int, more: Mapping[str, Any]) -> Manifest:
    """Write list, signature and manifest, in this order: a manifest that is there is whole."""
    directory = generation.path
    manifest, signature, tree_list = names_of(amended)
    lines = list(listed(generation.rootimg)) if os.path.isdir(generation.rootimg) else []
    write_file(os.path.join(directory, tree_list), packed(lines))
    record = generation.record()
    document = {
        "format": FORMAT,
        "id": f"{generation.number}+{amended}" if amended else str(generation.number),
        "generation": generation.number,
        "image": record.get("image", ""),
        "built": record.get("built", ""),
        "sealed": now(),
        "kernel_version": record.get("kernel_version", ""),
        "packages": record.get("packages", {}),
        "files": _files(directory, amended),
        "tree": {"paths": len(lines), "bytes": sum(line[6] for line in lines if line[1] == "f")},
        **more,
    }
    content = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
    if keys is not None:
        write_file(os.path.join(directory, signature), keys.sign(content))
    write_file(os.path.join(directory, manifest), content)
    return Manifest(directory, amended, content, document)


def seal(generation: Generation, keys: Keys | None) -> None:
    """Give a generation that is about to be published its manifest; one that it has already stays as it is."""
    if generation.number is not None and amendments(generation.path) is None:
        _write(generation, keys, 0, {})


def unseal(generation: Generation) -> None:
    """Take the manifest of a generation away that was never published: its tree is about to be changed."""
    for name in sorted(os.listdir(generation.path)):
        if is_seal(name):
            os.unlink(os.path.join(generation.path, name))


def amend(generation: Generation, keys: Keys | None, why: str, packages: Mapping[str, str] | None = None) -> str:
    """Give a published generation whose root tree was changed in place a new manifest; return its new id, `<n>+<k>`.

    `packages` are those that it has now, None when they are the same.
    """
    before = read_manifest(generation.path)
    amended = before.amended + 1 if before else 1
    kept = before.document["packages"] if before else generation.record().get("packages", {})
    made = _write(generation, keys, amended, {"packages": dict(kept if packages is None else packages), "why": why})
    if amendment_due(generation):
        os.unlink(os.path.join(generation.path, DUE))
    return made.id


def begin_amendment(generation: Generation, by: str) -> None:
    """Note, before anything is changed, that the verb `by` is about to change the root tree of a published generation in place."""
    write_file(os.path.join(generation.path, DUE), f"{by}\n".encode())


def amendment_due(generation: Generation) -> str:
    """Return the verb that began to change the root tree and made no manifest since, as a killed one does; else nothing."""
    content = read_bytes(os.path.join(generation.path, DUE)) if generation.number is not None else None
    return "" if content is None else content.decode("utf-8", "replace").strip() or "a verb"


def verify(generation: Generation, keys: Keys | None, tree: bool = False) -> Manifest | None:
    """Return the manifest that holds, checked: its signature, and every file that it names by its digest, LARGE ones by their size.

    With `tree` also large files and every path of the root tree by their digests. A site without keys checks nothing but that.
    Raises SiteError that names what is missing or wrong, with the mend.
    """
    if generation.number is None or (keys is None and not tree):
        return None
    manifest = read_manifest(generation.path)
    if manifest is None:
        raise SiteError.of(generation.path, "the generation has no manifest, so nobody signed it", SEALED.format(generation.number))
    if amendment_due(generation):
        what = f"its root tree was being changed in place by {amendment_due(generation)} when that was cut off"
        raise SiteError.of(generation.path, what, "Run the same again: it is finished then")
    name, signature_name, tree_list = names_of(manifest.amended)
    where = os.path.join(generation.path, name)
    if keys is not None:
        signature = read_bytes(os.path.join(generation.path, signature_name))
        if signature is None:
            raise SiteError.of(where, "is not signed", SEALED.format(generation.number))
        if keys.signer_of(manifest.content, signature) is None:
            what = "its signature is of none of the keys that the site accepts, or it was changed since"
            raise SiteError.of(where, what, REBUILD)
    if manifest.document["generation"] != generation.number:
        raise SiteError.of(where, f"is the manifest of generation {manifest.document['generation']}", REBUILD)
    if tree_list not in manifest.document["files"]:
        raise SiteError.of(where, f"does not name {tree_list}", REBUILD)
    raise_faults(_file_faults(generation.path, manifest.document["files"], tree))
    if tree:
        refuse_differences(unpacked(read_bytes(manifest.tree_list) or b"", manifest.tree_list), generation.rootimg)
    return manifest


def _file_faults(directory: str, files: Mapping[str, Mapping[str, Any]], whole: bool) -> list[Fault]:
    """Return a fault for each file that is not as a manifest has it; LARGE ones are read only with `whole`."""
    faults = []
    for name, one in files.items():
        path = os.path.join(directory, name)
        if not os.path.isfile(path) or os.path.islink(path):
            faults.append(Fault(path, "is in the signed manifest and not there", REBUILD))
        elif os.stat(path).st_size != one["size"] or ((whole or one["size"] <= LARGE) and digest_of(path) != one["sha256"]):
            faults.append(Fault(path, "is not what the signed manifest says: somebody changed it", REBUILD))
    return faults
