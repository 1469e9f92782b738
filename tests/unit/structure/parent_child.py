# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/parent-child.md, made from the rules and from the resolver that places entries.

PYTHONPATH=build/workspace python -m ansible_collections.diskless.statelite.tests.unit.structure.parent_child > docs/parent-child.md
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import Placed
from ansible_collections.diskless.statelite.plugins.module_utils.lite.nodeplan import Step, place_steps
from ansible_collections.diskless.statelite.plugins.module_utils.lite.rules import RULES, refusal
from ansible_collections.diskless.statelite.plugins.module_utils.tables.lite import SPELLINGS

NODE = "NODE"
HEAD = """\
<!-- Made by tests/unit/structure/parent_child.py from plugins/module_utils/lite/rules.py; a test compares them. -->
# An entry below another entry

Rows of litefile may name a directory and things inside it. Only the nearest listed directory above an entry counts: below it the
same rules have held already, so the table is right at any depth. The order of rows never matters. Storage and attachment are those
of the options column; a bare word is attached as `liteattach` says.

A pair is either carried out, or refused when liteimg plans, by the rule named in its cell. Nothing is changed then.
"""
WORDS = """
- **inline**: the entry is a part of its directory, at its own place in it; only what has to be different (another source, a
  content put together) is put there.
- **bound**: the entry has a place of its own, and is mounted over its path.
"""


def combinations() -> list[tuple[str, str]]:
    """Return every storage with every attachment that it may have, in the order of the documents."""
    meant = {(storage, attachment) for storage, bare in SPELLINGS.values() for attachment in ((bare,) if bare else ("link", "bind"))}
    storages = ("tmpfs", "persistent", "ro", "con", "localdisk")
    return [(storage, way) for storage in storages for way in ("link", "bind") if (storage, way) in meant]


def entry(path: str, kind: str, combination: tuple[str, str], parent: str | None = None) -> Placed:
    """Return an entry of the matrix."""
    return Placed(path, kind, *combination, parent=parent)


def carried(parent: tuple[str, str], child: tuple[str, str]) -> Step:
    """Return how a node carries the child of a lawful pair out."""
    return place_steps([entry("/p", "d", parent), entry("/p/c", "f", child, "/p")], NODE)[1]


def cell(parent: tuple[str, str], child: tuple[str, str]) -> str:
    """Return what becomes of a pair."""
    rule = refusal(entry("/p", "d", parent), entry("/p/c", "f", child))
    if rule is not None:
        return f"`{rule.name}`"
    return {"inline": "inline", "bind": "bound"}[carried(parent, child).attach]


def lines() -> Iterator[str]:
    """Give the lines of the document."""
    parents = combinations()
    yield from HEAD.splitlines()
    yield ""
    yield "| inside ↓ a directory → | " + " | ".join(f"{way},{storage}" for storage, way in parents) + " |"
    yield "|---" * (len(parents) + 1) + "|"
    for child in combinations():
        yield f"| **{child[1]},{child[0]}** | " + " | ".join(cell(parent, child) for parent in parents) + " |"
    yield from WORDS.splitlines()
    yield ""
    yield "## Rules"
    yield ""
    yield "| rule | why | instead |"
    yield "|---|---|---|"
    for rule in RULES:
        yield f"| `{rule.name}` | {rule.reason} | {rule.mend} |"


def text() -> str:
    """Return the document."""
    return "".join(f"{line}\n" for line in lines())


if __name__ == "__main__":
    print(text(), end="")
