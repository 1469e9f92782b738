# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build on another host needs besides the builder: one JSON document with the image's rows and every file that decides it.

Lists, scripts, keys, the node agent and the credentials travel in it. Directories of packages don't: a build host has them at the
same place, mounted or copied, as the document has it ("mount the /install directory").
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.files import read_bytes
from ..errors import SiteError
from ..nodes.images import Image
from ..nodes.site import Site
from ..tables.columns import Row
from .credentials import Credentials
from .definition import Definition
from .given import Given
from .packages import postinstall_of
from .tree import TreeFile

FORMAT = 1
OPTIONS = ("share", "limit", "other_release")
"""Options of genimage that a build elsewhere takes over; the places of the files don't count there."""

LOCAL = re.compile(r"(?:(?:file|copy):(?://(?:localhost)?(?=/))?)?(/\S.*)")
SIGNED_BY = re.compile(r"\bsigned-by=([^\s\]]+)")
BROKEN = "Write it anew with the module image_builder of the collection that the builder came from"


@dataclass(frozen=True)
class Description:
    """One image as it is built elsewhere. `files` are at their own absolute paths there, `directories` must be there already."""

    image: str
    row: Row
    installdir: str
    options: Mapping[str, Any]
    files: Sequence[TreeFile]
    directories: Sequence[str]
    given: Given

    def site(self, changed: Mapping[str, str]) -> Site:
        """Return the tables that the builder reads in the database's place, with `changed` columns of the image."""
        row = {**self.row, **changed, "imagename": self.image}
        return Site({"osimage": [row], "linuximage": [], "site": [{"key": "installdir", "value": self.installdir}]})


def _item_parts(item: str) -> tuple[str, list[str]]:
    """Return the place that an item of pkgdir or otherpkgdir names, and the keys it is signed by."""
    deb = item.startswith("deb ")
    text = item[4:].lstrip() if deb else item
    brackets, rest = re.fullmatch(r"(\[[^]]*\])?\s*(.*)", text, re.DOTALL).groups("")  # type: ignore[union-attr]
    keys = [key for found in SIGNED_BY.findall(brackets) for key in found.split(",") if key.startswith("/")]
    return (rest.split(maxsplit=1)[0] if deb and rest else rest), keys


def local_directory(place: str) -> str:
    """Return the absolute path of a place of packages; '' for one that comes over the network."""
    found = LOCAL.fullmatch(place)
    return os.path.normpath(found.group(1)) if found else ""


def _items(definition: Definition) -> list[str]:
    order = definition.installer.order
    return [*order.pkgdir, *(source.text for source in order.other_sources)]


def directories_of(definition: Definition) -> list[str]:
    """Return the directories that packages come from, each once; one that lies in another of them comes with it."""
    found = sorted({path for path in (local_directory(_item_parts(item)[0]) for item in _items(definition)) if path})
    return [path for path in found if not any(path.startswith(above.rstrip("/") + "/") for above in found if above != path)]


def files_of(definition: Definition) -> list[str]:
    """Return the files that decide the image: its lists, repolist, scripts and keys."""
    keys = [key for item in _items(definition) for key in _item_parts(item)[1]]
    others = definition.others
    lists = [*definition.packages.files, *others.packages.files, *([others.repolist] if others.repolist else [])]
    return list(dict.fromkeys([*lists, *(words[0] for words in definition.postinstall), *keys]))


def _read(paths: Sequence[str]) -> Iterator[TreeFile]:
    for path in paths:
        content = read_bytes(path)
        if content is None:
            raise SiteError.of(path, "does not exist any more", "Run again")
        yield TreeFile(path, content, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)


def describe(definition: Definition, given: Given, params: Mapping[str, Any]) -> Description:
    """Return the description of an image whose definition was read here."""
    image: Image = definition.image
    row = {
        column: value for column, value in image.row.items() if column != "exlist"
    }  # what a pack leaves out is decided where it is packed
    row.setdefault("rootimgdir", image.rootimgdir)
    for column, packages in (("pkglist", definition.packages), ("otherpkglist", definition.others.packages)):
        if packages.files:
            row.setdefault(column, packages.files[0])  # a default list was found, and none is looked for there
    if definition.postinstall:
        row.setdefault("postinstall", postinstall_of(image))
    files = tuple(_read(files_of(definition)))
    options = {name: params[name] for name in OPTIONS}
    return Description(image.name, row, image.installdir, options, files, directories_of(definition), given)


def _packed(file: TreeFile) -> dict[str, str]:
    found = {"path": file.path, "mode": f"{file.mode:o}"}
    return {**found, "target": file.target} if file.target else {**found, "content": base64.b64encode(file.content).decode()}


def _unpacked(cells: Mapping[str, str]) -> TreeFile:
    content = base64.b64decode(cells.get("content", ""), validate=True)
    return TreeFile(cells["path"], content, int(cells["mode"], 8), cells.get("target", ""))


def to_json(description: Description) -> bytes:
    """Return the document; the same description gives the same bytes."""
    given = description.given
    document = {
        "format": FORMAT,
        "image": description.image,
        "row": dict(description.row),
        "installdir": description.installdir,
        "options": dict(description.options),
        "files": [_packed(file) for file in description.files],
        "directories": list(description.directories),
        "agent": [_packed(file) for file in given.agent],
        "overlay": [_packed(file) for file in given.overlay],
        "credentials": [_packed(file) for file in given.credentials.files],
        "root_hash": given.credentials.root_hash,
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def from_json(content: bytes, where: str) -> Description:
    """Return the description in a document; raises SiteError that names the file `where` when it is none."""
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise SiteError.of(where, f"has the format {document['format']}, and this builder reads {FORMAT}", BROKEN)
        trees = {name: tuple(_unpacked(cells) for cells in document[name]) for name in ("files", "agent", "overlay", "credentials")}
        given = Given(trees["agent"], trees["overlay"], Credentials(trees["credentials"], document["root_hash"]))
        return Description(
            document["image"],
            document["row"],
            document["installdir"],
            document["options"],
            trees["files"],
            document["directories"],
            given,
        )
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise SiteError.of(where, f"is no description of an image ({type(error).__name__}: {error})", BROKEN) from error
