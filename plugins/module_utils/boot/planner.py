# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the nodes of a run to the files of each: all faults are gathered, and nothing is written here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..apply.generations import KERNEL, Generation
from ..apply.signing import Keys
from ..errors import Fault, SiteError
from ..nodes.identity import machine_id
from ..nodes.images import Image, find_image, image_of, osimage, yaboot_directory
from ..nodes.interfaces import ADDRESS, boot_mac, machine_uuid, other_names
from ..nodes.servers import is_address, tftp_directory, tftpserver
from ..nodes.site import Site
from ..tables.rules import UUID
from .bootfiles import BootFiles
from .bootset import BootSet, boot_set
from .checks import Checks
from .genesis import LABEL, arch_of, genesis, genesis_line
from .kernel_args import Root, Word, kernel_words, line_of
from .method import OFFLINE, SHELL, Boots, Method, NodeFiles, Target, Web
from .pairs import Pair
from .yaboot import SHIPPED, Yaboot

ONCE = "statelite.once"
"""The kernel word that a node's report repeats."""


class Wanted(NamedTuple):
    """One node of the run, and how its files are made once it is known which nodes have some of their own."""

    node: str
    method: Method
    files: BootFiles
    arch: str
    make: Callable[[Target, Web], NodeFiles]

    def about(self, state: str) -> dict[str, Any]:
        """Return what the module says about the node."""
        return {"state": state, "method": self.method.name, "file": f"{self.files.tftpdir}/{self.method.main(self.node)}"}


class Common(NamedTuple):
    """Kernel lines that nodes have in common which have no rows of their own in `tables`, split where the node's name is in them."""

    tables: tuple[str, ...]
    parts: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, site: Site, node: str, lines: Mapping[str, str]) -> Common:
        """Return what is in common, from the lines of one of the nodes."""
        said = re.compile(f"(?<= )(?:NODE={re.escape(node)}|statelite\\.machine-id={machine_id(site, node)})(?= |$)")
        return cls(tuple(site.consulted), {facing: said.split(line) for facing, line in lines.items()})

    def lines(self, site: Site, node: str) -> dict[str, str]:
        """Return the lines of another node."""
        own = (f"NODE={node}", f"statelite.machine-id={machine_id(site, node)}")
        return {facing: own[0].join(parts[:2]) + own[1] + own[1].join(parts[2:]) for facing, parts in self.parts.items()}


class Planner:
    """The TFTP directories of a run with what is wanted in them; `faults` is everything that is wrong."""

    def __init__(self, site: Site, warn: Callable[[str], None], keys: Keys | None = None) -> None:
        self.site = site
        self._keys = keys
        self.warn = warn
        self.faults: list[Fault] = []
        self.checks = Checks(site, warn)
        self.directories: dict[str, BootFiles] = {}
        self.words: dict[str, list[Word]] = {}
        self._sets: dict[tuple[str, str | None], BootSet | None] = {}
        self.known = frozenset(site.nodes())
        self.many = False
        """Whether words are not kept, as there are too many nodes to tell them."""
        self.tokens: Mapping[str, str] = {}
        """The word by which a node's report tells that it booted this, for nodes that boot it once."""
        self._loaders: set[str] = set()
        self._common: dict[tuple[object, ...], Common] = {}
        self._wanted: list[Wanted] = []
        debug = site.setting("xcatdebugmode") in ("1", "2")
        self._web = Web(site.setting("httpport"), debug=debug)

    def beside(self, site: Site) -> Planner:
        """Return one for what nodes of this run boot first; it notes faults with this one's."""
        made = Planner(site, self.warn, self._keys)
        made.faults, made.many = self.faults, self.many
        return made

    def image(self, name: str, provmethod: str | None) -> BootSet | None:
        """Return the boot set of an image, checked once a run; None when it has faults."""
        key = (name, provmethod)
        if key not in self._sets:
            self._sets[key] = None
            try:
                self._sets[key] = boot_set(osimage(self.site, name), provmethod, self.warn, self._keys)
            except SiteError as error:
                self.faults.extend(error.faults)
        return self._sets[key]

    def files(self, node: str) -> BootFiles:
        """Return the TFTP directory of a node."""
        tftpdir = tftp_directory(self.site, node)
        return self.directories.setdefault(tftpdir, BootFiles(tftpdir, self.known))

    def boots(self, node: str, name: str, provmethod: str | None, stopping: bool = False) -> dict[str, Any] | None:
        """Note the files of one node that boots the image `name`, stopping for a shell or not; return what the module says about it."""
        boot = self.image(name, provmethod)
        files = self.files(node)
        method = self.checks.method(node, self.faults)
        declared = boot.image if boot else find_image(self.site, name)
        self.faults += self.checks.node(node, method, declared.osarch if declared else "", name, files.tftpdir)
        if boot is None or method is None:
            if declared:
                self._note_faults_of_line(node, boot.root if boot else Root(declared, Generation(declared.rootimgdir, None)))
            return None
        try:
            lines = self._lines(node, method, boot, stopping)
        except SiteError as error:
            self.faults.extend(error.faults)
            return None
        main = lines[method.facing[0] or ""]
        self.faults += self.checks.line(node, method, main)
        if boot.image.name not in files.pairs:
            rootimgdir = boot.image.rootimgdir
            files.watched += [os.path.join(rootimgdir, "current"), rootimgdir, boot.generation.rootimg]
            files.watched += [boot.image.column("partitionfile").removeprefix("s:")] if boot.image.column("partitionfile") else []
        files.pairs[boot.image.name] = boot.pair
        loader = method.loader(boot.image.osarch)
        if loader:
            self._loaders.add(os.path.join(files.tftpdir, loader))
        if isinstance(method, Yaboot):
            self._yaboot(boot.image, files)
        state = SHELL if stopping else boot.state
        kernel, initrd = boot.pair.path(KERNEL), boot.pair.path(boot.initrd)
        boots = Boots(state, kernel, initrd, method.line(main), stub=boot.stub, lines=lines)
        told = self._note(Wanted(node, method, files, boot.image.osarch, partial(_booted, method, boots)), state)
        return {**told, "image": boot.image.name, "generation": boot.generation.number}

    def without_image(self, node: str) -> None:
        """Note what else a node lacks to boot, of which nobody knows the image."""
        method = self.checks.method(node, self.faults)
        self.faults += self.checks.node(node, method, "", "", self.files(node).tftpdir)

    def _note_faults_of_line(self, node: str, root: Root) -> None:
        """Note what is wrong with the kernel line of a node that can't boot for other reasons, so that all is told at once."""
        try:
            kernel_words(self.site, node, root)
        except SiteError as error:
            self.faults.extend(error.faults)

    def _note(self, wanted: Wanted, state: str) -> dict[str, Any]:
        self._wanted.append(wanted)
        return wanted.about(state)

    def _lines(self, node: str, method: Method, boot: BootSet, stopping: bool) -> dict[str, str]:
        """Return the kernel line for each word by which the loader knows its server; nodes of the same groups have one in common."""
        if not self.many:
            return self._own_lines(node, method, boot, stopping)
        key = (boot.image.name, method.name, stopping, self.tokens.get(node), *self.site.groups(node))
        common = self._common.get(key)
        if common is None or any(self.site.rows_of(table, node) for table in common.tables):
            self.site.bound = False
            self.site.consulted.clear()
            lines = self._own_lines(node, method, boot, stopping)
            made = Common.of(self.site, node, lines) if common is None and not self.site.bound else None
            if made and all(len(parts) == 3 for parts in made.parts.values()):
                self._common[key] = made
            return lines
        return common.lines(self.site, node)

    def _own_lines(self, node: str, method: Method, boot: BootSet, stopping: bool) -> dict[str, str]:
        lines = {}
        for facing in method.facing if not boot.stub else method.facing[:1]:
            words = kernel_words(self.site, node, boot.root, facing)
            if stopping:
                words.append(Word("shell", "state shell"))
            if self.tokens.get(node):
                words.append(Word(f"{ONCE}={self.tokens[node]}", "nodeset, for one boot only"))
            if not self.many:
                self.words.setdefault(node, words)
            lines[facing or ""] = line_of(words)
        return lines

    def _yaboot(self, image: Image, files: BootFiles) -> None:
        """Note the loader of the system's own medium, or warn that it is nowhere."""
        directory = yaboot_directory(image.osvers)
        if directory is None or directory in files.pairs:
            return
        below = image.column("pkgdir") or f"{image.installdir}/{image.osvers}/{image.osarch}"
        places = [os.path.join(place.strip(), SHIPPED) for place in below.split(",")]
        found = next((place for place in places if os.path.isfile(place)), None)
        if found:
            files.pairs[directory] = Pair(directory, {"yaboot": found})
        elif not os.path.isfile(os.path.join(files.tftpdir, directory, "yaboot")):
            self.checks.tell(f"{places[0]} is not there, and no yaboot in {files.tftpdir}/{directory}", image.name)

    def local(self, node: str, state: str) -> dict[str, Any] | None:
        """Note the files of a node that boots from its own disk, or that nobody deploys."""
        method = self.checks.method(node, self.faults)
        if method is None:
            return None
        self.faults += self.checks.name(node, method)
        files = self.files(node)
        if state == OFFLINE:
            files.own[node] = method.own(node)
        return self._note(Wanted(node, method, files, "", partial(_left_alone, method, state)), state)

    def shell(self, node: str) -> dict[str, Any] | None:
        """Note the files of a node that waits for somebody: in Genesis where it is there, else in the node's own image."""
        method = self.checks.method(node, self.faults)
        if method is None:
            return None
        files = self.files(node)
        arch = arch_of(self.site, node, "ppc64" if method.fits("ppc64") and not method.fits("x86") else "x86_64")
        there = genesis(files.tftpdir, arch)
        if there is None:
            try:
                return self.boots(node, image_of(self.site, node), None, stopping=True)
            except SiteError as error:
                self.faults.extend(error.faults)
                return None
        self.faults += self.checks.node(node, method, arch, "Genesis", files.tftpdir)
        try:
            lines = {facing or "": genesis_line(self.site, node, arch, facing) for facing in method.facing}
        except SiteError as error:
            self.faults.extend(error.faults)
            return None
        boots = Boots(SHELL, there.kernel, there.initrd, method.line(lines[method.facing[0] or ""]), LABEL, lines=lines)
        return self._note(Wanted(node, method, files, arch, partial(_booted, method, boots)), SHELL)

    def finish(self) -> None:
        """Make the files of every node, now that it is known which nodes have some of their own."""
        own = {(wanted.files.tftpdir, wanted.node) for wanted in self._wanted}
        for wanted in self._wanted:
            web = self._web._replace(tftpdir=wanted.files.tftpdir)
            wanted.files.wanted[wanted.node] = wanted.make(self._target(wanted, own), web)
        for files in self.directories.values():
            files.watched += sorted(self._loaders)
        self.checks.warn_at_once()

    def _target(self, wanted: Wanted, own: set[tuple[str, str]]) -> Target:
        node, tftpdir = wanted.node, wanted.files.tftpdir
        mac, address = boot_mac(self.site, node), self.site.address(node)
        addresses = [address] if address and is_address(address) else []
        for name in other_names(self.site, node):
            extra = self.site.address(name)
            has_own = (tftpdir, name) in own or os.path.lexists(os.path.join(tftpdir, wanted.method.main(name)))
            if extra and is_address(extra) and not has_own:
                addresses.append(extra)
        server = tftpserver(self.site, node) if wanted.arch and wanted.method.named_server else ""
        uuid = machine_uuid(self.site, node)
        named = uuid if UUID.fullmatch(uuid) else ""
        return Target(node, wanted.arch, mac if mac and ADDRESS.fullmatch(mac) else None, addresses, server, named)


def _booted(method: Method, boots: Boots, target: Target, web: Web) -> NodeFiles:
    return method.boots(target, boots, web)


def _left_alone(method: Method, state: str, target: Target, web: Web) -> NodeFiles:
    return method.local(target, state, web)


def told_words(words: Mapping[str, list[Word]]) -> dict[str, list[dict[str, str]]]:
    """Return the words of each node's kernel line with where they come from, as the module gives them."""
    return {node: [{"word": word.text, "source": word.source} for word in found] for node, found in words.items()}
