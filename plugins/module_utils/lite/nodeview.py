# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of a node just before switch_root: what the agent makes of a boot plan, in memory (roles/image/files/dracut)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from ..tables.lite import LOCALDISK, MOUNTS
from .carry import DONE, Entries, LevelSeen, Result, S
from .namespace import LIVE, Inode, Namespace, Spot, StepError, UnreadError
from .nodeplan import STATE_VIEW, NodePlan, mounts_places
from .place import LIVE as LIVE_PLACES
from .trees import ABSENT, READ, Found, Places

IDENTITY, RESOLVER = "identity", "/etc/resolv.conf"
READ_STATE, EMPTY_STATE = "read", "empty"
DISK_WORDS = "only the node knows what its own disk holds"


def _is_empty(inode: Inode) -> bool:
    """Return whether a file certainly has no content."""
    try:
        return not inode.content()
    except UnreadError:
        return False


@dataclass
class NodeView:
    """The root of a node just before switch_root."""

    plan: NodePlan
    space: Namespace
    levels: list[LevelSeen] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    waits: str = ""
    """Why the node does not get as far as its entries."""
    keeps_plan: bool = False

    def look(self, path: str) -> Spot | None:
        """Return what a process on the node sees at `path`."""
        return self.space.lookup(path)

    def own_mounts(self) -> None:
        """What every node has: /dev, /proc, /run and /sys of its own, the tmpfs at /.statelite, the root itself below it."""
        for name in LIVE_PLACES:
            if self.space.is_directory(f"/{name}") and not self.space.is_link(f"/{name}"):
                self.space.mount(f"/{name}", Inode("d", backing=LIVE, origin="the node's own"), False)
        image = self.space.root
        top = Inode("d", int(self.plan.tmpfs[2], 8), origin="statelite")
        self.space.mount(S, top, False)
        for name in ("tmpfs", "persistent", "mnt", "image", "system/work", "system/bound"):
            self.space.directory(f"{S}/{name}")
        self.space.mount(f"{S}/image", image.root, True)

    def mount_state(self, places: Places, wanted: str) -> None:
        """The node's own directory of its state as it is, or as EMPTY_STATE says."""
        state = self.plan.state
        if state is None:
            return
        point = f"{S}/persistent/{self.plan.node}"
        self.space.directory(point)
        found = Found(ABSENT)
        if wanted != EMPTY_STATE:
            found = places.tree(state.server, state.directory, "persistent", "kept", self.plan.state_options, self.plan.node)
        root = Inode("d", backing="persistent", origin="kept")
        if found.root is not None and found.state == READ:
            root = found.root.copied("persistent", "kept")
        elif wanted != EMPTY_STATE and self.plan.state_required:
            place = f"{state.server}:{state.directory}"
            if found.state == ABSENT:
                self.waits = f"{place} has no directory for the node yet: it waits until the role nfs_exports has made it"
            else:
                # The same words for every node whose state is not known for the same reason.
                root.unknown = f"the state in {place} is not known: {found.reason.replace(f'{place}/{self.plan.node}', place)}"
        self.space.mount(point, root, False)
        if any(step.place.startswith(f"{STATE_VIEW}/") for step in self.plan.steps):
            self.space.directory(f"{S}/{STATE_VIEW}")
            self.space.mount(f"{S}/{STATE_VIEW}", root, False)
        self.keeps_plan = found.state == READ or wanted == EMPTY_STATE

    def mount_disk(self, places: Places, wanted: str) -> None:
        """The node's own disk, which only the node sees: empty as EMPTY_STATE says, or what `level_paths` has of it.

        Whether the node has one at all is seen when it boots.
        """
        if self.plan.disk is None:
            return
        seen = wanted != EMPTY_STATE and places.local(LOCALDISK, f"/{self.plan.node}") is not None
        found = places.tree(LOCALDISK, f"/{self.plan.node}", LOCALDISK, "kept") if seen else Found(ABSENT)
        root = Inode("d", backing=LOCALDISK, origin="kept")
        if found.root is not None:
            root = found.root.copied(LOCALDISK, "kept")
        elif wanted != EMPTY_STATE:
            root.unknown = DISK_WORDS
        self.space.directory(f"{S}/{LOCALDISK}")
        self.space.mount(f"{S}/{LOCALDISK}", root, False)

    def mount_levels(self, places: Places) -> None:
        """Every level that is seen from here, in its place, read-only."""
        for number, (level, options) in enumerate(self.plan.levels, 1):
            name, source = str(number), f"{level.server}:{level.directory}"
            found = places.tree(level.server, level.directory, "level", f"level {number}", options)
            if found.root is None:
                certain = found.state == ABSENT
                trouble = f"can't be mounted: {found.reason}" if certain else found.reason
                self.levels.append(LevelSeen(name, source, None, trouble, certain))
                continue
            point = f"{S}/mnt/{level.server}{level.directory}"
            try:
                spot = self.space.directory(point)
            except StepError:
                point = f"{S}/mnt/.level-{number}"
                spot = self.space.directory(point)
            if not (spot.inode is spot.mount.root and spot.inode.backing == "level"):
                self.space.mount(point, found.root, True)
            self.levels.append(LevelSeen(name, source, point))

    def _bind_over(self, path: str, inode: Inode) -> None:
        standing, found = self.space.lookup(path, follow=False), self.space.lookup(path)
        if standing is not None and standing.inode.kind != "l" and found is not None and found.inode.kind != "d":
            self.space.mount(self.space.path_of(found), inode, False)

    def link_mounts(self) -> None:
        """A file where /etc/mtab is kept becomes a link to what the kernel says."""
        for place in mounts_places(self.plan.steps):
            standing = self.space.lookup(f"{S}/{place}", follow=False)
            if standing is not None and standing.inode.kind == "f":
                self.space.put(f"{S}/{place}", Inode("l", 0o777, text=MOUNTS, backing=standing.inode.backing, origin=IDENTITY))

    def identity(self, resolver: bytes | None) -> None:
        """machine-id, hostname and resolv.conf; `resolver` is what DHCP said, None when that is not known."""
        for name, text, mode in (("machine-id", self.plan.machine_id, 0o444), ("hostname", self.plan.node, 0o644)):
            if f"/etc/{name}" not in self.results:
                self._bind_over(f"/etc/{name}", Inode("f", mode, origin=IDENTITY, read=partial(str.encode, f"{text}\n")))
        unknown = "what DHCP says is known at boot" if resolver is None else ""
        inode = Inode("f", 0o644, origin=IDENTITY, unknown=unknown, read=partial(bytes, resolver or b""))
        listed, etc = self.results.get(RESOLVER), self.results.get("/etc")
        if listed is not None:
            found = self.space.lookup(RESOLVER) if listed.source in ("default", "created") and resolver != b"" else None
            if listed.status == DONE and found is not None and not found.mount.readonly:
                found.inode.origin, found.inode.unknown, found.inode.read = IDENTITY, unknown, inode.read
            return
        if etc is not None and etc.source not in ("default", "created", "kept", "-"):
            found = self.space.lookup(RESOLVER)
            if found is not None and not _is_empty(found.inode):
                return
        standing = self.space.lookup(RESOLVER)
        if resolver == b"" and standing is not None:
            inode.read = standing.inode.content
        self._bind_over(RESOLVER, inode)

    def keep_plan(self) -> None:
        """The plan that was carried out stays in the state directory, for a boot without the service."""
        if self.keeps_plan:
            place = f"{S}/persistent/{self.plan.node}/.statelite"
            self.space.directory(place)
            self.space.put(f"{place}/plan", Inode("f", 0o644, backing="persistent", origin="kept", read=lambda: self.plan.text().encode()))


def node_view(plan: NodePlan, image: Inode, places: Places, state: str = READ_STATE, resolver: bytes | None = None) -> NodeView:
    """Return what the agent makes of `plan` in a root `image`, with levels and state read where `places` says.

    `state` EMPTY_STATE stands for a node that never booted before.
    """
    view = NodeView(plan, Namespace(image))
    view.own_mounts()
    view.mount_state(places, state)
    view.mount_disk(places, state)
    view.mount_levels(places)
    entries = Entries(plan, view.space, view.levels)
    entries.carry_out()
    view.results = entries.results
    view.link_mounts()
    view.identity(resolver)
    view.keep_plan()
    return view
