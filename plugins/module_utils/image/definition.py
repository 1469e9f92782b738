# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an osimage says about its build, read and checked as a whole before anything is done."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image
from .build_host import read_host, release_faults
from .emulation import build_faults
from .installers.order import Order
from .installers.registry import Installer, installer_for, known_families
from .interfaces import interface_faults
from .packages import Others, default_pkgdir, postinstall_of, read_exlist, read_others, read_packages, split_sources
from .pkglist import PackageList
from .systems import family, version

PROVMETHODS = ("statelite", "netboot")


@dataclass(frozen=True)
class Definition:
    """One image, ready to be built: every file named exists and every value has been checked."""

    image: Image
    packages: PackageList
    installer: Installer
    others: Others = field(default_factory=Others)
    environment: Mapping[str, str] = field(default_factory=dict)
    postinstall: Sequence[Sequence[str]] = ()

    @property
    def steps(self) -> int:
        """How many runs of the package manager fill the image."""
        return len(self.packages.passes) + len(self.packages.remove) + len(self.others.packages.passes) + len(self.others.packages.remove)


def parse_environment(text: str, where: str) -> tuple[dict[str, str], list[Fault]]:
    """Return osimage.environvar (`NAME=VALUE,NAME=VALUE`) as a dictionary, and its faults."""
    environment, faults = {}, []
    for item in (part.strip() for part in text.split(",") if part.strip()):
        name, equals, value = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            faults.append(Fault(where, f"'{item}' sets no variable", "Write NAME=VALUE, separated by commas"))
        environment[name] = value
    return environment, faults


def parse_postinstall(text: str, where: str) -> tuple[list[list[str]], list[Fault]]:
    """Return linuximage.postinstall (scripts with their arguments, separated by commas) and its faults."""
    scripts, faults = [], []
    for item in (part.strip() for part in text.split(",") if part.strip()):
        try:
            words = shlex.split(item)
        except ValueError as error:
            faults.append(Fault(where, f"'{item}' cannot be split into words ({error})", "Close the quotes"))
            continue
        if not os.path.isabs(words[0]) or not os.path.isfile(words[0]):
            faults.append(Fault(where, f"the script {words[0]} does not exist", "Create it, or write its whole path"))
        elif not os.access(words[0], os.X_OK):
            faults.append(Fault(where, f"the script {words[0]} is not executable", f"chmod +x {words[0]}"))
        scripts.append(words)
    return scripts, faults


NOT_TAKEN = {
    "kerneldir": "Put the kernel's package into otherpkgdir, name it in otherpkglist, and its version in kernelver",
    "driverupdatesrc": "Put the drivers' packages into otherpkgdir, name them in otherpkglist, and the drivers in netdrivers",
}
"""Columns by which the original brings files that no package has, and what to do here."""


def _row_faults(image: Image) -> list[Fault]:
    """Return what is missing or unknown in the rows themselves."""
    where = f"table osimage, imagename {image.name}"
    faults = [
        Fault(f"{where}, column {column}", "is not set", f"Set it, such as {example}")
        for column, example in (("osvers", "debian12"), ("osarch", "x86_64"), ("profile", "compute"), ("provmethod", "statelite"))
        if not image.column(column)
    ]
    if image.provmethod and image.provmethod not in PROVMETHODS:
        mend = f"Set it to {' or '.join(PROVMETHODS)}"
        faults.append(Fault(f"{where}, column provmethod", f"'{image.provmethod}' is not a diskless image", mend))
    if image.osvers and family(image.osvers) not in known_families():
        mend = f"genimage builds {', '.join(known_families())}"
        faults.append(Fault(f"{where}, column osvers", f"'{image.osvers}' has no installer", mend))
    linux = f"table linuximage, imagename {image.name}"
    for column, mend in NOT_TAKEN.items():
        if image.column(column):
            faults.append(Fault(f"{linux}, column {column}", "only packages come into an image", f"{mend}; leave {column} unset"))
    return faults


def machine_faults(image: Image, installer: Installer | None, other_release: bool = False) -> list[Fault]:
    """Return why this machine can't build the image: its architecture, its own release, programs that it lacks."""
    where = f"table osimage, imagename {image.name}"
    faults = [] if other_release or not image.osvers else release_faults(image.osvers, read_host(), f"{where}, column osvers")
    foreign = build_faults(image.osarch, f"{where}, column osarch") if image.osarch else []
    return faults + foreign + (installer.machine_faults() if installer is not None else [])


def define(image: Image, share: str, limit: float, here: bool = True, other_release: bool = False) -> Definition:
    """Return the definition of `image`; raises SiteError with every fault of its rows, lists, scripts and sources.

    Of a build `here` this machine's own faults count too; `other_release` lets it run another release of the image's system.
    """
    faults = [*_row_faults(image), *interface_faults(image)]
    where = f"table linuximage, imagename {image.name}"
    environment, wrong = parse_environment(image.column("environvar"), f"table osimage, imagename {image.name}, column environvar")
    scripts, unusable = parse_postinstall(postinstall_of(image), f"{where}, column postinstall")
    faults += [*wrong, *unusable]
    packages = PackageList()
    try:
        packages = read_packages(image, environment, share)
    except SiteError as error:
        faults += error.faults
    try:
        read_exlist(image, environment)
    except SiteError as error:
        faults += error.faults
    others, wrong = read_others(image, environment)
    faults += wrong
    order = Order(
        family(image.osvers),
        version(image.osvers),
        image.osarch,
        tuple(split_sources(image.column("pkgdir")) or [default_pkgdir(image)]),
        packages,
        others.packages,
        others.sources,
        image.column("kernelver"),
        image.column("krpmver"),
        environment,
        image.column("scriptlets") == "warn",
        f"{where}, column pkgdir",
        f"{where}, column otherpkgdir",
        limit,
    )
    installer = installer_for(order)
    if installer is not None:
        faults += installer.faults()
    if here:
        faults += machine_faults(image, installer, other_release)
    raise_faults(dict.fromkeys(faults))
    if installer is None:
        raise SiteError.of(where, "no installer was found", f"genimage builds {', '.join(known_families())}")
    return Definition(image, packages, installer, others, environment, scripts)
