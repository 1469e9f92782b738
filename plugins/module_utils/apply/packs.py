# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packed roots of a generation, and the record of them, `packed.json` beside `rootimg`.

    <generation>/rootimg-<first 12 digits of its digest>.<ending>    never changes: boot files name it
    <generation>/rootimg.<ending>                                    a link to the newest of that form, for people

`pack` writes them, `boot` names them to nodes; neither may import the other, so they are known here.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SiteError
from .files import read_bytes, write_file

if TYPE_CHECKING:
    from .generations import Generation

RECORD = "packed.json"
FORMAT = 1
STATELESS = "stateless"
"""The tree as it is without a layout: a node has all of it in memory and may write everywhere."""

RAMDISK = "ramdisk"
"""The tree as liteimg laid it out, in memory instead of over NFS: osimage.rootfstype ramdisk."""

OF_ONE_TREE = re.compile(r"packed\.json|rootimg(-[0-9a-f]{12}|-statelite(-[0-9a-f]{12})?)?\.(cpio\.\w+|tar\.\w+|sfs|erofs|gz)")
"""Names in a generation's directory that say what its own tree was packed to; a copy of the generation has no use for them."""


@dataclass(frozen=True)
class Packed:
    """One packed root: `file` is its path, `digest` as `sha256:<hex>`, `record` everything that packimage wrote of it."""

    file: str
    digest: str
    size: int
    record: dict[str, Any]


def packs(generation: Generation) -> dict[str, Packed]:
    """Return the packed roots of a generation by their kind; one that was recorded for another tree, or is gone, is none.

    Raises SiteError for a record that this release does not know.
    """
    path = os.path.join(generation.path, RECORD)
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        found = {
            kind: Packed(os.path.join(generation.path, one["file"]), one["digest"], one["size"], one)
            for kind, one in document["packs"].items()
            if one["generation"] == generation.number and "/" not in one["file"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteError.of(path, f"is no record of packed roots ({error})", "Remove it and run packimage again") from error
    return {kind: one for kind, one in found.items() if _stands(one)}


def _stands(one: Packed) -> bool:
    try:
        return os.lstat(one.file).st_size == one.size
    except (FileNotFoundError, NotADirectoryError):
        return False


def write_packs(generation: Generation, records: dict[str, dict[str, Any]]) -> None:
    """Write the record of a generation's packed roots, by their kind."""
    document = {"format": FORMAT, "packs": {kind: {**one, "generation": generation.number} for kind, one in records.items()}}
    write_file(os.path.join(generation.path, RECORD), (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
