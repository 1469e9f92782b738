# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package database of an RPM image: where it lies, in which form, and what it holds.

rpm of this machine writes the form that it knows. The image's own rpm may want another one at another place (Enterprise
Linux 8: Berkeley DB in /var/lib/rpm; 9: SQLite there; 10: SQLite in /usr/lib/sysimage/rpm; SUSE: that directory, Berkeley DB
or ndb). Only it knows, so it is asked, and reads the headers in itself where the answer is not what stands there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence

from ...apply.commands import run_command
from ...apply.root import Root
from ...errors import SiteError
from ..mounts import beside_chroot, in_chroot
from ..systems import FEDORA, SUSE, major
from ..tree import names_in
from .rpmtool import RpmTool

OLD_PLACE, NEW_PLACE = "/var/lib/rpm", "/usr/lib/sysimage/rpm"
OWN_RPM = "/usr/bin/rpm"
EVR = "%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}"
QUERY = f"%{{NAME}}\\t{EVR}\\n"
KEYS = "gpg-pubkey"
"""Public keys stand in the database as packages of this name."""

FILES = {"sqlite": re.compile(r"rpmdb\.sqlite"), "ndb": re.compile(r"Packages\.db"), "bdb": re.compile(r"Packages")}
"""The file that tells one form from another."""

MEND = "Take the package rpm out of the list, or build on a machine of the same major release as the image"


def place_for(family: str, version: str) -> str:
    """Return where a distribution's rpm keeps its database."""
    release = major(version)
    moved = family in SUSE or release >= (36 if family in FEDORA else 10) or not release
    return NEW_PLACE if moved else OLD_PLACE


def has_own_rpm(rootimg: str) -> bool:
    """Return whether the image holds an rpm."""
    with Root(rootimg) as root:
        return root.lstat(OWN_RPM) is not None


def own_choice(rootimg: str, limit: float) -> tuple[str, str]:
    """Return place and form of the database as the image's own rpm wants them; one too old to know forms has Berkeley DB.

    Raises SiteError when it answers with no place inside the image.
    """
    said = run_command(in_chroot(rootimg, OWN_RPM, "--eval", "%{_dbpath}\n%{_db_backend}"), limit=limit, mend=MEND, name="the image's rpm")
    place, form = [*said.split("\n"), "", ""][:2]
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", place) or ".." in place.split("/"):
        raise SiteError.of("the image's rpm", f"keeps its database in '{place}'", MEND)
    return os.path.normpath(place), form if form in FILES else "bdb"


def form_of(root: Root, place: str) -> str:
    """Return the form of the database at `place`; empty when there is none."""
    names = names_in(root, place)
    return next((form for form, pattern in FILES.items() if any(pattern.fullmatch(name) for name in names)), "")


def settle_database(rootimg: str, work: str, tool: RpmTool) -> None:
    """Bring the database to the place and into the form that the image's own rpm wants; nothing to do without one.

    Raises SiteError when fewer packages arrive than were there.
    """
    if not has_own_rpm(rootimg):
        return
    place, form = own_choice(rootimg, tool.limit)
    with Root(rootimg) as root:
        there, real = root.resolve(tool.place), root.resolve(place)
        if there == real and form_of(root, there) == form:
            return
        before = installed_by_host(rootimg, tool)
        headers = os.path.join(work, "headers")
        tool.run(["sh", "-c", 'exec rpmdb --root "$1" --exportdb > "$2"', "rpmdb", rootimg, headers], rootimg)
        for name in names_in(root, there):
            root.unlink(f"{there}/{name}")
        importing = 'exec chroot "$1" rpmdb --importdb < "$2"'
        run_command(
            beside_chroot(rootimg, "sh", "-c", importing, "rpmdb", rootimg, headers), limit=tool.limit, mend=MEND, name="the image's rpmdb"
        )
    after = installed_by_image(rootimg, tool.limit)
    if after != before:
        lost = ", ".join(sorted(set(before) - set(after))[:5]) or "other versions"
        raise SiteError.of("the image's rpm", f"did not take over the package database ({len(before)} packages; missing: {lost})", MEND)


def packages_of(text: str) -> dict[str, str]:
    """Return package to version from lines `name TAB version`; several versions of one package in one value."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, tab, version = line.partition("\t")
        if tab and name != KEYS:
            found.setdefault(name, []).append(re.sub(r"^0:", "", version))
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def installed_by_host(rootimg: str, tool: RpmTool) -> dict[str, str]:
    """Return the packages of the image as this machine's rpm reads them."""
    return packages_of(tool.run(["rpm", "--root", rootimg, "-qa", "--qf", QUERY], rootimg)[0])


def installed_by_image(rootimg: str, limit: float) -> dict[str, str]:
    """Return the packages of the image as its own rpm reads them."""
    command = in_chroot(rootimg, OWN_RPM, "-qa", "--qf", QUERY)
    return packages_of(run_command(command, limit=limit, mend=MEND, name="the image's rpm"))


def installed(rootimg: str, tool: RpmTool) -> dict[str, str]:
    """Return the packages and versions of a finished image."""
    return installed_by_image(rootimg, tool.limit) if has_own_rpm(rootimg) else installed_by_host(rootimg, tool)


def asked(rootimg: str, words: Sequence[str], names: Collection[str], tool: RpmTool) -> str:
    """Return what rpm answers to a question about packages of a finished image."""
    question = ["-q", *words, *sorted(names)]
    if has_own_rpm(rootimg):
        return run_command(in_chroot(rootimg, OWN_RPM, *question), limit=tool.limit, mend=MEND, name="the image's rpm")
    return tool.run(["rpm", "--root", rootimg, *question], rootimg)[0]


def files_of(rootimg: str, names: Collection[str], tool: RpmTool) -> set[str]:
    """Return the paths of packages of a finished image."""
    return {line for line in asked(rootimg, ["-l"], names, tool).splitlines() if line.startswith("/")}


def remove_packages(rootimg: str, names: list[str], tool: RpmTool) -> list[str]:
    """Remove those packages that are installed, and nothing that needs them; return the failures of their scripts.

    Raises SiteError when another package needs one of them.
    """
    there = [name for name in names if name in installed_by_host(rootimg, tool)] if names else []
    return tool.run(["rpm", "--root", rootimg, "-e", *there], rootimg)[1] if there else []
