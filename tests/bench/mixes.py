# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that the bench of the agent carries out: mixes of storages, attachments, kinds and parents, with two levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import Entry

IMAGE, FIRST, SECOND = "root", "first", "second"
STORAGES = ("tmpfs", "persistent", "ro", "con")
Mix = Callable[[int], Iterator[Entry]]


def place(number: int) -> str:
    """Return a path as sites have them, forty directories for all."""
    return f"/opt/site/service{number % 40}/conf/entry{number}"


def linked(count: int) -> Iterator[Entry]:
    """Yield mostly files attached by links, every tenth bound, every twentieth a directory; all volatile."""
    for number in range(count):
        yield Entry(place(number), "d" if number % 20 == 0 else "f", "tmpfs", "bind" if number % 10 == 5 else "link")


def bound(count: int) -> Iterator[Entry]:
    """Yield the same with every other entry bound."""
    for number in range(count):
        yield Entry(place(number), "d" if number % 20 < 2 else "f", "tmpfs", ("link", "bind")[number % 2])


def directories(count: int) -> Iterator[Entry]:
    """Yield volatile directories, half of them bound."""
    for number in range(count):
        yield Entry(place(number), "d", "tmpfs", ("link", "bind")[number % 2])


def storages(count: int) -> Iterator[Entry]:
    """Yield every storage in both attachments; every tenth entry a directory where its storage can have one."""
    for number in range(count):
        storage = STORAGES[number // 2 % 4]
        kind = "d" if number % 20 in (0, 3) and storage != "con" else "f"
        yield Entry(place(number), kind, storage, ("link", "bind")[number % 2])


def nested(count: int) -> Iterator[Entry]:
    """Yield volatile and persistent directories of thirty entries each: of every storage, and a third in a directory of the other kind."""
    for number in range(count):
        group, member = divmod(number, 30)
        top, attachment = f"/opt/site/service{group}", ("link", "bind")[group // 2 % 2]
        if member == 0:
            yield Entry(top, "d", ("tmpfs", "persistent")[group % 2], attachment)
        elif member == 1:
            yield Entry(f"{top}/lib", "d", ("persistent", "tmpfs")[group % 2], attachment)
        else:
            inside = "lib/data" if member % 3 == 0 else "conf"
            yield Entry(f"{top}/{inside}/entry{number}", "f", STORAGES[member % 4], attachment)


MIXES: dict[str, Mix] = {"linked": linked, "bound": bound, "directories": directories, "storages": storages, "nested": nested}


def contents(entries: list[Entry]) -> Iterator[tuple[str, str]]:
    """Yield (area, path) of every file behind a table: all in the image, of every third service in a level too, of some in both.

    Volatile tables have no levels, as nearly everything of a real site comes from the image.
    """
    plain = all(entry.storage == "tmpfs" for entry in entries)
    for entry in entries:
        path = f"{entry.path}/inside" if entry.kind == "d" else entry.path
        yield IMAGE, path
        service = int(entry.path.split("/")[3][len("service") :])
        if not plain and service % 3 == 0:
            yield FIRST, path
        if not plain and service % 6 in (0, 1):
            yield SECOND, path
