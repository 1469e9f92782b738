# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of an RPM image that is there: dnf or zypper of this machine works on the image's own database.

What would change is asked beside the image, in an empty root with a copy of the database: both tools write where they work.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from xml.etree import ElementTree

from ...apply.commands import last_lines
from ...apply.removal import remove_tree
from ...apply.root import Root
from ...apply.scratch import LARGE, scratch
from ...errors import SiteError
from ..pkglist import Pass
from .dnf import Dnf
from .editing import ABSENT, LATEST, MEND, PackageChange, Wish, missing, package_of
from .repositories import Repository, repositories
from .rpm import RpmInstaller
from .rpmdb import NEW_PLACE, OLD_PLACE, form_of, installed_by_host, remove_packages, settle_database
from .rpmtool import settle_scripts
from .zypper import DONE, SCRIPTS_FAILED, Zypper

MODULES = "/etc/dnf/modules.d"
"""Which streams of modules the image has chosen."""

OLD_FORM = "bdb"
"""The form of a database that rpm of today only reads."""

SECTION = re.compile(r"^(?P<kind>[A-Z][a-z ]+):$")
ROW = re.compile(r"\s(?P<name>\S+)\s+(?:noarch|i686|x86_64|aarch64|ppc64le|s390x|riscv64)\s+(?P<version>\S+)\s")
GOING = ("Removing", "Removing dependent packages", "Removing unused dependencies")


def database_place(rootimg: str, guess: str) -> str:
    """Return where an image has its package database; `guess` when there is none yet."""
    with Root(rootimg) as root:
        places = [root.resolve(place) for place in (guess, NEW_PLACE, OLD_PLACE)]
        return next((place for place in places if form_of(root, place)), guess)


class RpmEditor(RpmInstaller):
    """The packages of one image. Subclasses say how their tool is asked."""

    def _begin(self, rootimg: str) -> None:
        """Let the tool look for the database where the image has it."""
        self.tool = replace(self.tool, place=database_place(rootimg, self.tool.place))

    def _wanted(self, wish: Wish, there: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the packages to install and those to bring to the newest version."""
        names = list(dict.fromkeys(wish.names))
        if wish.everything:
            return [], []
        files = [name for name in names if name.startswith("/") and self._file_missing(name, there)]
        lacking = missing([name for name in names if not name.startswith("/")], there)
        newer = [name for name in names if name not in lacking and not name.startswith("/")] if wish.state == LATEST else []
        return [*lacking, *files], newer

    def _file_missing(self, path: str, there: Mapping[str, str]) -> bool:
        """Tell whether the image has not the package that a file holds."""
        text, _failures = self.tool.run(["rpm", "-qp", "--nosignature", "--qf", "%{NAME}=%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}", path])
        name, version = package_of(text.strip().splitlines()[-1])
        return bool(missing([f"{name}={re.sub('^0:', '', version)}"], there))

    def _repositories(self, work: str) -> list[Repository]:
        found = repositories(self.sources)
        return self._with_others(found, work) if self.order.other_sources else found

    def foretell(self, rootimg: str, wish: Wish) -> list[PackageChange]:
        """Return what carrying the wish out would change; nothing is written to the image."""
        self._begin(rootimg)
        there = self.installed(rootimg)
        install, newer = self._wanted(wish, there)
        if wish.state == ABSENT:
            gone = [name for name in dict.fromkeys(wish.names) if name in there]
            if not gone:
                return []
        elif not (install or newer or wish.everything):
            return []
        with scratch("packages", LARGE) as work:
            root = os.path.join(work, "root")
            self._copy_database(rootimg, root)
            if wish.state == ABSENT:
                self.tool.run(["rpm", "--root", root, "-e", "--test", *gone], root)
                return [PackageChange(name, there[name], "") for name in sorted(gone)]
            self.prepare(work, self._repositories(work))
            found = self.ask(root, work, install, newer, wish.everything, there)
        return sorted(found, key=lambda change: change.name)

    def _copy_database(self, rootimg: str, beside: str) -> None:
        """Make a root that has nothing but the packages' database and what chooses streams of modules."""
        with Root(rootimg) as root:
            for path in (self.tool.place, MODULES):
                place = rootimg + root.resolve(path)
                if os.path.isdir(place):
                    shutil.copytree(place, beside + path, symlinks=True)
                else:
                    os.makedirs(beside + path)

    def carry_out(self, rootimg: str, wish: Wish) -> list[str]:
        """Change the packages of the tree `rootimg`, which nobody uses, and return warnings."""
        self._begin(rootimg)
        work = f"{rootimg}.packages"
        os.makedirs(work)
        try:
            self._renew_form(rootimg)
            self.before(rootimg)
            there = installed_by_host(rootimg, self.tool)
            if wish.state == ABSENT:
                failures = remove_packages(rootimg, list(dict.fromkeys(wish.names)), self.tool)
            else:
                self.prepare(work, self._repositories(work))
                failures = self.change(rootimg, work, *self._wanted(wish, there), wish.everything)
            warnings = settle_scripts(failures, self.order.scriptlets_warn)
            settle_database(rootimg, work, self.tool)
            self.after(rootimg)
        finally:
            remove_tree(work)
        return warnings

    def settle(self, rootimg: str, came: Collection[str], dropped: Collection[str]) -> None:
        """Leave all as it is: both tools write their journals beside the image."""

    def _renew_form(self, rootimg: str) -> None:
        """Rewrite a database that this machine's rpm only reads; settle_database gives it its form back in the end."""
        with Root(rootimg) as root:
            old = form_of(root, root.resolve(self.tool.place)) == OLD_FORM
        if old:
            self.tool.run(["rpmdb", "--root", rootimg, "--rebuilddb"], rootimg)

    def ask(
        self, root: str, work: str, install: Sequence[str], newer: Sequence[str], everything: bool, there: Mapping[str, str]
    ) -> list[PackageChange]:
        """Return what the tool would change in a root with the image's database."""
        raise NotImplementedError

    def change(self, rootimg: str, work: str, install: Sequence[str], newer: Sequence[str], everything: bool) -> list[str]:
        """Install and update; return the failures of scripts."""
        raise NotImplementedError


class DnfEditor(RpmEditor, Dnf):
    """The packages of an image of Enterprise Linux or Fedora."""

    def ask(
        self, root: str, work: str, install: Sequence[str], newer: Sequence[str], everything: bool, there: Mapping[str, str]
    ) -> list[PackageChange]:
        """Return what dnf would change."""
        found: dict[str, PackageChange] = {}
        for words in self._runs(install, newer, everything):
            _status, text = self.tool.try_run(self._command(root, work, "--assumeno", *self._excluded(), *words), root, work=work)
            if "Nothing to do." not in text and "Dependencies resolved." not in text:
                raise SiteError.of(self.program, f"can't do what is wished for; it said:\n{last_lines(text)}", MEND)
            found.update((change.name, change) for change in dnf_table(text, there))
        return list(found.values())

    def change(self, rootimg: str, work: str, install: Sequence[str], newer: Sequence[str], everything: bool) -> list[str]:
        """Install and update."""
        failures: list[str] = []
        if install:
            failures += self.run_pass(rootimg, work, Pass(tuple(install)), self.order.packages.exclude)
        for words in self._runs((), newer, everything):
            command = self._command(rootimg, work, "--assumeyes", *self._excluded(), *words)
            failures += self.tool.run(command, rootimg, work=work)[1]
        return failures

    def _excluded(self) -> list[str]:
        return [f"--exclude={','.join(self.order.packages.exclude)}"] if self.order.packages.exclude else []

    def _runs(self, install: Sequence[str], newer: Sequence[str], everything: bool) -> list[list[str]]:
        """Return the words of each run of dnf that a wish takes."""
        found = [["install", *self.packages(install)]] if install else []
        if newer or everything:
            found.append(["upgrade", *self.packages(newer)])
        return found


class ZypperEditor(RpmEditor, Zypper):
    """The packages of an image of SUSE Linux Enterprise or openSUSE."""

    def _words(self, install: Sequence[str], newer: Sequence[str], everything: bool, *words: str) -> list[list[str]]:
        """Return the words of each run of zypper that a wish takes."""
        unsigned = ["--allow-unsigned-rpm"] if any(name.startswith("/") for name in install) else []
        found = [self._install(install, *unsigned, *words)] if install else []
        if newer or everything:
            fixed = ["--no-recommends", "--auto-agree-with-licenses", "--download=in-advance"]
            found.append(["update", *fixed, *words, *(["--", *newer] if newer else [])])
        return found

    def ask(
        self, root: str, work: str, install: Sequence[str], newer: Sequence[str], everything: bool, there: Mapping[str, str]
    ) -> list[PackageChange]:
        """Return what zypper would change."""
        self._refresh(root, work)
        found: dict[str, PackageChange] = {}
        for words in self._words(install, newer, everything, "--dry-run"):
            command = self._command(root, work, self.order.packages.exclude, "--xmlout", *words)
            text, _failures = self.tool.run(command, root, good=DONE, name=self.program, work=work)
            found.update((change.name, change) for change in zypper_summary(text, there))
        return list(found.values())

    def change(self, rootimg: str, work: str, install: Sequence[str], newer: Sequence[str], everything: bool) -> list[str]:
        """Install and update."""
        self._refresh(rootimg, work)
        failures: list[str] = []
        for words in self._words(install, newer, everything):
            command = self._command(rootimg, work, self.order.packages.exclude, *words)
            failures += self.tool.run(command, rootimg, {}, DONE, SCRIPTS_FAILED, self.program, work)[1]
        return failures


def dnf_table(text: str, there: Mapping[str, str]) -> list[PackageChange]:
    """Return the changes of the table that dnf shows before it acts."""
    found: list[PackageChange] = []
    kind = ""
    table = text.partition("Dependencies resolved.")[2].partition("Transaction Summary")[0]
    for line in re.sub(r"^( \S+)\n\s+", r"\1 ", table, flags=re.MULTILINE).splitlines():
        section = SECTION.match(line)
        row = ROW.match(line + " ")
        if section:
            kind = section["kind"]
        elif row and kind:
            version = re.sub(r"^0:", "", row["version"])
            old = there.get(row["name"], "")
            found.append(PackageChange(row["name"], old, "") if kind in GOING else PackageChange(row["name"], old, version))
    return [change for change in found if change.old != change.new]


def zypper_summary(text: str, there: Mapping[str, str]) -> list[PackageChange]:
    """Return the changes of zypper's answer in XML."""
    start, finish = text.find("<?xml"), text.rfind("</stream>")
    found = []
    document = ElementTree.fromstring(text[start : finish + len("</stream>")]) if 0 <= start < finish else None
    for group in document.iterfind(".//install-summary/*") if document is not None else ():
        for solvable in group.iterfind("solvable[@type='package']"):
            name, version = solvable.get("name", ""), re.sub(r"^0:", "", solvable.get("edition", ""))
            new = "" if group.tag == "to-remove" else version
            found.append(PackageChange(name, there.get(name, ""), new))
    return [change for change in found if change.old != change.new]
