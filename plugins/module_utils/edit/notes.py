# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to an image by hand, noted in its tree, `/.statelite-edits.json`, so that every copy of it knows.

A build from packages begins without notes. Commands stand there as digests alone: every node can read the image.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ..apply.root import Root
from ..errors import SiteError

NOTES = "/.statelite-edits.json"
FORMAT = 1


@dataclass(frozen=True)
class Edit:
    """One edit: the verb, when (UTC), its digest, and what may be told to everybody."""

    verb: str
    when: str
    digest: str = ""
    what: str = ""


def edits_in(root: Root) -> list[Edit]:
    """Return the edits of a tree, oldest first; raises SiteError when its notes can't be read."""
    content = root.read(NOTES)
    if content is None:
        return []
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        return [Edit(**edit) for edit in document["edits"]]
    except (ValueError, KeyError, TypeError) as error:
        where = root.path + NOTES
        raise SiteError.of(where, f"is no list of edits of this program ({error})", "Remove it: edits are then made again") from error


def add_edit(root: Root, edit: Edit) -> None:
    """Write one more edit into a tree that nobody uses yet."""
    edits = [*edits_in(root), edit]
    text = json.dumps({"format": FORMAT, "edits": [asdict(each) for each in edits]}, indent=1)
    root.replace(NOTES, (text + "\n").encode(), 0o644)
