# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a package that went, or became another version, left in a tree: an image from nothing would not have it.

No package manager takes everything away: configuration that a newer version no longer has, accounts, directories that a script made.
Every such trace is named in the package's own list of files or in its scripts, so those are what is looked for.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterable

from ..apply.root import Root
from .changes import State
from .reuse import normal

SPARED = re.compile(r"\.(?:dpkg-(?:bak|dist|new|old|tmp)|rpm(?:new|orig|save)|ucf-(?:dist|new|old))$")
"""Endings under which package managers set files aside."""

DECLARED = ("usr/lib/sysusers.d/", "usr/lib/tmpfiles.d/")
"""Files that make accounts and directories without a script."""

MENTIONED = re.compile(r"/(?:etc|home|opt|root|srv|usr|var)/[\w@.+/-]*\w")
WORD = re.compile(r"[\w.+-]*\w")
FIXED, NOBODY = 100, 65534
"""Accounts below that number, and this one, are the same in every image (the packages base-passwd and setup)."""


def texts_of(rootimg: str, paths: Iterable[str]) -> str:
    """Return what those files of a package say that make accounts and directories."""
    with Root(rootimg) as root:
        texts = [root.read(f"/{path}") or b"" for path in sorted(map(normal, paths)) if path.startswith(DECLARED)]
    return b"\n".join(texts).decode(errors="replace")


def remove_emptied(rootimg: str, owned: Iterable[str], others: Iterable[str]) -> None:
    """Remove the directories above paths that packages had, where they are empty now and of no package: rpm leaves those it made unasked.

    `owned` and `others` are as in left_behind.
    """
    now = {normal(path) for path in others}
    above = {parent for path in map(normal, owned) for parent in _above(path)} - now
    with Root(rootimg) as root:
        for path in sorted(above, reverse=True):
            found = root.lstat(f"/{path}")
            if found is not None and stat.S_ISDIR(found.st_mode) and not root.listdir(f"/{path}"):
                root.rmdir(f"/{path}")


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]


def left_behind(owned: Collection[str], said: str, others: Collection[str], before: State, after: State) -> str:
    """Return a trace that packages left which went or changed, empty for none (pure).

    `owned` are the paths that they had, `said` is what the scripts of those that went say, `others` are the paths of all packages
    there now; the states are the tree's from before and after.
    """
    now = {normal(path) for path in others}
    mentioned = {normal(path) for path in MENTIONED.findall(said)}
    for path in sorted({*map(normal, owned), *mentioned} - now):
        if after.there(f"/{path}"):
            return f"/{path}"
    spared = sorted(path for path in after.stamps if path not in before.stamps and SPARED.search(path) and normal(path) not in now)
    if spared:
        return spared[0]
    names = set(WORD.findall(said))
    for line in sorted(after.accounts):
        _file, name, _password, number = [*line.split(":", 4), "", "", ""][:4]
        if name in names and number.isdigit() and int(number) >= FIXED and int(number) != NOBODY:
            return f"the account {name}"
    return ""
