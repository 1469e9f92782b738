# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb copycds: a distribution's medium becomes a directory of packages and sample osimages."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.files import read_bytes, sync_directory, write_file
from ..apply.lock import only_run
from ..apply.removal import remove_tree
from ..errors import Fault, SiteError, raise_faults
from ..nodes.site import Site
from ..tables.columns import Row
from ..tables.plan import Change, lines_of, plan_table
from ..tables.replica import Replica
from ..tables.schema import TABLES, check_rows
from ..tables.store import DEFAULT_SITE, Store, open_store
from .media import Medium, recognise
from .medium_sources import Source, source_at
from .systems import family, version

METHODS = ("install", "netboot", "statelite")
UNKNOWN = "?"
"""What a directory holds that does not say of which medium it is."""
RECORD = ".statelite-medium.json"
"""What a directory was copied from; in it, so that it goes where the directory goes."""
NEW, OLD = ".statelite-new", ".statelite-old"
"""The endings of a directory that is being filled, and of one that was replaced."""

SPEC: dict[str, Any] = {
    "src": {"type": "path", "required": True},
    "os": {"type": "str"},
    "arch": {"type": "str"},
    "dest": {"type": "path"},
    "profiles": {"type": "list", "elements": "str", "default": ["compute"]},
    "osimages": {"type": "bool", "default": True},
    "replace": {"type": "bool", "default": False},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module copycds."""

Tables = Mapping[str, Sequence[Row]]


@dataclass
class Copycds:
    """The plan: the medium, where it goes, whether it is there already, and the rows that are missing."""

    source: Source
    medium: Medium
    target: str
    fingerprint: str
    held: str
    """What the target is of now: this medium's fingerprint, another text, or '' where there is no directory."""
    names: list[str]
    store: Store | Replica
    version: int
    changes: Sequence[Change]
    decide: Callable[[Tables], Sequence[Change]]

    def __post_init__(self) -> None:
        self._lines = [f"{path}: removed, an interrupted copy left it" for path in _left(self.target)]
        if self.held != self.fingerprint:
            verb = "replaced by" if self.held else "copied from"
            self._lines.append(f"{self.target}: {verb} {self.source.path} ({self.medium.title or self.medium.osvers})")
        self._lines += lines_of(self.changes)

    def lines(self) -> list[str]:
        """Return what would be done."""
        return self._lines

    def result(self) -> dict[str, Any]:
        """Return what the medium is, where it is, and the osimages of it."""
        medium = self.medium
        return {"os": medium.osvers, "arch": medium.osarch, "disc": medium.disc, "path": self.target, "osimages": self.names}

    def apply(self) -> None:
        """Copy beside the target, rename, then write the rows. Killed at any point, the next run does what is left."""
        os.makedirs(os.path.dirname(self.target), exist_ok=True)
        with only_run(os.path.dirname(self.target) + "/.copycds.lock", f"copycds into {self.target}"):
            for path in _left(self.target):
                remove_tree(path)
            if held_medium(self.target) != self.fingerprint:
                self._copy()
        with self.store as store:
            store.write(self.changes, self.version, self.decide)

    def _copy(self) -> None:
        new, old = self.target + NEW, self.target + OLD
        os.mkdir(new, 0o755)
        self.source.copy(new)
        os.chmod(new, 0o755)
        record = {"fingerprint": self.fingerprint, "title": self.medium.title, "source": os.path.basename(self.source.path)}
        write_file(os.path.join(new, RECORD), json.dumps(record, indent=1).encode() + b"\n")
        os.sync()
        if os.path.lexists(self.target):
            os.rename(self.target, old)
        os.rename(new, self.target)
        sync_directory(os.path.dirname(self.target))
        remove_tree(old)


def _left(target: str) -> list[str]:
    """Return what an interrupted copy left beside its target; the replaced directory stays while there is no new one."""
    left = [target + NEW, *([target + OLD] if os.path.lexists(target) else [])]
    return [path for path in left if os.path.lexists(path)]


def held_medium(target: str) -> str:
    """Return the fingerprint of the medium that a directory was copied from; '' where there is nothing, UNKNOWN where it does not say."""
    if not os.path.lexists(target) or (os.path.isdir(target) and not os.listdir(target)):
        return ""
    content = read_bytes(os.path.join(target, RECORD)) if os.path.isfile(os.path.join(target, RECORD)) else None
    try:
        return str(json.loads(content or b"{}")["fingerprint"])
    except (ValueError, KeyError, TypeError):
        return UNKNOWN


def _place_faults(target: str, source: str, installdir: str) -> list[Fault]:
    """Return why a directory can't be filled with a medium: it holds what must stay, or is part of what is copied."""
    real = os.path.realpath(target)
    faults = []
    for name, path in (("the installdir", installdir), ("the medium", source)):
        inside = os.path.realpath(path)
        if inside == real or inside.startswith(real.rstrip("/") + "/"):
            faults.append(Fault(target, f"{name}, {path}, is in it", "Give another dest"))
    if os.path.isdir(source) and real.startswith(os.path.realpath(source).rstrip("/") + "/"):
        faults.append(Fault(target, f"it is inside the medium {source}", "Give another dest"))
    return faults


KEY = re.compile(r"RPM-GPG-KEY-(?!.*(?:test|beta|debug)).+|gpg-pubkey-.+\.asc", re.IGNORECASE)
"""The public keys that a distribution's medium has at its top, for the packages that are on it."""


def signed(path: str, names: Sequence[str]) -> str:
    """Return pkgdir for a medium with these files at its top: signed by the medium's own keys where it has some."""
    keys = [os.path.join(path, name) for name in names if KEY.fullmatch(name)]
    return f"[signed-by={','.join(keys)}] {path}" if keys else path


def sample_rows(medium: Medium, pkgdir: str, profile: str, method: str, installdir: str) -> dict[str, Row]:
    """Return the rows of the sample osimage for one method (behaviour.md h.4).

    The package list is the distribution's default one, which genimage finds by itself. An image for netboot has a directory
    of its own: a statelite one is laid out, and published by liteimg.
    """
    name = f"{medium.osvers}-{medium.osarch}-{method}-{profile}"
    image = {"imagename": name, "profile": profile, "imagetype": "linux", "provmethod": method, "osname": "Linux"}
    image |= {"osvers": medium.osvers, "osarch": medium.osarch, "osdistroname": f"{medium.osvers}-{medium.osarch}"}
    other = f"{installdir}/post/otherpkgs/{medium.osvers}/{medium.osarch}"
    linux = {"imagename": name, "pkgdir": pkgdir, "otherpkgdir": other}
    if method == "netboot":
        linux["rootimgdir"] = f"{installdir}/netboot/{medium.osvers}/{medium.osarch}/{profile}-netboot"
    return {"osimage": image, "linuximage": linux}


def _missing(wanted: Sequence[Mapping[str, Row]], tables: Tables) -> list[Change]:
    """Return the changes that add rows of images that are not there; those that are there are the administrator's."""
    present = {row["imagename"] for row in tables["osimage"]}
    new = [rows for rows in wanted if rows["osimage"]["imagename"] not in present]
    return [change for name in ("osimage", "linuximage") for change in plan_table(TABLES[name], tables[name], [rows[name] for rows in new])]


def _distribution(medium: Medium, path: str, tables: Tables) -> list[Change]:
    """Return the changes that tell of the distribution and the directories of its packages; one that is there gets a further directory."""
    name = f"{medium.osvers}-{medium.osarch}"
    major_version, _dot, minor_version = version(medium.osvers).partition(".")
    new = {"osdistroname": name, "basename": family(medium.osvers), "majorversion": major_version, "minorversion": minor_version}
    new |= {"arch": medium.osarch, "type": "Linux", "dirpaths": path}
    row = next((dict(row) for row in tables["osdistro"] if row["osdistroname"] == name), new)
    paths = [each for each in row.get("dirpaths", "").split(",") if each]
    row["dirpaths"] = ",".join(paths if path in paths else [*paths, path])
    return plan_table(TABLES["osdistro"], tables["osdistro"], [row])


def read_and_plan(params: Mapping[str, Any], warn: Callable[[str], None]) -> Copycds:
    """Return the plan for one medium; raises SiteError when it is not recognised, or its place is taken by something else."""
    source = source_at(params["src"])
    medium = recognise(source.markers().get, source.path, params["os"], params["arch"])
    store = open_store(params["site"])
    read_at, tables = store.read(("osimage", "linuximage", "osdistro", "site"))
    installdir = Site(tables).setting("installdir")
    disc = f"-disc{medium.disc}" if medium.disc > 1 else ""
    target = os.path.normpath(params["dest"] or f"{installdir}/{medium.osvers}/{medium.osarch}{disc}")
    fingerprint, held = source.fingerprint(), held_medium(target)
    raise_faults(_place_faults(target, source.path, installdir))
    if held and held != fingerprint and (held == UNKNOWN or not params["replace"]):
        what = "it holds another medium" if held != UNKNOWN else "it is there, and is no copy of a medium"
        mend = "Give another dest, move it away, or set replace: true" if held != UNKNOWN else "Give another dest, or move it away"
        raise SiteError.of(target, what, mend)
    wanted: list[dict[str, Row]] = []
    if params["osimages"] and medium.disc == 1:
        pkgdir = signed(target, source.top())
        wanted = [sample_rows(medium, pkgdir, profile, method, installdir) for profile in params["profiles"] for method in METHODS]
    elif medium.disc > 1:
        warn(f"{target} is disc {medium.disc}: name it in pkgdir, after the directory of disc 1, where its packages are wanted")

    def decide(found: Tables) -> list[Change]:
        return [*_distribution(medium, target, found), *_missing(wanted, found)]

    raise_faults(fault for rows in wanted for name, row in rows.items() for fault in check_rows(TABLES[name], [row]))
    names = [rows["osimage"]["imagename"] for rows in wanted]
    return Copycds(source, medium, target, fingerprint, held, names, store, read_at, decide(tables), decide)
