# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb image_import: a bundle becomes a new generation of an image here, with its rows and lists.

The signature is checked before anything is written, every digest before anything is visible: the generation appears by one rename.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.files import read_bytes, write_file
from ..apply.generations import Generation, current, generations, next_number, publish, staging
from ..apply.manifest import names_of, parse, unseal
from ..apply.packs import RECORD as PACKS
from ..apply.removal import remove_tree
from ..apply.signing import Keys, site_keys
from ..apply.withdrawn import withdrawn
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image, find_image
from ..nodes.site import Site
from ..tables.columns import Row
from ..tables.plan import Change, lines_of, plan_table
from ..tables.rows import checked
from ..tables.schema import TABLES
from ..tables.store import DEFAULT_SITE, open_store
from .build import keep, only_build
from .bundle import NAME, REFUSED, Head, opened, read_head
from .lists import moved
from .unbundle import unpack

SPEC: dict[str, Any] = {
    "src": {"type": "path", "required": True},
    "image": {"type": "str"},
    "rows": {"type": "bool", "default": True},
    "publish": {"type": "bool", "default": False},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module image_import."""

LISTS = "custom/imported"
"""Where list files go, below installdir and in a directory for each image."""


@dataclass
class Import:
    """The plan: what is taken in, where to, and the rows and lists that come with it."""

    name: str
    rootimgdir: str
    src: str
    head: Head
    keys: Keys
    there: Generation | None
    lists: Mapping[str, str]
    site: str
    changes: Sequence[Change] = ()
    read_at: int | None = None
    publishes: bool = False
    number: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.number = (self.there.number or 0) if self.there else next_number(self.rootimgdir)

    @property
    def generation(self) -> Generation:
        """The generation that the bundle is here."""
        return Generation(self.rootimgdir, self.number)

    @property
    def due_lists(self) -> list[str]:
        """The list files that are not there as they came."""
        return [path for path, text in sorted(self.lists.items()) if read_bytes(path) != text.encode()]

    def lines(self) -> list[str]:
        """Return a line for the generation, each list and each row, and the publication."""
        lines = []
        if self.there is None:
            origin = f"{self.head.document['image']}, generation {self.head.document['id']}, signed by {self.head.signer}"
            lines.append(f"{self.name}: take {origin} in as generation {self.number} of {self.rootimgdir}")
        lines += [f"{path}: written" for path in self.due_lists] + lines_of(self.changes)
        return [*lines, f"{self.name}: publish generation {self.number}"] if self._unpublished() else lines

    def _unpublished(self) -> bool:
        """Tell whether it is to be published; what the site went on or back from since it arrived is not."""
        if not self.publishes or self.there is None:
            return self.publishes
        published = current(self.rootimgdir)
        newer = published is not None and published.number is not None and published.number >= self.number
        return not newer and self.number not in withdrawn(self.rootimgdir)

    def result(self) -> dict[str, Any]:
        """Return where the image is now and where it came from."""
        origin = {"image": self.head.document["image"], "id": self.head.document["id"], "key": self.head.signer}
        return {"image": self.name, "generation": self.number, "rootimg": self.generation.rootimg, "origin": origin}

    def apply(self) -> None:
        """Take the generation in, then lists, then rows: they name what is there."""
        with only_build(self.name, self.rootimgdir):
            if self.there is None:
                self._take_in()
            for path in self.due_lists:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                write_file(path, self.lists[path].encode())
            if self.changes:
                with open_store(self.site) as store:
                    store.write(self.changes, self.read_at)
            if self._unpublished():
                publish(self.generation, self.keys)

    def _take_in(self) -> None:
        stage = staging(self.rootimgdir, self.number)
        try:
            os.makedirs(stage, mode=0o700)
            with opened(self.src) as archive:
                head = read_head(archive, self.src, list(self.keys.accepted))
                if head.digest != self.head.digest:
                    raise SiteError.of(self.src, "was replaced while it was read", "Run again")
                unpack(archive, head.files, self._tree_list(), stage, self.src)
            record = self._record(stage)
            os.chmod(stage, 0o755)
            made = keep(self.rootimgdir, stage, record)
            self.there, self.number = made, made.number or 0
        except BaseException:
            remove_tree(stage)
            raise

    def _tree_list(self) -> str:
        return names_of(self._amended())[2]

    def _amended(self) -> int:
        plus = str(self.head.document["id"]).partition("+")[2]
        return int(plus) if plus.isdecimal() else 0

    def _record(self, stage: str) -> dict[str, Any]:
        """Return the record of the generation as it is here; what belongs to its number there goes or follows."""
        amended = self._amended()
        path = os.path.join(stage, names_of(amended)[0])
        manifest = parse(read_bytes(path) or b"", stage, amended, self.src)
        if manifest.id != self.head.document["id"]:
            raise SiteError.of(self.src, f"holds the manifest of {manifest.id}, not of {self.head.document['id']}", REFUSED)
        arrived = Generation(stage, None)
        unseal(arrived)
        packs = read_bytes(os.path.join(stage, PACKS))
        if packs is not None:
            document = json.loads(packs)
            for one in document["packs"].values():
                one["generation"] = self.number
            write_file(os.path.join(stage, PACKS), (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
        origin = {"bundle": self.head.digest, "image": self.head.document["image"], "id": manifest.id, "key": self.head.signer}
        return {**arrived.record(), "image": self.name, "packages": manifest.document["packages"], "imported": origin}


def _rows(head: Head, name: str, rootimgdir: str, lists_directory: str) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """Return the rows that an image has here, by table, and its lists by their paths here."""
    osimage = {**head.rows["osimage"][0], "imagename": name}
    row = (head.rows["linuximage"] or [{}])[0]
    linux, lists = moved(row, head.rows["lists"], lists_directory, osimage.get("environvar", ""))
    linux.update(imagename=name)
    if linux.get("rootimgdir"):
        linux["rootimgdir"] = rootimgdir
    found: dict[str, list[Row]] = {"osimage": [osimage], "linuximage": [linux]}
    for table in ("litefile", "litetree"):
        found[table] = [{**row, "image": name} for row in head.rows[table]]
    unknown = [
        Fault(f"{table}, column {column}", "is not known here", "Upgrade diskless.statelite")
        for table, rows in found.items()
        for column in sorted({column for row in rows for column in row} - set(TABLES[table].names))
    ]
    raise_faults(unknown)
    return found, lists


def _changes(rows: Mapping[str, list[Row]], name: str, tables: Mapping[str, list[Row]]) -> Sequence[Change]:
    """Return the changes that make these the rows of the image `name`; other rows that hold for it stay."""
    changes: list[Change] = []
    for table, wanted in rows.items():
        column = "imagename" if table.endswith("image") else "image"
        going = {TABLES[table].key_of(row) for row in tables[table] if row.get(column) == name}
        changes += plan_table(TABLES[table], tables[table], wanted, going)
    return checked(changes, tables)


def _place(site: Site, head: Head, name: str, with_rows: bool) -> str:
    """Return the image directory: that of the image which is here, else the default one; a bundle never chooses it."""
    here = find_image(site, name)
    if here is not None:
        return here.rootimgdir
    if not with_rows:
        raise SiteError.of(f"table osimage, imagename {name}", "there is no such image", "Import its rows too, or define it")
    row = head.rows["osimage"][0]
    wrong = [column for column in ("osvers", "osarch", "profile") if not NAME.fullmatch(row.get(column, ""))]
    raise_faults(Fault(f"{column} of the bundle", f"'{row.get(column, '')}' is no plain name", REFUSED) for column in wrong)
    return Image(name, {**row, "rootimgdir": ""}, site.setting("installdir").rstrip("/")).rootimgdir


def plan_import(params: Mapping[str, Any], _warn: Callable[[str], None]) -> Import:
    """Return the plan; raises SiteError for a bundle that no accepted key signed, before anything is done."""
    with open_store(params["site"]) as store:
        read_at, tables = store.read()
        site, keys_at = Site(tables), store.directory
    keys = site_keys(keys_at)
    if keys is None:
        raise SiteError.of("the site", "has no key, so it can't tell whose bundle it is", "Run the module image_key")
    with opened(params["src"]) as archive:
        head = read_head(archive, params["src"], list(keys.accepted))
    name = params["image"] or head.document["image"]
    if not NAME.fullmatch(name):
        raise SiteError.of("image", f"'{name}' is no plain name", "Use letters, digits, dots and dashes")
    rootimgdir = _place(site, head, name, params["rows"])
    changes: Sequence[Change] = ()
    lists: dict[str, str] = {}
    if params["rows"]:
        rows, lists = _rows(head, name, rootimgdir, os.path.join(site.setting("installdir"), LISTS, name))
        changes = _changes(rows, name, tables)
    there = next((each for each in generations(rootimgdir) if each.record().get("imported", {}).get("bundle") == head.digest), None)
    return Import(name, rootimgdir, params["src"], head, keys, there, lists, params["site"], changes, read_at, params["publish"])
