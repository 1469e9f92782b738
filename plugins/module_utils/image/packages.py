# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists and further sources of an osimage: named in its columns, or found where the document looks for them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..apply.files import read_bytes
from ..errors import Fault, SiteError
from ..nodes.images import Image
from .exlist import Pattern, parse_exlist
from .listfile import split_column
from .pkglist import PackageList, default_names, parse_pkglist
from .sources import Source, parse_repolist, parse_source
from .systems import list_directories, system_names


@dataclass(frozen=True)
class Others:
    """Further packages and where they come from; `repolist` is the file that named sources."""

    packages: PackageList = field(default_factory=PackageList)
    sources: tuple[Source, ...] = ()
    repolist: str = ""


def split_sources(text: str) -> list[str]:
    """Return the items of pkgdir or otherpkgdir; a comma inside the brackets of options separates nothing."""
    items, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            items.append(text[start:place])
            start = place + 1
    return [item.strip() for item in [*items, text[start:]] if item.strip()]


def read_text(path: str) -> str | None:
    """Return the text of a file, None when there is none."""
    content = read_bytes(path) if os.path.isfile(path) else None
    return None if content is None else content.decode("utf-8", "replace")


def default_pkgdir(image: Image) -> str:
    """Return the directory of the distribution's packages of an image that names none."""
    return f"{image.installdir}/{image.osvers}/{image.osarch}"


def default_otherpkgdir(image: Image) -> str:
    """Return the directory of further packages of an image that names none; it counts where it is there."""
    return f"{image.installdir}/post/otherpkgs/{image.osvers}/{image.osarch}"


def custom_directories(image: Image) -> list[str]:
    """Return the directories of a site's own lists (the document, 2.6)."""
    return [f"{image.installdir}/custom/netboot/{name}" for name in list_directories(image.osvers)]


def find_list(image: Image, directories: Sequence[str], ending: str) -> str | None:
    """Return the file of an image that names none: the first directory counts most (behaviour.md f.3); None for none."""
    for directory in directories:
        for name in default_names(image.profile, system_names(image.osvers), image.osarch, ending):
            if os.path.isfile(os.path.join(directory, name)):
                return os.path.join(directory, name)
    return None


def read_packages(image: Image, environment: Mapping[str, str], share: str) -> PackageList:
    """Return the packages that the image's lists name, the default list when it names none; raises SiteError with every fault."""
    where = f"table linuximage, imagename {image.name}, column pkglist"
    items = split_column(image.column("pkglist"))
    if not items:
        directories = [*custom_directories(image), f"{share}/pkglist"]
        found = find_list(image, directories, "pkglist")
        if found is None:
            mend = f"Name a list file, or put {image.profile}.{image.osvers}.{image.osarch}.pkglist into {directories[0]}"
            raise SiteError.of(where, f"is not set, and there is no default list in {' or '.join(directories)}", mend)
        items = [found]
    return parse_pkglist(items, read_text, environment, where)


def read_others(image: Image, environment: Mapping[str, str]) -> tuple[Others, list[Fault]]:
    """Return the further packages of the image, and every fault of their lists and sources.

    A list or repolist that no column names is found in the site's own directories and beside the lists that are named
    (the document, 2.7). Sources count only where there is a list.
    """
    where = f"table linuximage, imagename {image.name}, column"
    items = split_column(image.column("otherpkglist"))
    directories = custom_directories(image)
    if not items:
        found = find_list(image, directories, "otherpkgs.pkglist")
        items = [found] if found else []
    if not items:
        return Others(), []
    faults: list[Fault] = []
    packages = PackageList()
    try:
        packages = parse_pkglist(items, read_text, environment, f"{where} otherpkglist", others=True)
    except SiteError as error:
        faults += error.faults
    sources = []
    default = default_otherpkgdir(image)
    written = split_sources(image.column("otherpkgdir")) or ([default] if os.path.isdir(default) else [])
    for item in written:
        source, wrong = parse_source(item, f"{where} otherpkgdir")
        faults += wrong
        sources.append(source)
    beside = [os.path.dirname(item) for item in items if item.startswith("/")]
    repolist = find_list(image, list(dict.fromkeys([*beside, *directories])), "repolist")
    if repolist:
        more, wrong = parse_repolist(repolist, read_text)
        faults += wrong
        sources += more
    return Others(packages, tuple(sources), repolist or ""), faults


def read_exlist(image: Image, environment: Mapping[str, str]) -> list[Pattern]:
    """Return what a packed image leaves out; raises SiteError with every fault of the files that the column names, or of the one found."""
    where = f"table linuximage, imagename {image.name}, column exlist"
    items = split_column(image.column("exlist"))
    if not items:
        found = find_list(image, custom_directories(image), "exlist")
        items = [found] if found else []
    return parse_exlist(items, read_text, environment, where)


def postinstall_of(image: Image) -> str:
    """Return the scripts that run when the packages are there: those of the column, else the site's own one for the image."""
    written = image.column("postinstall")
    found = "" if written else find_list(image, custom_directories(image), "postinstall")
    return shlex.quote(found) if found else written
