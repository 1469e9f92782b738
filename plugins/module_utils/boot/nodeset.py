# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeset: what a noderange boots next, written as one change after everything has been checked."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.addresses import local_addresses
from ..apply.generations import INITRD, KERNEL, Generation, current
from ..errors import Fault, SiteError, raise_faults
from ..nodes.attributes import attribute
from ..nodes.images import Image, find_image, image_of, osimage
from ..nodes.interfaces import ADDRESS, boot_mac, colons, other_names
from ..nodes.noderange import expand
from ..nodes.servers import is_address
from ..nodes.site import Site
from ..tables.columns import Row
from ..tables.plan import Change, lines_of
from ..tables.schema import TABLES
from ..tables.store import open_store
from . import pxelinux
from .bootfiles import BootFiles, Pair
from .kernel_args import kernel_line
from .record import read_record, record_path, update

STATE = re.compile(r"(statelite|osimage)(?:=([^:=]+))?(:reboot4deploy)?|offline")
LATER = (
    "netboot",
    "install",
    "boot",
    "shell",
    "standby",
    "shutdown",
    "runcmd",
    "runimage",
    "iscsiboot",
    "next",
    "enact",
    "ondiscover",
    "stat",
)
"""States of the original that this release does not write."""

METHODS_LATER = ("xnba", "grub2", "grub2-http", "grub2-tftp", "petitboot", "yaboot")
LAYOUT = ".statelite.json"
OLD_INITRD = "initrd.gz"
"""What the original falls back to in an image made elsewhere."""


@dataclass(frozen=True)
class BootSet:
    """One image as nodes of this run boot it."""

    image: Image
    generation: Generation
    pair: Pair

    @property
    def state(self) -> str:
        """The comment of the boot file."""
        return f"statelite {self.image.state_line}"


@dataclass
class NodesetPlan:
    """Boot files of all TFTP directories, and the nodetype rows that say which image the nodes now have.

    The rows were planned from version `read_at` of the site; `again` plans them anew when somebody has written since.
    """

    site: str
    directories: list[BootFiles]
    changes: Sequence[Change] = ()
    read_at: int | None = None
    again: Callable[[Mapping[str, Sequence[Row]]], Sequence[Change]] | None = None
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return one line a change."""
        return self._file_lines() + lines_of(self.changes)

    def _file_lines(self) -> list[str]:
        record = record_path(self.site)
        lines = [line for each in self.directories for line in each.lines()]
        return lines + [f"~ {record}: nodes of {each.tftpdir}" for each in self.directories if each.unrecorded]

    def result(self) -> dict[str, Any]:
        """Return the nodes with what each boots, and the files of nodes that are no more."""
        return {"nodes": self.nodes, "removed": [f"{each.directory}/{name}" for each in self.directories for name in each.removed]}

    def apply(self) -> list[str] | None:
        """Write the files, then the rows, in one transaction; return what was done when the rows were planned anew.

        A name is in the record before its file is written, and until after it is removed.
        """
        record = record_path(self.site)
        update(record, {each.tftpdir: each.texts.keys() for each in self.directories}, {})
        for each in self.directories:
            each.apply()
        update(record, {}, {each.tftpdir: each.going for each in self.directories})
        if not self.changes:
            return None
        with open_store(self.site) as store:
            done = store.write(self.changes, self.read_at, self.again)
        return None if done is self.changes else self._file_lines() + lines_of(done)


def parse_state(text: str) -> tuple[str, str | None, bool]:
    """Return (`statelite` or `offline`, image name or None, whether a warning about reboot4deploy is due).

    Raises SiteError for any other state, naming those that come in a later release.
    """
    match = STATE.fullmatch(text.strip())
    if match:
        return ("statelite" if match.group(1) else pxelinux.OFFLINE), match.group(2), bool(match.group(3))
    verb = re.split("[=:,]", text.strip(), maxsplit=1)[0]
    if verb in ("osimage", "statelite"):
        raise SiteError.of(f"state {text}", "names no image", "Write osimage=NAME, or osimage alone for the image of each node")
    if verb in LATER:
        raise SiteError.of(f"state {text}", f"'{verb}' is not in this release", "Use statelite[=NAME], osimage[=NAME] or offline")
    raise SiteError.of(f"state {text}", "there is no such state", "Use statelite[=NAME], osimage[=NAME] or offline")


def boot_set(image: Image, warn: Callable[[str], None]) -> BootSet:
    """Return what nodes fetch of `image`; raises SiteError that lists everything that is missing."""
    where = f"osimage {image.name}"
    faults: list[Fault] = []
    missing = [column for column in ("osvers", "osarch", "profile") if not image.column(column)]
    faults += [Fault(where, f"{column} is not set", f"Set {column} of the osimage") for column in missing]
    if image.provmethod != "statelite":
        written = f"provmethod is '{image.provmethod}'" if image.provmethod else "provmethod is not set"
        faults.append(Fault(where, written, "Set provmethod to statelite; other methods are not in this release"))
    if image.column("rootfstype") not in ("", "nfs"):
        faults.append(
            Fault(where, f"rootfstype '{image.column('rootfstype')}' is not in this release", "Set rootfstype to nfs, or leave it unset")
        )
    raise_faults(faults)
    generation = current(image.rootimgdir) or Generation(image.rootimgdir, None)
    sources = {KERNEL: os.path.join(generation.path, KERNEL), INITRD: os.path.join(generation.path, INITRD)}
    if generation.number is None and not os.path.exists(sources[INITRD]):
        older = os.path.join(generation.path, OLD_INITRD)
        sources[INITRD] = older if os.path.exists(older) else sources[INITRD]
    absent = [source for source in sources.values() if not os.path.isfile(source)]
    faults += [Fault(where, f"{source} is not there", "Run genimage for this image") for source in absent]
    if generation.number is not None and not os.path.isfile(os.path.join(generation.rootimg, LAYOUT)):
        faults.append(Fault(where, f"generation {generation.number} is not laid out for litefile", "Run liteimg for this image"))
    if generation.number is None and not os.path.isdir(generation.rootimg):
        warn(f"{where}: {generation.rootimg} is not on this server; nodes can boot only if their NFS server has it")
    raise_faults(faults)
    below = f"xcat/osimage/{image.name}"
    return BootSet(image, generation, Pair(below if generation.number is None else f"{below}/{generation.number}", sources))


class _Planner:
    """Gathers every fault of a run before anything is written."""

    def __init__(self, site: Site, warn: Callable[[str], None]) -> None:
        self.site = site
        self.warn = warn
        self.faults: list[Fault] = []
        self.sets: dict[str, BootSet | None] = {}
        self.directories: dict[str, BootFiles] = {}
        self.known = frozenset(site.nodes())
        self.taken: dict[str, str] = {}

    def image(self, name: str) -> BootSet | None:
        """Return the boot set of an image, checked once a run; None when it has faults."""
        if name not in self.sets:
            self.sets[name] = None
            try:
                self.sets[name] = boot_set(osimage(self.site, name), self.warn)
            except SiteError as error:
                self.faults.extend(error.faults)
        return self.sets[name]

    def files(self, node: str) -> BootFiles:
        """Return the TFTP directory of a node: noderes.tftpdir, else site.tftpdir."""
        value = attribute(self.site, node, "noderes", "tftpdir")
        tftpdir = (value.text if value else self.site.setting("tftpdir")).rstrip("/") or "/"
        return self.directories.setdefault(tftpdir, BootFiles(tftpdir, self.known))

    def node_faults(self, node: str, arch: str) -> list[Fault]:
        """Return what the node lacks to be booted by pxelinux."""
        found = self.name_faults(node)
        value = attribute(self.site, node, "noderes", "netboot")
        netboot = value.text if value else ""
        if netboot in METHODS_LATER:
            found.append(Fault(f"node {node}, noderes.netboot", f"'{netboot}' is not in this release", "Set netboot to pxe"))
        elif netboot != "pxe":
            found.append(
                Fault(f"node {node}, noderes.netboot", f"'{netboot}' is no boot method" if netboot else "is not set", "Set netboot to pxe")
            )
        elif arch and arch not in pxelinux.ARCHITECTURES:
            found.append(Fault(f"node {node}", f"pxelinux cannot boot {arch}", f"Use pxe for {', '.join(pxelinux.ARCHITECTURES)} only"))
        mac = boot_mac(self.site, node)
        if mac is None or not ADDRESS.fullmatch(mac):
            what = f"'{mac}' is no Ethernet address" if mac else "the node has no hardware address"
            found.append(Fault(f"node {node}, mac.mac", what, "Set mac to the address of the interface that it boots with"))
        else:
            found += self.twice(node, f"hardware address {colons(mac)}", "table mac, column mac")
        address = self.site.address(node)
        try:
            ipaddress.ip_address(address or "")
        except ValueError:
            what = f"'{address}' is no address" if address else "the node has no address"
            found.append(Fault(f"node {node}, hosts.ip", what, "Set ip: the answer service knows a node by its address"))
        else:
            found += self.twice(node, f"address {address}", "table hosts, column ip")
        return found

    def name_faults(self, node: str) -> list[Fault]:
        """Return the fault of a node whose file other machines would boot, or would take the place of a link of theirs."""
        if not pxelinux.is_reserved(node):
            return []
        what = "pxelinux looks by such a name for machines by their address, card or UUID, or for any machine (default)"
        return [Fault(f"table nodelist, node {node}", what, "Give the node another name")]

    def twice(self, node: str, what: str, where: str) -> list[Fault]:
        """Return the fault of a second node with the same address."""
        other = self.taken.setdefault(what, node)
        return [] if other == node else [Fault(where, f"nodes {other} and {node} have the same {what}", "Give each node its own")]

    def links(self, node: str, files: BootFiles) -> None:
        """Note the names by which pxelinux finds the node's file."""
        mac, address = boot_mac(self.site, node), self.site.address(node)
        names = [
            pxelinux.mac_link(mac) if mac and ADDRESS.fullmatch(mac) else None,
            pxelinux.address_link(address) if address and is_address(address) else None,
        ]
        for name in other_names(self.site, node):
            extra = self.site.address(name)
            own_file = name in files.texts or os.path.lexists(os.path.join(files.directory, name))
            if extra and is_address(extra) and not own_file:
                names.append(pxelinux.address_link(extra))
        files.links.update({name: node for name in names if name})

    def boots(self, node: str, name: str) -> dict[str, Any] | None:
        """Note the files of one node that boots the image `name`; return what the module says about it."""
        boot = self.image(name)
        declared = find_image(self.site, name)
        self.faults += self.node_faults(node, declared.osarch if declared else "")
        if boot is None:
            return None
        try:
            line = kernel_line(self.site, node, boot.image, boot.generation)
        except SiteError as error:
            self.faults.extend(error.faults)
            return None
        files = self.files(node)
        files.pairs[boot.image.name] = boot.pair
        files.texts[node] = pxelinux.boot_text(boot.state, boot.pair.path(KERNEL), boot.pair.path(INITRD), line)
        return {"state": boot.state, "image": boot.image.name, "generation": boot.generation.number, "file": f"{files.directory}/{node}"}


def _images(site: Site, nodes: list[str], named: str | None, faults: list[Fault]) -> dict[str, str]:
    """Return the image name of each node: the one named, else the node's own."""
    if named is not None:
        found = osimage(site, named).name
        return dict.fromkeys(nodes, found)
    images: dict[str, str] = {}
    for node in nodes:
        own = _own_image(site, node, faults)
        if own is not None:
            images[node] = own
    return images


def _own_image(site: Site, node: str, faults: list[Fault]) -> str | None:
    try:
        return image_of(site, node)
    except SiteError as error:
        faults.extend(error.faults)
        return None


def nodetype_changes(site: Site, images: dict[str, str]) -> list[Change]:
    """Return what makes the nodetype table name the images of `images`, for the nodes for which it names another one.

    A node's own os, arch and profile then are the image's, as the original has it.
    """
    table = TABLES["nodetype"]
    changes: list[Change] = []
    for node, name in images.items():
        if _own_image(site, node, []) == name:
            continue
        image = osimage(site, name)
        own = site.holder(table.name, node)
        new = {"node": node, "provmethod": name, "os": image.osvers, "arch": image.osarch, "profile": image.profile}
        changes.append(Change(table, own, {**(own or {}), **new}))
    return changes


def plan(site: Site, database: str, noderange: str, state: str, warn: Callable[[str], None], read_at: int | None = None) -> NodesetPlan:
    """Return the plan that makes the nodes of `noderange` boot as `state` says; `read_at` is the version that `site` was read at.

    `database` is the path of the site database.

    Raises SiteError with every fault of every node and image.
    """
    kind, named, reboot = parse_state(state)
    nodes = expand(site, noderange, _read_text)
    if reboot:
        warn("reboot4deploy is not used: the boot files are the same without it")
    if kind == pxelinux.OFFLINE:
        return _finished(_offline(site, nodes, warn), database)
    faults: list[Fault] = []
    images = _images(site, nodes, named, faults)
    changes = nodetype_changes(site, images) if named is not None else []
    planner = _Planner(site.with_rows("nodetype", [change.after for change in changes if change.after]), warn)
    planner.faults = faults
    found = {node: planner.boots(node, name) for node, name in images.items()}
    raise_faults(dict.fromkeys(planner.faults))
    for node in found:
        planner.links(node, planner.files(node))

    def again(tables: Mapping[str, Sequence[Row]]) -> Sequence[Change]:
        now = Site(tables, site.here)
        present = frozenset(now.nodes())
        return nodetype_changes(now, {node: name for node, name in images.items() if node in present})

    finished = _finished(planner, database)
    finished.changes, finished.read_at, finished.again = changes, read_at, again
    finished.nodes = {node: about for node, about in found.items() if about}
    return finished


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def _offline(site: Site, nodes: list[str], warn: Callable[[str], None]) -> _Planner:
    planner = _Planner(site, warn)
    raise_faults(fault for node in nodes for fault in planner.name_faults(node))
    for node in nodes:
        files = planner.files(node)
        files.texts[node] = pxelinux.local_text(pxelinux.OFFLINE)
    for node in nodes:
        planner.links(node, planner.files(node))
    return planner


def _finished(planner: _Planner, database: str) -> NodesetPlan:
    """Compare what is wanted with the directories of this run and with those that ever held files of ours."""
    recorded = read_record(record_path(database))
    for tftpdir in recorded:
        planner.directories.setdefault(tftpdir, BootFiles(tftpdir, planner.known))
    named = frozenset(node for files in planner.directories.values() for node in files.texts)
    for files in planner.directories.values():
        files.recorded = recorded.get(files.tftpdir, frozenset())
        files.compare(named)
    offline = {
        node: {"state": pxelinux.OFFLINE, "file": f"{files.directory}/{node}"}
        for files in planner.directories.values()
        for node in files.texts
    }
    return NodesetPlan(database, list(planner.directories.values()), nodes=offline)


def read_and_plan(params: dict[str, Any], warn: Callable[[str], None]) -> NodesetPlan:
    """Read the site and plan; `params` are the options of the module."""
    with open_store(params["site"]) as store:
        version, tables = store.read()
    return plan(Site(tables, local_addresses()), store.path, params["noderange"], params["state"], warn, version)
