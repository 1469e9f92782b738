# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one NFS server has to export for the declared site, and what it must not: pure (decisions.md, The servers)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image, images, osimage
from ..nodes.images import image_of as image_name_of
from ..nodes.mounts import Level, State, levels_of, state_of
from ..nodes.site import uniform

if TYPE_CHECKING:
    from ..nodes.site import Site

EVERYBODY = "*"
SUBTREE = "subtree_check"
"""Without it the kernel's server gives whoever may mount a directory every file of its file system, for the right number (tests/guest)."""

STATE_OPTIONS = ("rw", "no_root_squash", "sync", SUBTREE)
LEVEL_OPTIONS = ("ro", "no_root_squash", "sync", SUBTREE)
CLIENT = re.compile(r"[A-Za-z0-9@*?.:/_\[\]-]+")
OPTION = re.compile(r"[a-z_]+(=[A-Za-z0-9_.:/-]+)?")


@dataclass(frozen=True)
class Export:
    """One directory for some clients. `why` says what it is for; `own` is the node that alone may mount it."""

    path: str
    clients: tuple[str, ...]
    options: tuple[str, ...]
    why: str
    own: str = ""

    @property
    def writable(self) -> bool:
        """Whether clients may write."""
        return "rw" in self.options


@dataclass(frozen=True)
class Wanted:
    """The exports in order of their paths, the directories to make, and what a person should know."""

    exports: tuple[Export, ...]
    directories: tuple[str, ...]
    warnings: tuple[str, ...]


def is_inside(path: str, other: str) -> bool:
    """Return whether `path` is `other` or lies below it."""
    return path == other or path.startswith(other.rstrip("/") + "/")


def as_written(path: str) -> str:
    """Return a path itself, for a table that is compared without looking at a file system."""
    return path


def check_settings(clients: Sequence[str], options: Sequence[str]) -> None:
    """Raise SiteError for clients and options that an export of the install directory cannot have."""
    faults = [
        Fault(f"clients, {client!r}", "is no client", "Write an address, a network as 10.0.0.0/24, a host name or *")
        for client in clients
        if not CLIENT.fullmatch(client)
    ]
    faults += [
        Fault(f"options, {option!r}", "is no export option", "Write options as exports(5) has them")
        for option in options
        if not OPTION.fullmatch(option)
    ]
    if "rw" in options:
        faults.append(Fault("options", "rw would let nodes write into their images", "Take it out: the install directory is read-only"))
    if not clients:
        faults.append(Fault("clients", "no client is named", "Name at least one, * for all"))
    raise_faults(faults)


class _Gatherer:
    """Walks over nodes; one path gets one export, one node's directory never two owners."""

    def __init__(self, site: Site, own: Sequence[str], clients: Sequence[str], options: Sequence[str], accept_risk: bool) -> None:
        self.site = site
        self.accept_risk = accept_risk
        self.own = {ipaddress.ip_address(address) for address in own}
        self.clients = tuple(clients)
        self.options = ("ro", *(option for option in options if option != "ro"))
        self.installdir = site.setting("installdir").rstrip("/") or "/"
        self.found: dict[str, Export] = {}
        self.rows: dict[str, str] = {}
        self.directories: dict[str, None] = {}
        self.warnings: dict[str, None] = {}
        self.faults: dict[Fault, None] = {}
        self.images: dict[str, Image | None] = {}
        self.once: Mapping[str, str] = {}

    def here(self, server: str) -> bool:
        """Return whether an address is one of this server's."""
        return ipaddress.ip_address(server) in self.own

    def image_trees(self) -> None:
        """The install directory, and image directories outside of it."""
        self.found[self.installdir] = Export(self.installdir, self.clients, self.options, "images")
        for image in images(self.site):
            if not is_inside(image.rootimgdir, self.installdir):
                self.found[image.rootimgdir] = Export(image.rootimgdir, self.clients, self.options, f"image {image.name}")

    def images_of(self, node: str) -> list[Image]:
        """Return the image of a node, none for a node that boots none of ours, and the one that it boots once."""
        found = [self.image(self.once[node])] if node in self.once else []
        with suppress(SiteError):
            found.insert(0, self.image(image_name_of(self.site, node)))
        return list({image.name: image for image in found if image}.values())

    def image(self, name: str) -> Image | None:
        """Return an image, or None when there is none of that name."""
        if name not in self.images:
            try:
                self.images[name] = osimage(self.site, name)
            except SiteError:
                self.images[name] = None
        return self.images[name]

    def node(self, node: str) -> None:
        """The levels and the state of one node that are on this server."""
        address = self.site.address(node)
        if address is not None:
            for image in self.images_of(node):
                self.of_image(node, uniform(address), image)

    def of_image(self, node: str, address: str, image: Image) -> None:
        """The same of a node that boots an image."""
        try:
            levels = levels_of(self.site, node, image)
            state = state_of(self.site, node, image)
        except SiteError as error:
            self.faults.update(dict.fromkeys(error.faults))
            return
        for level in levels:
            if self.here(level.server):
                self.level(node, address, level)
        if state is not None and self.here(state.server):
            self.state(node, address, state)

    def level(self, node: str, address: str, level: Level) -> None:
        """A level: the node's own directory for it alone, a shared one for the clients of the install directory."""
        self.directories[level.directory] = None
        if level.own:
            self.add(Export(level.directory, (address,), LEVEL_OPTIONS, f"level of {node}", node), level.where)
        elif level.directory not in self.found or self.found[level.directory].own or level.directory in self.rows:
            self.add(Export(level.directory, self.clients, LEVEL_OPTIONS, f"level {level.priority}"), level.where)

    def state(self, node: str, address: str, state: State) -> None:
        """The node's state directory, writable, for it alone."""
        directory = f"{state.directory.rstrip('/')}/{node}"
        if state.directory.rsplit("/", 1)[-1] == node:
            self.warnings[f"{state.where}: the node's name is appended to statemnt, so {node} gets {directory}"] = None
        self.directories[directory] = None
        self.add(Export(directory, (address,), STATE_OPTIONS, f"state of {node}", node), state.where)

    def add(self, export: Export, where: str) -> None:
        """Note an export; a directory that is one node's alone cannot be anything else besides."""
        other = self.found.setdefault(export.path, export)
        self.rows.setdefault(export.path, where)
        if (other.own, other.options) != (export.own, export.options):
            self.faults[
                Fault(where, f"{export.path} would be {other.why} and {export.why}", "Keep $node in it, so that each node has its own")
            ] = None

    def check(self, real: Callable[[str], str]) -> None:
        """No node's own directory may lie within something that others mount, nor hold what is theirs.

        A level within another shared directory needs no export of its own, unless it is written through a link:
        nodes mount the path as written. `real` resolves symbolic links.
        """
        by_place: dict[str, list[Export]] = {}
        for export in self.found.values():
            by_place.setdefault(real(export.path), []).append(export)
        for place, exports in by_place.items():
            outer = [each for above in _upwards(place) for each in by_place.get(above, ())]
            for export in exports:
                for other in outer:
                    if other.path != export.path and other.path in self.found:
                        self.nested(export, other)
        raise_faults(self.faults)

    def nested(self, export: Export, outer: Export) -> None:
        """Judge an export that lies within another one."""
        row = self.rows.get(export.path, export.why)
        if export.own and not outer.own:
            what = f"it lies in {outer.path}, which other nodes mount ({row})"
            mend = "Keep state and nodes' own levels outside of the install directory and of shared levels"
            if export.writable or not self.accept_risk:
                fault = Fault(
                    f"directory {export.path} of node {export.own}", what, mend if export.writable else f"{mend}, or set accept_risk"
                )
                self.faults[fault] = None
            else:
                self.warnings[f"accept_risk: {row}: every client of {outer.path} can read {export.path}"] = None
                self.included(export, outer)
        elif outer.own and outer.own != export.own:
            what = f"{export.path} ({export.why}) lies in {outer.path}, the {outer.why} ({self.rows[outer.path]})"
            self.faults[Fault(row, what, "Give each a directory that holds no other's")] = None
        elif not outer.own and export.path in self.rows:
            self.included(export, outer)

    def included(self, export: Export, outer: Export) -> None:
        """Take out an export that its outer one serves under the same path."""
        if is_inside(export.path, outer.path):
            self.found.pop(export.path, None)


def _upwards(place: str) -> Iterator[str]:
    """Yield a path and every directory above it."""
    while True:
        yield place
        above = place.rsplit("/", 1)[0] or "/"
        if above == place:
            return
        place = above


def wanted(
    site: Site,
    own: Sequence[str],
    clients: Sequence[str],
    options: Sequence[str],
    accept_risk: bool = False,
    real: Callable[[str], str] = as_written,
    once: Mapping[str, str] | None = None,
) -> Wanted:
    """Return what the server with the addresses `own` exports: images, levels, and each node's state.

    Raises SiteError with every row that cannot be resolved, every directory that two nodes would share, and every own
    directory that others mount; a level of that kind only warns with `accept_risk`. `real` resolves symbolic links; `once` are
    the images that nodes boot once.
    """
    check_settings(clients, options)
    gatherer = _Gatherer(site, own, clients, options, accept_risk)
    gatherer.once = once or {}
    gatherer.image_trees()
    for node in site.nodes():
        gatherer.node(node)
    gatherer.check(real)
    exports = sorted(gatherer.found.values(), key=lambda export: export.path)
    return Wanted(tuple(exports), tuple(sorted(gatherer.directories)), tuple(gatherer.warnings))


def state_directories(exports: Iterable[Export]) -> list[str]:
    """Return the directories that nodes write to."""
    return [export.path for export in exports if export.writable]
