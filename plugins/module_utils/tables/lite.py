# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of what a node may write: litefile, litetree, statelite; and the one parser of litefile options."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Optional

from ..errors import SiteError
from . import rules
from .columns import CURLY_QUOTES, EVERY_IMAGE, Column, Problem, Row, Table

MTAB, MOUNTS = "/etc/mtab", "/proc/self/mounts"
"""What a node has mounted is its kernel's to say, whatever a row says of it: a link on every node (cases/README.md, 44 and 46)."""

TMPFS, PERSISTENT, RO, CON, LOCALDISK = "tmpfs", "persistent", "ro", "con", "localdisk"
LINK, BIND = "link", "bind"

Option = tuple[str, Optional[str]]
"""Storage, and attachment; an attachment of None is decided by `liteattach` of the image or the site."""

OPTION_WORDS = ("ALL", "tmpfs", "rw", "tempfs", "link", "bind", "persistent", "ro", "con", "localdisk")


def _spellings() -> dict[frozenset[str], Option]:
    """Return every lawful set of option words (architecture.md, Two spellings of the options column)."""
    found: dict[frozenset[str], Option] = {
        frozenset(): (TMPFS, LINK),
        frozenset(("ALL",)): (TMPFS, LINK),
        frozenset(("tmpfs", "rw")): (TMPFS, LINK),
        frozenset(("link",)): (TMPFS, LINK),
        frozenset(("bind",)): (TMPFS, BIND),
        frozenset(("localdisk",)): (LOCALDISK, BIND),
        frozenset(("bind", "localdisk")): (LOCALDISK, BIND),
    }
    for word, storage in (("tmpfs", TMPFS), ("rw", TMPFS), ("tempfs", TMPFS), ("persistent", PERSISTENT), ("ro", RO), ("con", CON)):
        found[frozenset((word,))] = (storage, None)
        found[frozenset(("link", word))] = (storage, LINK)
        found[frozenset(("bind", word))] = (storage, BIND)
    return found


SPELLINGS = _spellings()


@lru_cache(maxsize=256)
def options_problem(text: str) -> Problem | None:
    """Return what is wrong with the options of a litefile row, and the mend; None when they are lawful."""
    if any(character in CURLY_QUOTES for character in text):
        return f"{text!r} has curly quotes", 'Write the options without quotes, or with plain " in CSV'
    if re.search(r"\s", text):
        return f"{text!r} has a blank", "Separate options by a comma alone, such as link,persistent"
    words = text.split(",") if text else []
    for word in words:
        if word not in OPTION_WORDS:
            lowered = word.lower()
            if lowered in OPTION_WORDS:
                return f"{word!r} has capitals", f"Write {lowered}"
            if word.upper() in OPTION_WORDS:
                return f"{word!r} is not the word {word.upper()}", f"Write {word.upper()} or leave the options blank"
            return f"{word!r} is no option", "Use " + ", ".join(OPTION_WORDS)
        if words.count(word) > 1:
            return f"{word!r} is given twice", "Write each option once"
    if frozenset(words) in SPELLINGS:
        return None
    if LINK in words and BIND in words:
        return f"{text!r} has two attachments", "Keep link or bind"
    if EVERY_IMAGE in words:
        return f"{text!r} joins ALL with other options", "Write ALL alone, or the other options without it"
    if LOCALDISK in words and LINK in words:
        return "localdisk can't be attached by links", "Write localdisk alone: it is always a bind mount"
    return f"{text!r} has two storages", "Keep one of tmpfs, persistent, ro, con, localdisk"


def parse_options(text: str, where: str = "litefile options") -> Option:
    """Return (storage, attachment or None) of the options of a litefile row.

    Raises SiteError at `where` with the same words that the check of a written row uses.
    """
    problem = options_problem(text)
    if problem is not None:
        raise SiteError.of(where, *problem)
    return _spelled(text)


@lru_cache(maxsize=256)
def _spelled(text: str) -> Option:
    return SPELLINGS[frozenset(text.split(",") if text else ())]


def normal_path(text: str) -> tuple[str, str]:
    """Return (path, kind) of a lawful file cell: the path without doubled slashes, dot parts and a slash at its end.

    The kind is d when the cell ended with a slash, else f.
    """
    if "//" not in text and "/." not in text and text[:1] == "/" != text:
        return (text[:-1], "d") if text[-1] == "/" else (text, "f")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts), "d" if text.endswith(("/", "/.")) else "f"


def file_problem(text: str) -> Problem | None:
    """A path inside the image that an entry may have."""
    problem = rules.absolute_path(text)
    if problem is not None:
        return problem
    path = normal_path(text)[0]
    if path == "/":
        return "it is the whole root", "List the directories below it that nodes may write"
    if path.split("/")[1] in (".statelite", ".default"):
        return f"{text!r} belongs to statelite itself", "Remove the row"
    return None


def _litefile_rule(row: Row) -> Iterable[tuple[str, str, str]]:
    options = row.get("options", "")
    if "con" in options.split(",") and row.get("file", "").endswith("/"):
        yield "options", "a directory can't be concatenated", "List its files, or use tmpfs for the directory"


def location_warnings(rows: Iterable[Row]) -> list[str]:
    """Return a warning for each statelite row whose directory already ends in the node's name: state would lie in NAME/NAME."""
    return [
        f"statelite {row.get('node')}: {row.get('statemnt')} ends in the node's name, and every node gets a directory of its name below it"
        for row in rows
        if row.get("statemnt", "").rstrip("/").rpartition("/")[2] in ("$node", row.get("node"))
    ]


IMAGE_TEXT = "The osimage, or an image group, that the row is for; V(ALL) or blank for every image."
REQUIRED = ("no", "yes")

LITEFILE = Table(
    "litefile",
    (
        Column("image", IMAGE_TEXT, rule=rules.names, blank=EVERY_IMAGE),
        Column("file", "Full path in the image; a directory ends with a slash.", required=True, rule=file_problem),
        Column(
            "options",
            "Storage (V(tmpfs), V(persistent), V(ro), V(con), V(localdisk)) and attachment (V(link), V(bind)), separated by a comma;"
            " blank for a volatile file attached by links.",
            rule=options_problem,
        ),
        Column("required", "Whether the boot stops when this entry can't be set up as declared.", ours=True, choices=REQUIRED),
    ),
    ("image", "file"),
    "The files and directories of an image that nodes may write, and how.",
    _litefile_rule,
)

LITETREE = Table(
    "litetree",
    (
        Column("priority", "Order of the search, the lowest number first.", required=True, rule=rules.number),
        Column("image", IMAGE_TEXT, rule=rules.names, blank=EVERY_IMAGE),
        Column(
            "directory",
            "C(server:/directory) that holds a sparse tree of files; may use variables such as C($node) and C($nodepos.room).",
            required=True,
            rule=rules.location,
        ),
        Column("mntopts", "Further NFS mount options, separated by commas.", rule=rules.mount_options),
        Column("required", "Whether the boot stops when this level can't be mounted.", ours=True, choices=REQUIRED),
    ),
    ("priority", "image"),
    "Where the first content of litefile entries comes from, and the lasting content of C(ro) entries.",
)

STATELITE = Table(
    "statelite",
    (
        Column("node", "The node or node group.", required=True, rule=rules.name),
        Column("image", "The osimage that the row is for; V(ALL) or blank for every image.", rule=rules.names, blank=EVERY_IMAGE),
        Column(
            "statemnt",
            "C(server:/directory) below which each node has a directory of its own name; may use variables such as C($noderes.nfsserver).",
            required=True,
            rule=rules.location,
        ),
        Column("mntopts", "Further NFS mount options, separated by commas.", rule=rules.mount_options),
    ),
    ("node", "image"),
    "Where the persistent files of nodes are kept.",
)
