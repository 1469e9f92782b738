# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One litefile row, parsed: what a node may write, where it is kept and how it is attached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import osimage, rank, rows_for_image
from ..tables.lite import BIND, CON, LINK, MTAB, TMPFS, file_problem, normal_path, options_problem, parse_options

if TYPE_CHECKING:
    from ..nodes.site import Site

DIRECTORY, FILE = "d", "f"


@dataclass(frozen=True)
class Entry:
    """A path as a litefile row writes it. `kind` is d when it ended with a slash; the tree decides what it really is."""

    path: str
    kind: str
    storage: str
    attachment: str
    required: bool = False
    row: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def where(self) -> str:
        """Where a fault of this entry stands."""
        return f"table litefile, image {self.row.get('image') or 'ALL'}, file {self.row.get('file') or self.path}"

    @property
    def options(self) -> str:
        """Attachment and storage in the words of the options column."""
        return f"{self.attachment},{self.storage}"


def entry_of(row: Mapping[str, str], liteattach: str) -> Entry:
    """Return the entry of one litefile row; a bare option word is attached as `liteattach` (link or bind) says.

    Raises SiteError that names the row with everything that is wrong with it.
    """
    written, options = row.get("file") or "", row.get("options") or ""
    problems = [problem for problem in (file_problem(written), options_problem(options)) if problem is not None]
    if not problems:
        path, kind = normal_path(written)
        storage, attachment = parse_options(options)
        if storage == CON and kind == DIRECTORY:
            problems.append(("a directory can't be concatenated", "List its files, or use tmpfs for the directory"))
    if problems:
        where = f"table litefile, image {row.get('image') or 'ALL'}, file {written}"
        raise SiteError(*(Fault(where, *problem) for problem in problems))
    if path == MTAB:
        kind, storage, attachment = FILE, TMPFS, LINK
    required = (row.get("required") or "no") == "yes"
    return Entry(path, kind, storage, attachment or liteattach, required, dict(row))


def entries_of(rows: Iterable[Mapping[str, str]], liteattach: str) -> list[Entry]:
    """Return the entries of `rows` sorted by path; `/x` and `/x/` are one path.

    Raises SiteError with the faults of all rows at once.
    """
    faults: list[Fault] = []
    found: dict[str, Entry] = {}
    for row in rows:
        try:
            entry = entry_of(row, liteattach)
        except SiteError as error:
            faults.extend(error.faults)
            continue
        other = found.get(entry.path)
        if other is None:
            found[entry.path] = entry
        elif (other.storage, other.attachment) == (entry.storage, entry.attachment):
            kind = DIRECTORY if DIRECTORY in (other.kind, entry.kind) else FILE
            found[entry.path] = Entry(entry.path, kind, entry.storage, entry.attachment, entry.required or other.required, other.row)
        else:
            faults.append(
                Fault(
                    entry.where,
                    f"{entry.options} here, but {other.options} in the row for {other.row.get('file')}",
                    "Keep one of the two rows",
                )
            )
    raise_faults(faults)
    return [found[path] for path in sorted(found)]


def liteattach_of(site: Site, image: str) -> str:
    """Return how bare option words are attached in `image`: the image's own word, else the site's (default link)."""
    word = osimage(site, image).liteattach or site.setting("liteattach", LINK)
    if word not in (LINK, BIND):
        raise SiteError.of("table site, key liteattach", f"{word!r} is no attachment", "Use link or bind")
    return word


def entries_for(site: Site, image: str) -> Sequence[Entry]:
    """Return the entries that the litefile table gives an image, sorted by path.

    Raises SiteError with every fault of the image's rows.
    """
    return site.once(("entries", image), lambda: _entries_for(site, image))


def _entries_for(site: Site, image: str) -> list[Entry]:
    known, liteattach = osimage(site, image), liteattach_of(site, image)
    try:
        rows = rows_for_image(site, "litefile", known)
    except SiteError as error:
        raise_faults([*error.faults, *_row_faults((row for row in site.rows("litefile") if rank(row, known) is not None), liteattach)])
        raise
    return entries_of(rows, liteattach)


def _row_faults(rows: Iterable[Mapping[str, str]], liteattach: str) -> list[Fault]:
    faults: list[Fault] = []
    for row in rows:
        try:
            entry_of(row, liteattach)
        except SiteError as error:
            faults.extend(error.faults)
    return faults
