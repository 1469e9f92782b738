# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root images of Enterprise Linux and Fedora, filled by dnf."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from ...apply.root import Root
from ...errors import Fault, SiteError, raise_faults
from ..pkglist import Pass
from ..systems import ENTERPRISE_LINUX, FEDORA, major
from ..tree import TreeFile, drop, put
from .machine import program_path
from .repositories import Repository
from .rpm import RpmInstaller
from .rpmtool import MEND, WORK

ARCHITECTURES = ("x86_64", "aarch64", "ppc64le", "s390x", "riscv64")
OLDEST = 8
"""The first release of Enterprise Linux that dnf can install."""

OFFERED = re.compile(
    r"(\S+)\s+(?:noarch|i686|x86_64|aarch64|ppc64le|s390x|riscv64)\s+(\S+)\s+(?:pkgdir|others)-\d+\s+[\d.]+(?:\s+[kMGT]\b)?"
)
"""A package of the table that dnf shows before it acts; a long name pushes the other cells into the next line."""

LEFT_OUT = re.compile(r'No match for group package "([^"]+)"')

NO_INITRAMFS = ("50-dracut.install", "51-dracut-rescue.install")
"""What the kernel's own script would run to make an initramfs of the builder's hardware, which no node boots."""

KERNEL = re.compile(r"kernel(?:-(?:core|modules|modules-core|modules-extra|headers|devel|bootwrapper|tools|tools-libs))?")


class Dnf(RpmInstaller):
    """One order, carried out by dnf."""

    families = (*ENTERPRISE_LINUX, *FEDORA)
    program = "dnf"

    def machine_faults(self) -> list[Fault]:
        """Return what this machine lacks for the order."""
        missing, program = super().machine_faults(), program_path(self.program)
        if program and os.path.basename(os.path.realpath(program)) == "dnf5":
            missing.append(Fault(program, "is dnf 5, whose answers genimage does not know", "Install dnf 4 (on Fedora the package dnf4)"))
        return missing

    def faults(self) -> list[Fault]:
        """Return what is wrong with the order, on whatever machine it is carried out."""
        order, found = self.order, super().faults()
        release = major(order.version)
        if not release or (order.family in ENTERPRISE_LINUX and release < OLDEST):
            mend = f"Use {order.family}{OLDEST} or newer" if release else f"Write the release, as {order.family}9"
            found.append(Fault(order.where, f"{order.family}{order.version} is no release that dnf can install", mend))
        if order.osarch not in ARCHITECTURES:
            found.append(Fault(order.where, f"{order.family} has no architecture {order.osarch}", f"Use one of {', '.join(ARCHITECTURES)}"))
        return found

    def named(self, name: str) -> str:
        """Return a package as dnf calls it: `name=version` is `name-version`, and a kernel package is of the version asked for."""
        version = self.order.krpmver or self.order.kernelver
        if version and KERNEL.fullmatch(name):
            return f"{name}-{version}"
        return name if name.startswith("@") else name.replace("=", "-", 1)

    def packages(self, names: Sequence[str]) -> list[str]:
        """Return the packages of one run."""
        return [self.named(name) for name in names]

    def pinned(self) -> list[str]:
        """Return the kernel package that no list names but the image asks for."""
        asked = self.order.krpmver or self.order.kernelver
        return ["kernel"] if asked and not any(KERNEL.fullmatch(name) for name in self.order.install) else []

    def _command(self, root: str, work: str, *words: str) -> list[str]:
        order = self.order
        release = major(order.version)
        platform = f"platform:{'f' if order.family in FEDORA else 'el'}{release}"
        places = {"reposdir": f"{work}/repos", "varsdir": f"{work}/vars", "cachedir": f"{WORK}/cache", "logdir": f"{WORK}/log"}
        settings = {"module_platform_id": platform, "install_weak_deps": "0", "best": "1", "strict": "1", "keepcache": "0"}
        settings.update(places)
        foreign = [f"--forcearch={order.osarch}"] if order.osarch != os.uname().machine else []
        return [
            self.program,
            "--noplugins",
            f"--config={work}/dnf.conf",
            f"--installroot={root}",
            f"--releasever={release}",
            *foreign,
            *(f"--setopt={name}={value}" for name, value in settings.items()),
            *words,
        ]

    def prepare(self, work: str, repositories: Sequence[Repository]) -> None:
        """Write dnf's configuration below `work`: nothing of this machine's own counts."""
        for name in ("repos", "vars", "cache", "log"):
            os.makedirs(os.path.join(work, name), exist_ok=True)
        with open(os.path.join(work, "dnf.conf"), "w", encoding="utf-8") as stream:
            stream.write("[main]\n")
        with open(os.path.join(work, "repos", "image.repo"), "w", encoding="utf-8") as stream:
            stream.write("\n".join(repository.text() for repository in repositories))

    def run_pass(self, root: str, work: str, run: Pass, exclude: Sequence[str]) -> list[str]:
        """Install one run's packages; return the failures of scripts. Raises SiteError when anything named stays out."""
        excluded = [f"--exclude={','.join(exclude)}"] if exclude else []
        text, failures = self.tool.run(
            self._command(root, work, "--assumeyes", *excluded, "install", *self.packages(run.install)), root, run.environment, work=work
        )
        self._refuse_left_out(text, exclude)
        return failures

    def _refuse_left_out(self, text: str, exclude: Sequence[str]) -> None:
        """Raise SiteError for packages of a group that no repository has: dnf leaves them out and ends well."""
        mend = "Add the repository that has it to pkgdir, or write -{0} into the list to leave it out knowingly"
        names = [name for name in dict.fromkeys(LEFT_OUT.findall(text)) if name not in exclude]
        raise_faults(
            Fault(f"package {name}", "belongs to a group of the list, and no repository has it", mend.format(name)) for name in names
        )

    def before(self, rootimg: str) -> None:
        """Keep the kernel's scripts from making an initramfs of their own: theirs takes minutes and is not booted."""
        with Root(rootimg) as root:
            for name in NO_INITRAMFS:
                put(root, TreeFile(f"/etc/kernel/install.d/{name}", target="/dev/null"))

    def after(self, rootimg: str) -> None:
        """Take away what `before` put there."""
        with Root(rootimg) as root:
            for name in NO_INITRAMFS:
                drop(root, f"/etc/kernel/install.d/{name}")

    def solve(self, root: str, work: str, install: Sequence[str], exclude: Sequence[str]) -> dict[str, str]:
        """Return what installing `install` into an empty root would give."""
        excluded = [f"--exclude={','.join(exclude)}"] if exclude else []
        _status, text = self.tool.try_run(self._command(root, work, "--assumeno", *excluded, "install", *self.packages(install)), work=work)
        table = text.partition("Dependencies resolved.")[2].partition("Transaction Summary")[0]
        found = {name: re.sub(r"^0:", "", version) for name, version in OFFERED.findall(table)}
        if not found:
            raise SiteError.of(self.program, f"finds no packages to install; it said:\n{text.strip()[-2000:]}", MEND)
        return found
