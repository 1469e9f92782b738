# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root images of SUSE Linux Enterprise and openSUSE, filled by zypper."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from ...apply.commands import last_lines
from ...errors import Fault, SiteError
from ..pkglist import Pass
from ..systems import SUSE, major
from .repositories import Repository
from .rpm import RpmInstaller
from .rpmtool import MEND, WORK

ARCHITECTURES = ("x86_64", "aarch64", "ppc64le", "s390x")
OLDEST = 15
"""The first SUSE Linux Enterprise whose packages today's zypper can be trusted to install."""

DONE = (0, 100, 101, 102, 103)
"""Exit statuses that say nothing against the installation (zypper(8)): 0, and hints at patches or restarts."""

SCRIPTS_FAILED = 107
"""Installed, but scripts of packages failed; 104 (no such package) and 106 (a repository left out) are failures."""

CACHE = f"{WORK}/cache"
LOCK = "type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {0}\n\n"
KERNEL = re.compile(r"kernel-(?:default|azure|rt|64kb)(?:-(?:base|devel|extra|optional))?")


class Zypper(RpmInstaller):
    """One order, carried out by zypper."""

    families = SUSE
    program = "zypper"

    def faults(self) -> list[Fault]:
        """Return what is wrong with the order, on whatever machine it is carried out."""
        order, found = self.order, super().faults()
        release = major(order.version)
        if 0 < release < OLDEST and not order.family.startswith("opensuse"):
            what = f"{order.family}{order.version} is no release that zypper can install"
            found.append(Fault(order.where, what, f"Use {order.family}{OLDEST} or newer"))
        if order.osarch not in ARCHITECTURES:
            found.append(Fault(order.where, f"{order.family} has no architecture {order.osarch}", f"Use one of {', '.join(ARCHITECTURES)}"))
        return found

    def named(self, name: str) -> str:
        """Return a package as zypper calls it: a group is a pattern, asked for by what its package provides.

        Only krpmver gives a kernel package its version here: a kernel of SUSE has another version than its package.
        """
        if name.startswith("@"):
            return f"pattern() = {name[1:]}"
        return f"{name}={self.order.krpmver}" if self.order.krpmver and KERNEL.fullmatch(name) else name

    def pinned(self) -> list[str]:
        """Return the kernel package that no list names but the image asks for."""
        asked = self.order.krpmver and not any(KERNEL.fullmatch(name) for name in self.order.install)
        return ["kernel-default"] if asked else []

    def before(self, rootimg: str) -> None:
        """Put the keys of the sources into the image's database: zypper is to accept no other."""
        keys = [key for source in [*self.sources, *self.order.other_sources] for key in source.keys]
        for key in dict.fromkeys(keys):
            self.tool.run(["rpm", "--root", rootimg, "--import", key], rootimg)

    def prepare(self, work: str, repositories: Sequence[Repository]) -> None:
        """Write zypper's configuration below `work`: nothing of this machine's own counts."""
        order = self.order
        for name in ("repos", "cache"):
            os.makedirs(os.path.join(work, name), exist_ok=True)
        settings = ["[main]", "solver.onlyRequires = true", f"history.logfile = {CACHE}/history", f"locksfile.path = {CACHE}/locks"]
        if order.osarch != os.uname().machine:
            settings.append(f"arch = {order.osarch}")
        texts = {"zypp.conf": "\n".join([*settings, ""]), "repos/image.repo": "\n".join(repository.text() for repository in repositories)}
        for name, text in texts.items():
            with open(os.path.join(work, name), "w", encoding="utf-8") as stream:
                stream.write(text)

    def _command(self, root: str, work: str, exclude: Sequence[str], *words: str) -> list[str]:
        with open(os.path.join(work, "cache", "locks"), "w", encoding="utf-8") as stream:
            stream.write("".join(LOCK.format(name) for name in exclude))
        release = [f"--releasever={self.order.version}"] if self.order.version else []
        places = [f"--root={root}", f"--reposd-dir={work}/repos", f"--cache-dir={CACHE}"]
        return ["env", f"ZYPP_CONF={work}/zypp.conf", self.program, "--non-interactive", "--no-color", *release, *places, *words]

    def _install(self, names: Sequence[str], *words: str) -> list[str]:
        fixed = ["--no-recommends", "--auto-agree-with-licenses", "--download=in-advance"]
        return ["install", *fixed, *words, "--", *(self.named(name) for name in names)]

    def _refresh(self, root: str, work: str) -> None:
        """Read every repository: an installation would leave out one that cannot be read, and say so long before its end."""
        self.tool.run(self._command(root, work, (), "refresh"), root, name=self.program, work=work)

    def run_pass(self, root: str, work: str, run: Pass, exclude: Sequence[str]) -> list[str]:
        """Install one run's packages; return the failures of scripts. Raises SiteError when anything named stays out."""
        self._refresh(root, work)
        command = self._command(root, work, exclude, *self._install(run.install))
        return self.tool.run(command, root, run.environment, DONE, SCRIPTS_FAILED, self.program, work)[1]

    def solve(self, root: str, work: str, install: Sequence[str], exclude: Sequence[str]) -> dict[str, str]:
        """Return what installing `install` into an empty root would give."""
        self._refresh(root, work)
        words = ["--xmlout", *self._install(install, "--dry-run")]
        _status, text = self.tool.try_run(self._command(root, work, exclude, *words), root, work=work)
        found = offered(text)
        if not found:
            raise SiteError.of(self.program, f"finds no packages to install; it said:\n{last_lines(messages(text))}", MEND)
        return found


def _document(text: str) -> ElementTree.Element | None:
    """Return zypper's answer; what rpm says on the side stands before and after it."""
    start, end = text.find("<?xml"), text.rfind("</stream>")
    if start < 0 or end < 0:
        return None
    try:
        return ElementTree.fromstring(text[start : end + len("</stream>")])
    except ElementTree.ParseError:
        return None


def offered(text: str) -> dict[str, str]:
    """Return the packages and versions that a dry run would install."""
    document = _document(text)
    found = document.iterfind(".//to-install/solvable[@type='package']") if document is not None else []
    return {solvable.get("name", ""): re.sub(r"^0:", "", solvable.get("edition", "")) for solvable in found}


def messages(text: str) -> str:
    """Return the words of an answer without its marks."""
    document = _document(text)
    return text if document is None else "\n".join(part.strip() for part in document.itertext() if part.strip())
