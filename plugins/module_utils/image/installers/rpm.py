# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What filling an image with RPM packages is, whichever tool solves the dependencies: runs, removals, the database."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

from ...apply.removal import remove_tree
from ...apply.scratch import LARGE, scratch
from ...errors import Fault
from ..pkglist import Pass
from ..sources import parse_source
from .machine import missing_programs
from .order import Order
from .repositories import Repository, other_faults, other_repositories, parse_pkgdir, repositories
from .rpmdb import asked, files_of, installed, place_for, remove_packages, settle_database
from .rpmtool import RpmTool, settle_scripts

NEEDED = (("rpm", "rpm"), ("rpmdb", "rpm"))
"""Programs and the packages that bring them."""


class RpmInstaller:
    """One order. Subclasses say how one run of their tool is called and what it is asked."""

    families: tuple[str, ...] = ()
    program = ""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.tool = RpmTool(place_for(order.family, order.version), dict(order.environment), order.limit)
        self.sources = [parse_source(item, order.where)[0] for item in order.pkgdir]

    def programs(self) -> list[tuple[str, str]]:
        """Return the programs that this order takes, and the packages that bring them."""
        return [(self.program, self.program), *NEEDED, *([("createrepo_c", "createrepo-c")] if self.order.other_sources else [])]

    def machine_faults(self) -> list[Fault]:
        """Return what this machine lacks for the order."""
        return missing_programs(self.programs())

    def faults(self) -> list[Fault]:
        """Return what is wrong with the order, on whatever machine it is carried out."""
        order = self.order
        return parse_pkgdir(order.pkgdir, order.where)[1] + other_faults(order.other_sources, order.others.directories, order.other_where)

    def options(self) -> dict[str, Any]:
        """Return what decides the content besides the package lists."""
        texts = [source.text for source in self.sources]
        found = {"tool": self.program, "sources": texts, "weak dependencies": "no"}
        others = [f"plain {source.text}" if source.made else source.text for source in self.order.other_sources]
        return {**found, "other sources": others} if others else found

    def install(self, rootimg: str) -> list[str]:
        """Fill the empty directory `rootimg` and return warnings; raises SiteError with the tool's last lines."""
        order, work = self.order, f"{rootimg}.packages"
        os.makedirs(work)
        failures: list[str] = []
        try:
            self.before(rootimg)
            repos = repositories(self.sources)
            self.prepare(work, repos)
            passes = list(order.packages.passes)
            pinned = tuple(self.pinned())
            if passes and pinned:
                passes[0] = Pass((*passes[0].install, *pinned), passes[0].before, passes[0].environment)
            for run in passes:
                failures += self.run_pass(rootimg, work, run, order.packages.exclude)
            if order.others.passes:
                self.prepare(work, self._with_others(repos, work))
            for run in order.others.passes:
                failures += remove_packages(rootimg, list(run.before), self.tool)
                exclude = [*order.packages.exclude, *(name for name in run.before if name not in run.install)]
                if run.install:
                    failures += self.run_pass(rootimg, work, run, exclude)
            failures += remove_packages(rootimg, order.remove, self.tool)
            warnings = settle_scripts(failures, order.scriptlets_warn)
            settle_database(rootimg, work, self.tool)
            self.after(rootimg)
        finally:
            remove_tree(work)
        return warnings

    def _with_others(self, repos: Sequence[Repository], work: str) -> list[Repository]:
        order = self.order
        return [*repos, *other_repositories(order.other_sources, order.others.directories, work, order.limit)]

    def candidates(self) -> dict[str, str]:
        """Return the packages and versions that the repositories would give now, all lists in one run; changes nothing."""
        order = self.order
        with scratch("candidates", LARGE) as work:
            repos = repositories(self.sources)
            self.prepare(work, self._with_others(repos, work) if order.others.passes else repos)
            root = os.path.join(work, "root")
            os.mkdir(root)
            install, exclude = order.at_once
            found = self.solve(root, work, [*install, *self.pinned()], exclude)
        return {name: version for name, version in found.items() if name not in order.remove}

    def installed(self, rootimg: str) -> dict[str, str]:
        """Return the packages and versions of a filled image."""
        return installed(rootimg, self.tool)

    def files(self, rootimg: str, names: Collection[str]) -> set[str]:
        """Return the paths that rpm's database gives to packages of a filled image, directories too."""
        return files_of(rootimg, names, self.tool) if names else set()

    def scripts(self, rootimg: str, names: Collection[str]) -> str:
        """Return the text of all scripts and triggers of packages of a filled image."""
        return asked(rootimg, ["--scripts", "--triggers"], names, self.tool) if names else ""

    # What differs from tool to tool.

    def pinned(self) -> list[str]:
        """Return packages that the image asks for though no list names them."""
        return []

    def before(self, rootimg: str) -> None:
        """Prepare the empty root."""

    def after(self, rootimg: str) -> None:
        """Undo what `before` did."""

    def prepare(self, work: str, repositories: Sequence[Repository]) -> None:
        """Write the tool's configuration below `work`."""
        raise NotImplementedError

    def run_pass(self, root: str, work: str, run: Pass, exclude: Sequence[str]) -> list[str]:
        """Install one run's packages and return the failures of scripts."""
        raise NotImplementedError

    def solve(self, root: str, work: str, install: Sequence[str], exclude: Sequence[str]) -> dict[str, str]:
        """Return what installing `install` into the empty `root` would give."""
        raise NotImplementedError
