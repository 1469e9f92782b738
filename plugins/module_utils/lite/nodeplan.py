# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot plan of one node: entries, levels, state and identity as the ordered list its agent carries out.

Everything is decided here, once, so that the agent, `explain` and `simulate` cannot differ (architecture.md,
law 5). The form on the wire is docs/boot-plan.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from ..errors import Fault, SiteError, raise_faults
from ..nodes.disk import Disk, disk_of
from ..nodes.identity import machine_id
from ..nodes.mounts import Level, State, levels_of, state_of
from ..nodes.site import split_list
from ..tables.lite import LOCALDISK, MTAB, TMPFS
from .entry import entries_for
from .layout import Layout, Placed

if TYPE_CHECKING:
    from ..nodes.images import Image
    from ..nodes.site import Site

FORMAT = "1"
STATE_OPTIONS = "vers=4.2,hard"
LEVEL_OPTIONS = "ro,vers=4.2,hard"
SETTINGS = {
    "litetmpfssize": "25%",
    "litetmpfsinodes": "25%",
    "liteactimeo": "3",
    "litelevelopts": LEVEL_OPTIONS,
    "litelevelwait": "60",
    "litestateopts": STATE_OPTIONS,
    "litecopy": "",
}
"""Settings of ours in the site table, and what they are when unset (docs/boot-plan.md)."""

STATE_VIEW = "system/state"
"""The node's state once more, below /.statelite: there only when a step has its place in it."""

LONGEST_WAIT = 3600
ANY_NODE = "\0"
"""Stands for the node's name where nodes share what was placed: no name has it."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Step(NamedTuple):
    """One entry as the agent carries it out.

    `place` is where its content is kept, below /.statelite ('-' for the level or image itself); `attach` is how
    the path leads there; `depth` counts the listed parents above it.
    """

    path: str
    kind: str
    storage: str
    attachment: str
    required: bool
    parent: str | None
    place: str
    attach: str
    depth: int


@dataclass(frozen=True)
class NodePlan:
    """What one node executes before switch_root."""

    node: str
    image: str
    generation: str
    machine_id: str
    tmpfs: tuple[str, str, str]
    state: State | None
    state_options: str
    state_required: bool
    levels: Sequence[tuple[Level, str]]
    steps: Sequence[Step]
    stands: Mapping[str, str]
    bridges: Sequence[str]
    notes: Sequence[str]
    copies: Sequence[str] = ()
    disk: Disk | None = None
    level_wait: str = SETTINGS["litelevelwait"]

    def lines(self) -> list[tuple[str, ...]]:
        """Return the plan as fields, without the end line."""
        found: list[tuple[str, ...]] = [
            ("statelite-plan", FORMAT),
            ("node", self.node),
            ("image", self.image, self.generation),
            ("hostname", self.node),
            ("machine-id", self.machine_id),
            ("tmpfs", *self.tmpfs),
        ]
        found.extend(("note", note) for note in self.notes)
        if self.state is not None:
            found.append(("state", self.state.server, self.state.directory, self.state_options, necessity(self.state_required)))
        if self.disk is not None:
            found.append(self.disk.fields())
        if self.level_wait != SETTINGS["litelevelwait"]:
            found.append(("levelwait", self.level_wait))
        for number, (level, options) in enumerate(self.levels, 1):
            found.append(("level", str(number), level.server, level.directory, options, necessity(level.required)))
        found.extend(("stands", path, place) for path, place in self.stands.items())
        found.extend(("bridge", path) for path in self.bridges)
        found.extend(("copy", path) for path in self.copies)
        found.extend(step_fields(step) for step in self.steps)
        found.extend(("mounts", place) for place in mounts_places(self.steps))
        return found

    def text(self) -> str:
        """Return the wire text."""
        return wire_text(self.lines())


def mounts_places(steps: Sequence[Step]) -> list[str]:
    """Return where /etc/mtab is kept when that is volatile: a file there becomes a link to what the kernel says."""
    above = [step for step in steps if f"{MTAB}/".startswith(f"{step.path}/")]
    nearest = max(above, key=lambda step: step.depth, default=None)
    return [nearest.place + MTAB[len(nearest.path) :]] if nearest is not None and nearest.storage == TMPFS else []


def step_fields(step: Step) -> tuple[str, ...]:
    """Return the plan's line of one entry."""
    need, parent = necessity(step.required), step.parent or "-"
    return ("entry", step.path, step.kind, step.storage, step.attachment, need, parent, step.place, step.attach, str(step.depth))


def wire_text(fields: Iterable[Sequence[str]]) -> str:
    """Return the wire text: one operation a line, fields separated by TAB, an end line that counts the others."""
    lines: list[Sequence[str]] = list(fields)
    if CONTROL.search("".join(chain.from_iterable(lines))):
        lines = [[CONTROL.sub(" ", field) for field in line] for line in lines]
    return "\n".join([*map("\t".join, lines), f"end\t{len(lines)}", ""])


def necessity(required: bool) -> str:
    """Return the plan's word for whether the boot stops when this fails."""
    return "required" if required else "optional"


def join_options(*texts: str) -> str:
    """Return mount options joined; of one written twice (`vers=3` after `vers=4.2`, `rw` after `ro`) the later counts."""
    kept: dict[str, str] = {}
    opposites = {"rw": "ro", "ro": "rw", "hard": "soft", "soft": "hard", "lock": "nolock", "nolock": "lock", "nfsvers": "vers"}
    for option in ",".join(texts).split(","):
        name = option.strip().split("=")[0]
        if not name:
            continue
        kept.pop(opposites.get(name, ""), None)
        kept.pop("nfsvers" if name == "vers" else name, None)
        kept[name] = option.strip()
    return ",".join(kept.values())


def _level_options(site: Site, level: Level) -> str:
    """Return how a level is mounted: the site's options, its attribute-cache time, the row's mntopts; always read-only."""

    def joined() -> str:
        actimeo = site.setting("liteactimeo", SETTINGS["liteactimeo"])
        return join_options(site.setting("litelevelopts", LEVEL_OPTIONS), f"actimeo={actimeo}", level.mntopts, "ro")

    return site.once(("level options", level.mntopts), joined)


def _state_warning(state: State | None, node: str) -> Iterable[str]:
    if state is not None and state.directory.rsplit("/", 1)[-1] == node:
        yield f"{state.where}: '{state.directory}' ends in the node's name, so the state is in {state.directory}/{node}"


def place_steps(entries: Sequence[Placed], node: str) -> list[Step]:
    """Return the entries with place, attachment and depth, listed parents before their children.

    Inside a volatile directory a volatile entry is part of its parent's copy; inside a persistent one a persistent
    entry is part of the node's own directory, and so it is on the local disk; everything else inside a listed directory is
    mounted over it.
    """
    steps: dict[str, Step] = {}
    for entry in sorted(entries, key=lambda each: (each.path.count("/"), each.path)):
        above = first = steps[entry.parent] if entry.parent else None
        while first is not None and first.parent is not None:
            first = steps[first.parent]
        in_state = first is not None and (first.storage, first.attach) == ("persistent", "symlink")
        place, attach = _place(entry, above, node, in_state)
        steps[entry.path] = Step(
            entry.path,
            entry.kind,
            entry.storage,
            entry.attachment,
            entry.required,
            above.path if above else None,
            place,
            attach,
            above.depth + 1 if above else 0,
        )
    return sorted(steps.values(), key=lambda step: (step.depth, step.path))


def _place(entry: Placed, above: Step | None, node: str, in_state: bool) -> tuple[str, str]:
    """Return (place, attach) of one entry; the words are those of docs/boot-plan.md.

    `in_state` says that a link into the state leads to the first directory above it. What is mounted in that hides what the
    state has there, so the entry has its place in the second view of the state, in which nothing is mounted.
    """
    if entry.storage == "ro":
        attach = "bind" if above or entry.attachment == "bind" else "symlink"
        # A bound entry that is a symbolic link in the image: what it leads to has to be seen at the mount point that took its place.
        elsewhere = attach == "bind" and entry.content not in ("", entry.path)
        return (f"image{entry.content}" if elsewhere else "-"), attach
    if entry.storage == "persistent":
        if above is None:
            return f"persistent/{node}{entry.path}", "bind" if entry.attachment == "bind" else "symlink"
        if above.storage == "persistent":
            return above.place + entry.path[len(above.path) :], "inline"
        return f"{STATE_VIEW if in_state else f'persistent/{node}'}{entry.path}", "bind"
    if entry.storage == LOCALDISK:
        return f"localdisk{entry.path}", "inline" if above is not None and above.storage == LOCALDISK else "bind"
    if above is None:
        # What is bound lies apart from what links lead to: there the image's bridges need their names (lite/bridges.py).
        return (f"system/bound{entry.path}", "bind") if entry.attachment == "bind" else (f"tmpfs{entry.path}", "image")
    if above.storage == "tmpfs":
        return above.place + entry.path[len(above.path) :], "inline"
    return f"system/below{entry.path}", "bind"


def _copies(site: Site, image: Image) -> list[str]:
    """Return the volatile directories that nodes of the image copy: `litecopy` says `/path`, `ALL`, or one of them after `image:`."""
    found = []
    for item in split_list(site.setting("litecopy", SETTINGS["litecopy"])):
        name, colon, path = item.partition(":")
        own = bool(colon) and not item.startswith("/")
        if not own or name in (image.name, *image.groups):
            found.append((path if own else item).rstrip("/"))
    return found


def _pending(site: Site, image: Image, layout: Layout) -> list[str]:
    """Return a note for every row that the image's tree is not laid out for yet (decisions.md, Layout)."""
    declared = {entry.path: (entry.storage, entry.attachment) for entry in entries_for(site, image.name)}
    present = {path: (entry.storage, entry.attachment) for entry in layout.entries for path in entry.written}
    present.update((path, declared[path]) for path in layout.satisfied if path in declared)
    return [
        f"pending liteimg: {path} is {_said(declared.get(path))} in litefile and {_said(present.get(path))} in the image"
        for path in sorted(declared.keys() | present.keys())
        if declared.get(path) != present.get(path)
    ]


def _said(option: tuple[str, str] | None) -> str:
    return f"{option[0]} by {option[1]}" if option else "not listed"


class Common(NamedTuple):
    """What the plans of all nodes of an image with one layout have in common, in one revision of the tables."""

    layout: Layout
    steps: Sequence[Step]
    copies: Sequence[str]
    pending: Sequence[str]

    def steps_of(self, node: str) -> list[Step]:
        """Return the steps of one node."""
        begin, own = f"persistent/{ANY_NODE}", f"persistent/{node}"
        return [step._replace(place=own + step.place[len(begin) :]) if step.place.startswith(begin) else step for step in self.steps]


def common_of(site: Site, image: Image, layout: Layout) -> Common:
    """Return the common part, made once for a view of the site. It holds the layout, so that no other one is ever taken for it."""

    def make() -> Common:
        return Common(layout, place_steps(layout.entries, ANY_NODE), _copies(site, image), _pending(site, image, layout))

    return site.once(("common plan", image.name, id(layout)), make)


def compile_plan(site: Site, node: str, layout: Layout, image: Image, generation: str) -> NodePlan:
    """Return the boot plan of `node` from the entries its image is laid out for and the live tables.

    Raises SiteError, with every fault, when a variable is unset, a server has no address, an entry is persistent
    and the node has no place for its state, or the site's words on local disks are not lawful and an entry needs one.
    """
    faults: list[Fault] = []
    entries = layout.entries
    state: State | None = None
    levels: list[Level] = []
    disk: Disk | None = None
    try:
        state = state_of(site, node, image)
    except SiteError as error:
        faults.extend(error.faults)
    else:
        if state is None:
            faults.extend(
                Fault(
                    f"table litefile, {entry.path}, node {node}",
                    "the entry is persistent and no row of the table statelite gives the node a place for its state",
                    f"Add a row to the table statelite for {node} or one of its groups, with statemnt server:/directory",
                )
                for entry in entries
                if entry.storage == "persistent"
            )
    try:
        levels = levels_of(site, node, image)
    except SiteError as error:
        faults.extend(error.faults)
    try:
        disk = disk_of(site) if any(entry.storage == LOCALDISK for entry in entries) else None
    except SiteError as error:
        faults.extend(error.faults)
    level_wait = site.setting("litelevelwait", SETTINGS["litelevelwait"]).strip()
    if not level_wait.isascii() or not level_wait.isdigit() or not 1 <= int(level_wait) <= LONGEST_WAIT:
        mend = f"Write seconds from 1 to {LONGEST_WAIT}, or remove the row"
        faults.append(Fault("table site, litelevelwait", f"{level_wait!r} is no number of seconds", mend))
    raise_faults(faults)
    common = common_of(site, image, layout)
    return NodePlan(
        node=node,
        image=image.name,
        generation=generation,
        machine_id=machine_id(site, node),
        tmpfs=(
            site.setting("litetmpfssize", SETTINGS["litetmpfssize"]),
            site.setting("litetmpfsinodes", SETTINGS["litetmpfsinodes"]),
            image.permission,
        ),
        state=state,
        state_options=join_options(site.setting("litestateopts", STATE_OPTIONS), state.mntopts) if state else "",
        state_required=any(entry.storage == "persistent" for entry in entries),
        levels=[(level, _level_options(site, level)) for level in levels],
        steps=common.steps_of(node),
        stands=layout.satisfied,
        bridges=layout.bridges,
        copies=common.copies,
        disk=disk,
        level_wait=level_wait,
        notes=[*_state_warning(state, node), *common.pending],
    )
