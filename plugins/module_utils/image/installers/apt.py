# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian and Ubuntu root images, filled by mmdebstrap."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...apply.commands import run_command
from ...apply.files import read_bytes
from ...apply.removal import remove_tree
from ...apply.scratch import LARGE, scratch
from ...errors import Fault
from ..mounts import alone
from ..pkglist import Pass
from ..sources import Source, missing_directories, parse_source, places_of
from .dpkgsaid import script_faults
from .keyrings import keyring_faults
from .machine import missing_programs
from .order import Order
from .repositories import linked

SUITES = {
    ("debian", "11"): "bullseye",
    ("debian", "12"): "bookworm",
    ("debian", "13"): "trixie",
    ("ubuntu", "20.04"): "focal",
    ("ubuntu", "22.04"): "jammy",
    ("ubuntu", "24.04"): "noble",
}
"""Suites by operating system and version; a `deb` line in pkgdir may name any other."""

COMPONENTS = {"debian": ("main",), "ubuntu": ("main", "universe")}
"""What a plain URL or directory stands for."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "ppc64": "ppc64", "riscv64": "riscv64", "s390x": "s390x"}

FOREIGN = ("--skip=check/qemu",)
"""Whether programs of another architecture run in a chroot has been tried already; mmdebstrap would copy an emulator into the image
wherever it does not see the kernel's table of handlers, as in a container.
"""

URL = re.compile(r"(https?|copy|file|ftp)://?\S+")
"""What apt fetches from; `copy:` and a single slash are none for RPM tools."""

SIMULATED = re.compile(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", re.MULTILINE)
DEB_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>[a-z+]+:\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+\S+)*)")

VARIANT = "minbase"
"""What comes without being listed: essential and required packages. The list names everything else, apt too."""

FURTHER = """
set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" root=$1
shift
case $1 in
sources)
    printf '%s\\n' "$2" > "$root/etc/apt/sources.list.d/statelite-others.list"
    apt-get update
    ;;
done)
    rm -f "$root/etc/apt/sources.list.d/statelite-others.list"
    ;;
purge)
    shift
    for name in "$@"; do
        chroot "$root" dpkg-query --show "$name" > /dev/null 2>&1 || continue
        chroot "$root" dpkg --purge "$name"
    done
    ;;
install)
    shift
    TMPDIR=$root/tmp apt-get --yes -oDir::Bin::dpkg=env -oDPkg::Options::=--unset=TMPDIR -oDPkg::Options::=dpkg \\
        -oDPkg::Chroot-Directory="$root" install "$@"
    ;;
esac
"""
"""What mmdebstrap runs for each step after the first. dpkg removes what is named and nothing that needs it; apt would."""

SCRIPTS = ("config", "postinst", "postrm", "preinst", "prerm")

MEND = "Read the lines above; check pkgdir, the package list and the network, then run genimage again: the last good image is untouched"


class Apt:
    """One order, carried out by mmdebstrap with apt's own signature checks."""

    families = ("debian", "ubuntu")
    program = "mmdebstrap"

    def __init__(self, order: Order) -> None:
        self.order = order
        version = ".".join(order.version.split(".")[: 1 if order.family == "debian" else 2])
        self.suite = SUITES.get((order.family, version), "")

    def programs(self) -> list[tuple[str, str]]:
        """Return the programs that this order takes, and the packages that bring them."""
        indexes = any(source.directory for source in self.order.other_sources)
        return [(self.program, self.program), *([("dpkg-scanpackages", "dpkg-dev")] if indexes else [])]

    def machine_faults(self) -> list[Fault]:
        """Return what this machine lacks for the order."""
        return missing_programs(self.programs()) + keyring_faults(self.order.family, self.sources(), self.order.where)

    def faults(self) -> list[Fault]:
        """Return what is wrong with the order, on whatever machine it is carried out."""
        order = self.order
        found = []
        if order.osarch not in ARCHITECTURES:
            found.append(Fault(order.where, f"{order.family} has no architecture {order.osarch}", f"Use one of {', '.join(ARCHITECTURES)}"))
        if not self.suite and not all(item.startswith("deb ") for item in order.pkgdir):
            known = ", ".join("".join(key) for key in SUITES)
            mend = f"Use one of {known}, or write `deb URL SUITE COMPONENT` in pkgdir"
            found.append(Fault(order.where, f"the suite of {order.family}{order.version} is not known", mend))
        for item in order.pkgdir:
            found += self._source_faults(item)
        groups = [name for name in order.install if name.startswith("@")]
        found += [Fault(name, "is a group, and apt knows no groups of packages", "List its packages, or a metapackage") for name in groups]
        return found + self._other_faults()

    def _other_faults(self) -> list[Fault]:
        """Return what is wrong with the sources of further packages. A .deb bears no signature of its own, only an index does."""
        order, found = self.order, []
        for source in order.other_sources:
            if source.directory and not source.trusted:
                mend = f"Write [trusted=yes] {source.place}, or name a signed archive by a `deb` line"
                found.append(Fault(order.other_where, f"nothing signs the packages in {source.place}", mend))
            elif not source.directory and not DEB_LINE.fullmatch(source.place):
                found.append(
                    Fault(order.other_where, f"'{source.place}' is no directory and no apt source", "Write `deb URL SUITE COMPONENT`")
                )
        return found + missing_directories(order.other_sources, order.others.directories, order.other_where)

    def _source_faults(self, item: str) -> list[Fault]:
        where = self.order.where
        if item.startswith("deb "):
            if not DEB_LINE.fullmatch(item):
                return [Fault(where, f"'{item}' is no apt source", "Write `deb [options] URL SUITE COMPONENT`")]
            return []
        source, wrong = parse_source(item, where, URL)
        place = source.directory
        if place and not wrong and self.suite and not os.path.isdir(os.path.join(place, "dists", self.suite)):
            mend = f"Put a Debian archive there, or write `deb copy:{place} SUITE COMPONENT` (`deb copy:{place} ./` for a flat one)"
            wrong = [Fault(where, f"{place} holds no dists/{self.suite}", mend)]
        return wrong

    def sources(self) -> list[str]:
        """Return one-line apt sources. Local ones are copied (`copy:`): dpkg runs in the image and sees no outside path."""
        found = []
        for item in self.order.pkgdir:
            line = item if item.startswith("deb ") else self._line(parse_source(item, self.order.where)[0])
            found.append(re.sub(r"\bfile:(//(?=/))?", "copy:", line))
        return found

    def _line(self, source: Source) -> str:
        """Return apt's line for a plain mirror or directory, with the options that stand before it."""
        keys = f"signed-by={','.join(source.keys)}" if source.keys else ""
        options = [word for word in ("trusted=yes" if source.trusted else "", keys) if word]
        uri = f"copy:{source.directory}" if source.directory else source.place
        words = ["deb", *([f"[{' '.join(options)}]"] if options else []), uri, self.suite, *COMPONENTS[self.order.family]]
        return " ".join(words)

    def arguments(self, everything: bool = False) -> list[str]:
        """Return mmdebstrap's arguments up to the target, with the packages of the first run or `everything`."""
        order = self.order
        first = order.packages.passes[0] if order.packages.passes else Pass()
        kernel = [f"linux-image-{order.kernelver}"] if order.kernelver else []
        install, exclude = order.at_once if everything else (list(first.install), list(order.packages.exclude))
        packages = list(dict.fromkeys([*install, *kernel])) + [f"{name}-" for name in exclude]
        return [
            "--mode=root",
            "--format=directory",
            f"--variant={VARIANT}",
            f"--architectures={ARCHITECTURES[order.osarch]}",
            *(FOREIGN if order.osarch != os.uname().machine else ()),
            f"--include={','.join(packages)}",
        ]

    def _kept_out(self) -> list[str]:
        return [f"{name}-" for name in self.order.packages.exclude]

    def options(self) -> dict[str, Any]:
        """Return what decides the content besides the package list."""
        found = {"tool": self.program, "variant": VARIANT, "suite": self.suite, "sources": self.sources()}
        others = [source.text for source in self.order.other_sources]
        return {**found, "other sources": others} if others else found

    def hooks(self, others: Sequence[str], script: str) -> list[str]:
        """Return mmdebstrap's options for every step after the first; `others` are the apt sources of further packages, and
        `script` is the file that holds FURTHER.
        """
        order = self.order
        steps: list[tuple[Mapping[str, str], list[str]]] = []
        for run in order.packages.passes[1:]:
            steps.append((run.environment, ["install", *run.install, *self._kept_out()]))
        if order.others.passes and others:
            steps.append(({}, ["sources", "\n".join(others)]))
        for run in order.others.passes:
            steps.append((run.environment, ["purge", *run.before]))
            gone = [f"{name}-" for name in run.before if name not in run.install]
            steps.append((run.environment, ["install", *run.install, *self._kept_out(), *gone]))
        if order.others.passes and others:
            steps.append(({}, ["done"]))
        if order.remove:
            steps.append(({}, ["purge", *order.remove]))
        return [
            f"--customize-hook={self._hook(environment, script, words)}"
            for environment, words in steps
            if len(words) > 1 or words == ["done"]
        ]

    def _hook(self, environment: Mapping[str, str], script: str, words: Sequence[str]) -> str:
        """Return one step as the shell command that mmdebstrap runs with the root as its argument; every word is quoted."""
        first = self.order.packages.passes[0].environment if self.order.packages.passes else {}
        unset = [f"--unset={name}" for name in first if name not in environment]
        settings = [f"{name}={value}" for name, value in environment.items()]
        quoted = " ".join(shlex.quote(word) for word in ("env", *unset, *settings, "sh", script))
        return f'{quoted} "$1" {" ".join(shlex.quote(word) for word in words)}'

    def _other_sources(self, work: str) -> list[str]:
        """Return apt sources of further packages; a directory is indexed below `work`, never beside its packages."""
        order = self.order
        found: list[str] = []
        for source in order.other_sources:
            for place in places_of(source, order.others.directories):
                made = os.path.join(work, f"others-{len(found) + 1}")
                os.makedirs(made)
                linked(place, made, ".deb")
                indexed = run_command(["dpkg-scanpackages", "--multiversion", "."], limit=order.limit, mend=MEND, cwd=made)
                with open(os.path.join(made, "Packages"), "w", encoding="utf-8", errors="surrogateescape") as stream:
                    stream.write(indexed)
                found.append(f"deb [trusted=yes] copy:{made} ./")
            if not source.directory:
                found.append(source.place)
        return found

    def _command(self, target: str, arguments: Sequence[str], others: Sequence[str] = ()) -> list[str]:
        first = DEB_LINE.fullmatch(self.order.pkgdir[0])
        suite = self.suite or (first["suite"] if first else "")
        return alone(self.program, *arguments, suite, target, *self.sources(), *others)

    def _environment(self) -> dict[str, str]:
        """Return what maintainer scripts see: nothing asked, and no initramfs by the kernel package (dracut's INITRD=No)."""
        first = self.order.packages.passes[0].environment if self.order.packages.passes else {}
        return {"DEBIAN_FRONTEND": "noninteractive", "INITRD": "No", **self.order.environment, **first}

    def install(self, rootimg: str) -> list[str]:
        """Fill the directory `rootimg`; dpkg stops at a script that fails, so there is nothing to warn of."""
        work = f"{rootimg}.packages"
        os.makedirs(work)
        try:
            script = os.path.join(work, "further")
            with open(script, "w", encoding="utf-8") as stream:
                stream.write(FURTHER)
            command = self._command(rootimg, [*self.arguments(), *self.hooks(self._other_sources(work), script)])
            environment = self._environment()
            run_command(command, limit=self.order.limit, mend=MEND, environment=environment, name=self.program, causes=script_faults)
        finally:
            remove_tree(work)
        return []

    def candidates(self) -> dict[str, str]:
        """Return the packages and versions that the repositories would give now, all lists in one run."""
        with scratch("candidates", LARGE) as work:
            arguments = [*self.arguments(everything=True), "--simulate", "--verbose"]
            command = self._command(os.path.join(work, "root"), arguments, self._other_sources(work))
            text = run_command(
                ["sh", "-c", 'exec "$@" 2>&1', "sh", *command],
                limit=self.order.limit,
                mend=MEND,
                environment=self._environment(),
                name=self.program,
            )
        found = {name.split(":")[0]: version for name, version in SIMULATED.findall(text)}
        return {name: version for name, version in found.items() if name not in self.order.remove}

    def installed(self, rootimg: str) -> dict[str, str]:
        """Return the packages and versions of a filled image, from its own dpkg database."""
        found = {}
        for stanza in (read_bytes(os.path.join(rootimg, "var/lib/dpkg/status")) or b"").decode(errors="replace").split("\n\n"):
            cells = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"(Package|Status|Version): ", line))
            if cells.get("Status", "").endswith(" installed"):
                found[cells["Package"]] = cells["Version"]
        return found

    def files(self, rootimg: str, names: Collection[str]) -> set[str]:
        """Return the paths that dpkg's database gives to packages of a filled image, directories too."""
        return {line for text in self._information(rootimg, names, ("list",)) for line in text.splitlines()}

    def scripts(self, rootimg: str, names: Collection[str]) -> str:
        """Return the text of all scripts of packages of a filled image."""
        return "\n".join(self._information(rootimg, names, SCRIPTS))

    def _information(self, rootimg: str, names: Collection[str], kinds: Collection[str]) -> list[str]:
        """Return the texts of those kinds that dpkg's database has of packages (dpkg(1), FILES)."""
        directory = os.path.join(rootimg, "var/lib/dpkg/info")
        found = []
        for name in sorted(os.listdir(directory)) if names else ():
            package, _dot, kind = name.rpartition(".")
            if kind in kinds and package.partition(":")[0] in names:
                found.append((read_bytes(os.path.join(directory, name)) or b"").decode("utf-8", "surrogateescape"))
        return found
