# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries and a tree in, the layout of the image out (pure; the statelite document 2.10, decisions.md, Layout of an image).

link   /.default/etc/x holds the content, /.statelite/tmpfs/etc/x -> it, /etc/x -> ../.statelite/tmpfs/etc/x
bind   /etc/x holds the content, /.default/etc/x -> /.statelite/image/etc/x
below  an entry below another one lies in the content of that one and only has to exist
link that stands at an entry's path: kept aside in /.statelite/kept; what it leads to is the default
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..errors import Fault, SiteError, raise_faults
from ..tables.lite import CON, LINK, MOUNTS, MTAB
from ..tables.lite import TMPFS as VOLATILE
from . import rules
from .bridges import bridges_of
from .entry import DIRECTORY, FILE, Entry
from .layout import DEFAULT, IMAGE, KEPT, STATELITE, TMPFS, Directory, Layout, Made, Placed
from .place import MAX_LINKS, OWN, Found, Place, Places, Tree, ancestors, place_of

FILE_MODE = 0o644
ROUNDS = 5


class _Settled(NamedTuple):
    """An entry, the place it has, and what stands there."""

    entry: Entry
    path: str
    found: Found | None
    written: tuple[str, ...]
    origin: str
    implied: bool = False

    @property
    def is_link(self) -> bool:
        """A symbolic link stands at its path."""
        return self.found is not None and self.found.kind == "l"


def relative(path: str, target: str) -> str:
    """Return the text of a link at `path` to `target`, from the root down: ../../.default/x (./x at the top, as recorded)."""
    return ("/.." * (path.count("/") - 1))[1:] + target if path.count("/") > 1 else "." + target


class _Arrangement:
    """The layout while it is put together."""

    def __init__(self, image: str, tree: Tree, permission: int) -> None:
        self.image = image
        self.tree = tree
        self.faults: list[Fault] = []
        self.directories: dict[str, Directory] = {}
        self.files: dict[str, int] = {}
        self.links: dict[str, str] = {}
        self.moves: dict[str, str] = {}
        self.modes: dict[str, tuple[int, int]] = {}
        self.satisfied: dict[str, str] = {}
        self.missing: list[str] = []
        self.contents: dict[str, str] = {}
        self.placed: list[tuple[_Settled, str, str | None]] = []
        self._mirrored: set[tuple[str, str]] = set()
        self._skeleton(permission)

    def _skeleton(self, permission: int) -> None:
        standing = self.tree.look(STATELITE)
        for path in (DEFAULT, STATELITE, TMPFS, f"{STATELITE}/persistent", f"{STATELITE}/mnt"):
            self._directory(path, Directory(permission) if path in (STATELITE, TMPFS) else Directory())
        if standing is not None and standing.mode != permission:
            self.modes[STATELITE] = (standing.mode, permission)
        self._link(IMAGE, "..")

    def _in_the_way(self, path: str, found: Found) -> None:
        kind = {"l": f"a symbolic link to '{found.text}'", "d": "a directory", "f": "a file"}.get(found.kind, "a special file")
        self.faults.append(Fault(path, f"{kind} stands where liteimg has to put something of its own", "Move it away or remove it"))

    def _directory(self, path: str, kind: Directory) -> None:
        """Have a directory at `path`; one that stands there is taken as it is."""
        if path in self.directories:
            return
        found = self.tree.look(path)
        if found is None:
            self.directories[path] = kind
        elif found.kind != "d":
            self._in_the_way(path, found)

    def _free(self, path: str) -> None:
        found = self.tree.look(path)
        if found is not None:
            self._in_the_way(path, found)

    def _link(self, path: str, text: str) -> None:
        found = self.tree.look(path)
        if found is None:
            self.links[path] = text
        elif (found.kind, found.text) != ("l", text):
            self._in_the_way(path, found)

    def _mirror(self, base: str, path: str) -> None:
        """Make the directories above `path` below `base`, with the modes and owners they have in the image; once for each directory."""
        held = base, path.rpartition("/")[0]
        if held in self._mirrored:
            return
        self._mirrored.add(held)
        for place in reversed(ancestors(path)):
            found = self.tree.look(place)
            like = Directory(found.mode, found.owner, found.group) if found is not None and found.kind == "d" else Directory()
            self._directory(base + place, like)

    def _create(self, path: str, kind: str) -> None:
        for place in reversed(ancestors(path)):
            self._directory(place, Directory())
        self._free(path)
        if kind == DIRECTORY:
            self.directories[path] = Directory()
        else:
            self.files[path] = FILE_MODE

    def content_of(self, path: str) -> str:
        """Return where the content of a path of the image stands in the layout; what a link leads to may lie in another entry."""
        for _entry in range(MAX_LINKS):
            place = next((place for place in (path, *ancestors(path)) if place in self.contents), path)
            content = self.contents.get(place, place)
            if content == place:
                break
            path = content + path[len(place) :]
        return path

    def top(self, one: _Settled, kind: str, leads_to: str | None) -> None:
        """Lay out an entry that lies below no other; `leads_to` is what the link at its path leads to, if one stands there."""
        path, link, is_link = one.path, one.entry.attachment == LINK, one.is_link
        default = DEFAULT + path
        self._mirror(DEFAULT, path)
        self._free(default)
        if is_link:
            self._directory(KEPT, Directory())
            self._mirror(KEPT, path)
            self._free(KEPT + path)
            self.moves[path] = KEPT + path
        if link:
            self._mirror(TMPFS, path)
            self._mirror("", path)
            self.links[path] = relative(path, TMPFS + path)
            # It leads to the default until the node puts its own there.
            self._link(TMPFS + path, "../../" + relative(path, default))
        elif is_link:
            self._mount_point(path, kind)
        if leads_to is not None:
            self.contents[path] = leads_to
        elif not link:
            self.contents[path] = path
            if one.found is None:
                self._create(path, kind)
        else:
            self.contents[path] = default
            if one.found is not None and not is_link:
                self.moves[path] = default
            elif kind == DIRECTORY:
                self.directories[default] = Directory()
            else:
                self.files[default] = FILE_MODE

    def place(self, one: _Settled, kind: str, parent: str | None, missing: bool) -> None:
        """Record the entry."""
        self.placed.append((one, kind, parent))
        if missing:
            self.missing.append(one.path)

    def _mount_point(self, path: str, kind: str) -> None:
        """Put a mount point where a link that is kept aside stood."""
        if kind == DIRECTORY:
            self.directories[path] = Directory()
        else:
            self.files[path] = FILE_MODE

    def lead(self, path: str) -> None:
        """Link `/.default<path>` to the content that stands elsewhere in the image; the node's own mounts don't hide it there."""
        content = self.content_of(self.contents[path]) if self.contents[path] != path else path
        self.contents[path] = content
        self._link(DEFAULT + path, relative(DEFAULT + path, IMAGE + content))

    def below(self, one: _Settled, parent: _Settled, kind: str) -> None:
        """An entry below another one: make it in that one's content when the image has none, and no other row made it."""
        content, inside = self.content_of(one.path), [place for place in ancestors(one.path) if place.startswith(parent.path + "/")]
        clash = next((place for place in map(self.content_of, inside) if place in self.files), None)
        if one.found is None and (clash or (kind == DIRECTORY and content in self.files)):
            what = f"it needs a directory at {clash or content}, which another row, by another way, makes an empty file"
            self.faults.append(Fault(one.entry.where, what, "Write that row with a slash at its end, or drop one of the two"))
        if one.found is not None or content in self.files or content in self.directories:
            return
        for place in reversed(inside):
            origin = one.origin[: len(one.origin) - len(one.path) + len(place)]
            if self.tree.look(origin) is None:
                self.directories.setdefault(self.content_of(place), Directory())
        if kind == DIRECTORY:
            self.directories[content] = Directory()
        else:
            self.files[content] = FILE_MODE

    def _entry(self, one: _Settled, kind: str, parent: str | None) -> Placed:
        entry, content = one.entry, self.content_of(one.path)
        return Placed(one.path, kind, entry.storage, entry.attachment, entry.required, parent, content, one.written, one.implied)

    def layout(self) -> Layout:
        """Return the finished layout; raises SiteError with everything that is in the way."""
        raise_faults(self.faults)
        made = Made(self.directories, self.files, self.links, self.moves, self.modes)
        placed = tuple(self._entry(*one) for one in sorted(self.placed, key=lambda one: one[0].path))
        bridged = bridges_of(self.tree, placed, made)
        made = replace(made, links={**self.links, **bridged.links})
        return Layout(self.image, placed, self.satisfied, tuple(sorted(self.missing)), bridged.paths, made)


def _settle(
    entries: Sequence[Entry], tree: Tree, stops: dict[str, str], owners: dict[str, tuple[str, ...]], faults: list[Fault]
) -> tuple[dict[str, _Settled], dict[str, str]]:
    """Return each entry by its real path, and written path to live place for those that need nothing in the image.

    `owners` are the written paths that each stop comes from: an entry never lies below the link that it is itself.
    """
    settled: dict[str, _Settled] = {}
    alone = {written[0] for written in owners.values() if len(written) == 1}
    live: dict[str, str] = {}
    places = Places(tree, stops)
    for entry in entries:
        try:
            if entry.path in alone:
                through = {path: leads for path, leads in stops.items() if owners[path] != (entry.path,)}
                place = place_of(tree, entry.path, stops=through)
            else:
                place = places.of(entry.path)
        except SiteError as error:
            faults.extend(Fault(entry.where, fault.what, fault.mend) for fault in error.faults)
            continue
        if place.live:
            live[entry.path] = place.path
            continue
        if place.path.split("/")[1] in OWN:
            faults.append(Fault(entry.where, f"it leads to {place.path}, which belongs to statelite itself", "Drop the row"))
            continue
        other = settled.get(place.path)
        if other is None:
            settled[place.path] = _Settled(entry, place.path, tree.look(place.origin), (entry.path,), place.origin)
        elif (other.entry.storage, other.entry.attachment) != (entry.storage, entry.attachment):
            what = f"it is the same place as {other.entry.path} ({place.path}), which is {other.entry.options}, not {entry.options}"
            faults.append(Fault(entry.where, what, "Keep one of the two rows"))
        else:
            joined = replace(other.entry, required=other.entry.required or entry.required)
            settled[place.path] = other._replace(entry=joined, written=(*other.written, entry.path))
    return settled, live


def _targets(settled: dict[str, _Settled], tree: Tree, stops: dict[str, str]) -> dict[str, Place | None]:
    """Return, for entries that are symbolic links, where they lead; None for a circle."""
    found: dict[str, Place | None] = {}
    for path, one in settled.items():
        if one.is_link:
            try:
                found[path] = place_of(tree, path, follow=True, stops=stops)
            except SiteError:
                found[path] = None
    return found


def _with_mtab(settled: dict[str, _Settled], live: dict[str, str], tree: Tree) -> None:
    """A regular /etc/mtab of the image is an entry of its own, as the original has it; a link is left as it is.

    In a directory that is an entry it is a part of that one, whatever a row says.
    """
    if MTAB in settled and _nearest(MTAB, settled) is not None:
        live.update(dict.fromkeys(settled.pop(MTAB).written, MOUNTS))
    found = tree.look(MTAB)
    if found is None or found.kind != "f" or MTAB in live or any(path == MTAB or MTAB.startswith(path + "/") for path in settled):
        return
    settled[MTAB] = _Settled(Entry(MTAB, FILE, VOLATILE, LINK), MTAB, found, (), MTAB, True)


def _nearest(path: str, settled: dict[str, _Settled]) -> _Settled | None:
    for place in ancestors(path):
        if place in settled:
            return settled[place]
    return None


def _follows(one: _Settled, parent: _Settled, target: Place | None, tree: Tree) -> bool:
    """Tell whether a link below another entry does what its row says by being left alone."""
    if (one.entry.storage, one.entry.attachment) != (parent.entry.storage, parent.entry.attachment):
        return False
    return target is None or target.path.startswith(parent.path + "/") or tree.look(target.path) is None


def _leads_above(path: str, target: Place | None) -> bool:
    if target is None:
        return False
    return target.path == "/" or path.startswith(target.path + "/") or target.path.split("/")[1] in OWN


def _refuse(one: _Settled, kind: str, parent: _Settled | None, has_children: bool) -> rules.Rule | None:
    if parent is not None:
        rule = rules.refusal(parent.entry, one.entry)
        if rule is not None:
            return rule
    if one.entry.storage == CON and kind == DIRECTORY:
        return rules.CON_PARENT if has_children else rules.CON_DIRECTORY
    return rules.FILE_PARENT if has_children and kind == FILE else None


def _kind(one: _Settled, found: Found | None, has_children: bool) -> str:
    """What the entry is: the tree says it, else the row's slash or the rows below it."""
    if found is not None:
        return DIRECTORY if found.kind == "d" else FILE
    return DIRECTORY if has_children or one.entry.kind == DIRECTORY else FILE


def _settled(ordered: Sequence[Entry], tree: Tree) -> tuple[dict[str, _Settled], dict[str, str], dict[str, Place | None], list[Fault]]:
    """Settle all entries, again until the entries that are links (and stop the way of others) are the same as before."""
    stops: dict[str, str] = {}
    owners: dict[str, tuple[str, ...]] = {}
    for _round in range(ROUNDS):
        faults: list[Fault] = []
        settled, live = _settle(ordered, tree, stops, owners, faults)
        targets = _targets(settled, tree, stops)
        known = stops, owners
        stops = {path: place.path for path, place in targets.items() if place is not None and not place.live}
        owners = {path: settled[path].written for path in stops}
        if (stops, owners) == known:
            return settled, live, targets, faults
    what, mend = "its symbolic links lead through one another's rows", "List the paths they lead to instead"
    faults.extend(Fault(settled[path].entry.where, what, mend) for path in stops)
    return settled, live, targets, faults


def lay_out(image: str, entries: Sequence[Entry], tree: Tree, permission: int = 0o755) -> Layout:
    """Return what an image must have for `entries`; `permission` is the mode of /.statelite (osimage.permission).

    The order of the entries does not matter. Raises SiteError with every fault at once.
    """
    ordered = sorted(entries, key=lambda entry: (entry.path.count("/"), entry.path))
    settled, live, targets, faults = _settled(ordered, tree)
    for path, target in targets.items():
        if target is not None and target.live:
            live.update(dict.fromkeys(settled.pop(path).written, target.path))
    _with_mtab(settled, live, tree)
    work = _Arrangement(image, tree, permission)
    work.satisfied = dict(sorted(live.items()))
    parents = {path: _nearest(path, settled) for path in settled}
    with_children = {parent.path for parent in parents.values() if parent is not None}
    paths = sorted(settled)
    tops = [path for path in paths if parents[path] is None]
    children = [path for path in paths if parents[path] is not None]
    leads: list[str] = []
    for path in tops:
        target = targets.get(path)
        behind = tree.look(target.path) if target is not None else None
        one = settled[path]
        kind = _kind(one, behind if one.is_link else one.found, path in with_children)
        rule = _refuse(one, kind, None, path in with_children) or (rules.LINK_TO_ABOVE if _leads_above(path, target) else None)
        if rule is not None:
            faults.append(_refusal(one, None, rule))
            continue
        work.top(one, kind, target.path if behind is not None and target is not None else None)
        work.place(one, kind, None, one.found is None or (one.is_link and behind is None))
        if one.entry.attachment != LINK or behind is not None:
            leads.append(path)
    for path in leads:
        work.lead(path)
    for path in children:
        one, parent = settled[path], parents[path]
        kind = _kind(one, one.found, path in with_children or work.content_of(path) in work.directories)
        rule = _refuse(one, kind, parent, path in with_children)
        if rule is None and parent is not None and one.is_link and not _follows(one, parent, targets.get(path), tree):
            rule = rules.LINK_BELOW_ENTRY
        if rule is not None:
            faults.append(_refusal(one, parent, rule))
        elif parent is not None:
            work.below(one, parent, kind)
            work.place(one, kind, parent.path, one.found is None)
    raise_faults([*faults, *work.faults])
    return work.layout()


def _refusal(one: _Settled, parent: _Settled | None, rule: rules.Rule) -> Fault:
    against = f" below {parent.entry.path} ({parent.entry.options})" if parent is not None else ""
    return Fault(one.entry.where, f"{one.entry.options}{against} is refused by the rule {rule.name}: {rule.reason}", rule.mend)
