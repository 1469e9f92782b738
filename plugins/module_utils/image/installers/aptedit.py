# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a Debian or Ubuntu image that is there: this machine's apt solves and fetches, the image's own dpkg unpacks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence

from ...apply.commands import run_command
from ...apply.removal import remove_tree
from ...apply.root import Root
from ...apply.scratch import LARGE, scratch
from ..mounts import beside_chroot
from ..tree import TreeFile, drop, put
from .apt import ARCHITECTURES, Apt
from .dpkgsaid import script_faults
from .editing import ABSENT, LATEST, MEND, PackageChange, Wish, missing, package_of

PLACE = "/run/statelite-packages"
"""Where the image's dpkg finds the fetched packages: on the image's volatile /run."""

KEYRINGS = "/usr/share/keyrings"
FORESEEN = re.compile(r"^(?P<kind>Inst|Remv) (?P<name>[^\s:]+)\S*(?: \[(?P<old>[^]]*)\])?(?: \((?P<new>\S+) [^)]*\))?", re.MULTILINE)

AUTOMATIC = "/var/lib/apt/extended_states"
JOURNALS = (
    "/var/cache/ldconfig/aux-cache",
    "/var/log/alternatives.log",
    "/var/log/apt/eipp.log.xz",
    "/var/log/apt/history.log",
    "/var/log/apt/term.log",
    "/var/log/dpkg.log",
)
"""What mmdebstrap takes away at its end (mmdebstrap(1), cleanup/reproducible)."""

WITH_PACKAGES = f"""
set -e
mkdir -p "$2{PLACE}"
mount --bind "$1" "$2{PLACE}"
shift 2
exec "$@"
"""


class AptEditor(Apt):
    """The packages of one image, as its order has sources and settings for them."""

    def _configure(self, work: str, rootimg: str, archives: str) -> dict[str, str]:
        """Write apt's configuration below `work` and return the environment that names it: nothing of this machine's own counts
        but the keys that it trusts.
        """
        for name in (
            "lists/partial",
            "archives/partial",
            "trusted",
            "log",
            *(f"etc/{name}.d" for name in ("apt.conf", "preferences", "auth.conf")),
        ):
            os.makedirs(os.path.join(work, name), exist_ok=True)
        keys = [*_keys("/etc/apt/trusted.gpg.d"), *_keys(KEYRINGS, f"{self.order.family}-archive-")]
        for number, key in enumerate(keys):
            place = os.path.join(work, "trusted", f"{number}{os.path.splitext(key)[1]}")
            if not os.path.lexists(place):
                os.symlink(key, place)
        with Root(rootimg) as root:
            status, automatic = (rootimg + root.resolve(path) for path in ("/var/lib/dpkg/status", AUTOMATIC))
        settings = {
            "Dir": "/",
            "Dir::State": f"{work}/state",
            "Dir::State::status": status,
            "Dir::State::extended_states": automatic,
            "Dir::State::lists": f"{work}/lists",
            "Dir::Cache": work,
            "Dir::Cache::archives": archives,
            "Dir::Etc": f"{work}/etc",
            "Dir::Etc::sourcelist": f"{work}/etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::Trusted": "/dev/null",
            "Dir::Etc::TrustedParts": f"{work}/trusted",
            "Dir::Log": f"{work}/log",
            "APT::Architecture": ARCHITECTURES[self.order.osarch],
            "APT::Architectures": ARCHITECTURES[self.order.osarch],
            "APT::Install-Recommends": "false",
            "APT::Get::Assume-Yes": "true",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "DPkg::Chroot-Directory": rootimg,
            "DPkg::Options::": "--force-confdef",
            "DPkg::Options:: ": "--force-confold",
            "Dpkg::Use-Pty": "false",
        }
        lines = [f'{name.strip()} "{value}";' for name, value in settings.items()]
        os.makedirs(f"{work}/state", exist_ok=True)
        _write(os.path.join(work, "apt.conf"), lines)
        return {**self._environment(), "APT_CONFIG": os.path.join(work, "apt.conf")}

    def _prepare(self, work: str, rootimg: str, archives: str) -> dict[str, str]:
        """Have the lists of every source below `work`; return the environment for apt."""
        environment = self._configure(work, rootimg, archives)
        sources = [*self.sources(), *self._other_sources(work)]
        _write(os.path.join(work, "etc", "sources.list"), sources)
        run_command(["apt-get", "-qq", "--error-on=any", "update"], limit=self.order.limit, mend=MEND, environment=environment)
        return environment

    def _words(self, rootimg: str, wish: Wish) -> list[str]:
        """Return apt's words for a wish, package files by the paths that they have on this machine; none when nothing is missing."""
        if wish.everything:
            return ["upgrade", "--with-new-pkgs"]
        there = self.installed(rootimg)
        named = {self._name(name): name for name in wish.names}
        wanted = list(named) if wish.state == LATEST else missing(named, there)
        names = {package_of(name)[0] for name in wanted}
        kept_out = [f"{name}-" for name in self.order.packages.exclude if name not in names and name not in there]
        return ["install", *(named[name] for name in wanted), *kept_out] if wanted else []

    def _name(self, name: str) -> str:
        """Return a package file as `name=version`."""
        if not name.startswith("/"):
            return name
        return run_command(["dpkg-deb", "--show", "--showformat=${Package}=${Version}", name], limit=60, mend="Name a .deb file").strip()

    def foretell(self, rootimg: str, wish: Wish) -> list[PackageChange]:
        """Return what carrying the wish out would change; nothing is written to the image."""
        if wish.state == ABSENT:
            return self._foretell_removal(rootimg, wish)
        words = self._words(rootimg, wish)
        if not words:
            return []
        with scratch("packages", LARGE) as work:
            environment = self._prepare(work, rootimg, f"{work}/archives")
            said = run_command(["apt-get", "--simulate", *words], limit=self.order.limit, mend=MEND, environment=environment)
        return foreseen(said)

    def _foretell_removal(self, rootimg: str, wish: Wish) -> list[PackageChange]:
        """Return the packages to go; raises SiteError when others need them."""
        there = self.installed(rootimg)
        names = [name for name in dict.fromkeys(wish.names) if name in there]
        if not names:
            return []
        with Root(rootimg) as root:
            database = rootimg + root.resolve("/var/lib/dpkg")
        mend = "Remove what needs it too, or leave it"
        run_command([*_dpkg(database), "--simulate", "--purge", *names], limit=self.order.limit, mend=mend)
        return [PackageChange(name, there[name], "") for name in sorted(names)]

    def carry_out(self, rootimg: str, wish: Wish) -> list[str]:
        """Change the packages of the tree `rootimg`, which nobody uses; dpkg stops at a script that fails: no warnings."""
        if wish.state == ABSENT:
            there = self.installed(rootimg)
            names = [name for name in dict.fromkeys(wish.names) if name in there]
            command = beside_chroot(rootimg, "chroot", rootimg, "dpkg", "--purge", *names)
            if names:
                self._run(command, self._environment(), "dpkg")
            return []
        words = self._words(rootimg, wish)
        work = f"{rootimg}.packages"
        os.makedirs(work)
        try:
            environment = self._prepare(work, rootimg, f"{rootimg}{PLACE}/archives") if words else {}
            words = [self._inside(word, work, rootimg) for word in words]
            command = ["sh", "-c", WITH_PACKAGES, "sh", work, rootimg, "apt-get", "-q", *words]
            if words:
                self._run(beside_chroot(rootimg, *command), environment, "apt-get")
        finally:
            remove_tree(work)
        return []

    def _run(self, command: list[str], environment: dict[str, str], name: str) -> None:
        run_command(command, limit=self.order.limit, mend=MEND, environment=environment, name=name, causes=script_faults)

    def settle(self, rootimg: str, came: Collection[str], dropped: Collection[str]) -> None:
        """Leave of a change what mmdebstrap leaves of an installation: no journals, and as automatic what nobody asks for.

        `came` are packages that were not there before, `dropped` those that the list asked for before and does not now.
        """
        there = self.installed(rootimg)
        with Root(rootimg) as root:
            for path in JOURNALS:
                drop(root, path)
            before = (root.read(AUTOMATIC) or b"").decode(errors="replace")
            asked = {package_of(name)[0] for name in self.order.install}
            text = automatic(before, there, {*came, *dropped}, asked, ARCHITECTURES[self.order.osarch])
            if text != before:
                put(root, TreeFile(AUTOMATIC, text.encode()))

    def _inside(self, word: str, work: str, rootimg: str) -> str:
        """Return the path of a package file where the image's dpkg sees it too, having copied it there; other words as they are."""
        if not word.startswith("/"):
            return word
        shutil.copy(word, work)
        return f"{rootimg}{PLACE}/{os.path.basename(word)}"


def _dpkg(database: str) -> list[str]:
    return ["dpkg", f"--admindir={database}"]


def _write(path: str, lines: Sequence[str]) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def _keys(directory: str, prefix: str = "") -> list[str]:
    """Return the key rings in a directory."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    return [
        os.path.join(directory, name)
        for name in names
        if name.startswith(prefix) and name.endswith((".gpg", ".asc")) and "removed" not in name
    ]


def automatic(text: str, there: Collection[str], more: Collection[str], asked: Collection[str], architecture: str) -> str:
    """Return apt's record of packages that came because others need them, without those that are gone or asked for by name and with
    `more` of those that are there (pure).
    """
    kept, names = [], set()
    for stanza in text.split("\n\n"):
        name = (re.search(r"^Package: (\S+)", stanza, re.MULTILINE) or [""] * 2)[1]
        if name in there and name not in asked:
            kept.append(stanza.strip("\n"))
            names.add(name)
    new = sorted({*more} & {*there} - {*asked} - names)
    kept += [f"Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1" for name in new]
    return "".join(f"{stanza}\n\n" for stanza in kept)


def foreseen(said: str) -> list[PackageChange]:
    """Return what apt says that it would install, upgrade and remove."""
    found = [PackageChange(match["name"], match["old"] or "", match["new"] or "") for match in FORESEEN.finditer(said)]
    return sorted(found, key=lambda change: change.name)
