# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb genimage: an osimage becomes a new generation, or stays as it is when nothing that decides it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..apply.generations import INITRD, KERNEL, Generation, next_number, standing
from ..apply.scratch import remove_abandoned
from ..apply.withdrawn import Withdrawal, withdrawn
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import osimage
from ..nodes.site import Site
from .build import Way, build, only_build, staging_left
from .definition import Definition, define, machine_faults
from .given import Given, read_given
from .inputs import Inputs, differences, gather, package_differences
from .kept import why_from_nothing

SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "refresh": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "full": {"type": "bool", "default": False},
    "keep_packages": {"type": "bool", "default": True},
    "other_release": {"type": "bool", "default": False},
    "dracut_module": {"type": "path", "default": "/usr/share/statelite/dracut/95statelite"},
    "rootfs": {"type": "str", "default": "/usr/share/statelite/rootfs"},
    "share": {"type": "path", "default": "/usr/share/statelite"},
    "ca": {"type": "str", "default": "/etc/statelite/pki/ca.pem"},
    "authorized_keys": {"type": "str", "default": "/etc/statelite/ssh/id_ed25519.pub", "no_log": False},
    "root_hash_file": {"type": "str", "default": ""},
    "host_keys": {"type": "str", "default": "", "no_log": False},
    "limit": {"type": "int", "default": 7200},
}
"""What decides a build besides the tables."""


@dataclass
class Genimage:
    """The plan. `reasons` are why a build is due: none means that the newest generation is right as it is."""

    definition: Definition
    inputs: Inputs
    newest: Generation | None
    reasons: list[str]
    limit: float
    warn: Callable[[str], None] = field(default=lambda _text: None, repr=False)
    seconds: float = 0
    held: Withdrawal | None = None
    way: Way = field(default_factory=Way)

    def __post_init__(self) -> None:
        self._lines = self._plan()

    def lines(self) -> list[str]:
        """Return what would be done and why."""
        return self._lines

    def _plan(self) -> list[str]:
        image = self.definition.image
        lines = [f"{image.name}: remove {path}, which an interrupted build left" for path in staging_left(image.rootimgdir)]
        if self.reasons:
            lines.append(f"{image.name}: build generation {next_number(image.rootimgdir)} in {image.rootimgdir}")
            lines += [f"{image.name}: {reason}" for reason in self.reasons]
            if self.way.keeps and not self.way.full and not why_from_nothing(image.rootimgdir, self.inputs.record):
                lines.append(f"{image.name}: starts from the packages of the last build")
        return lines

    def apply(self) -> None:
        """Build what is due; one run at a time on one image directory."""
        image = self.definition.image
        remove_abandoned()
        with only_build(image.name, image.rootimgdir):
            newest = newest_generation(image.rootimgdir)
            if newest != self.newest:
                self.newest = newest
                self.reasons = why(self.inputs, newest)
                self.held = held_by(image.rootimgdir, self.inputs, None) if self.reasons else None
                self.reasons = [] if self.held else self.reasons
                self._lines = self._plan()
            if self.reasons:
                self.newest = build(self.definition, self.inputs, self.limit, self.way)
                record = self.newest.record()
                self.seconds = record["seconds"]
                for text in record.get("warnings", ()):
                    self.warn(text)

    def result(self) -> dict[str, Any]:
        """Return the newest generation (in check mode: the one before the build) and why there is a new one."""
        record = self.newest.record() if self.newest else {}
        return {
            "image": self.definition.image.name,
            "provmethod": self.definition.image.provmethod,
            "generation": self.newest.number if self.newest else None,
            "rootimg": self.newest.rootimg if self.newest else None,
            "kernel_version": record.get("kernel_version"),
            "packages": len(record.get("packages", {})),
            "packages_read": record.get("packages_read"),
            "changed_inputs": self.reasons,
            "from_nothing": record.get("from_nothing", ""),
            "held": self.held.words() if self.held else "",
            "seconds": self.seconds,
        }


def newest_generation(rootimgdir: str) -> Generation | None:
    """Return the newest generation, published or not, that the site did not go back from; a plain rootimg made elsewhere is none."""
    found = standing(rootimgdir)
    return found[-1] if found else None


def held_by(rootimgdir: str, inputs: Inputs, offered: Mapping[str, str] | None) -> Withdrawal | None:
    """Return the withdrawn generation that a build of `inputs` would come to again; it is not built until they change.

    `offered` are the packages that the repositories would give, None when they were not asked.
    """
    for number, mark in sorted(withdrawn(rootimgdir).items(), reverse=True):
        generation = Generation(rootimgdir, number)
        if not os.path.isdir(generation.path) or why(inputs, generation):
            continue
        if offered is None or not package_differences(_offered_then(generation), offered):
            return mark
    return None


def _offered_then(generation: Generation) -> Mapping[str, str]:
    """Return the packages that the repositories gave when a generation was built."""
    record = generation.record()
    found: Mapping[str, str] = record.get("offered") or record.get("packages", {})
    return found


def why(inputs: Inputs, newest: Generation | None) -> list[str]:
    """Return why the newest generation is not what `inputs` would give; empty when it is."""
    if newest is None:
        return ["there is no generation yet"]
    missing = [path for path in (KERNEL, INITRD, "rootimg") if not os.path.exists(os.path.join(newest.path, path))]
    if missing:
        return [f"generation {newest.number} has no {' and no '.join(missing)}"]
    return differences(newest.record().get("inputs", {}), inputs.record)


def defined(site: Site, params: Mapping[str, Any], here: bool = True, given: Given | None = None) -> tuple[Definition, Inputs]:
    """Return what is to be built and from what; raises SiteError with every fault of the definition and of the files it needs.

    `here` asks for what a build on this machine takes. The files are read from the places in `params` unless they are `given`.
    """
    faults: list[Fault] = []
    if given is None:
        given, faults = read_given(params)
    definition = None
    try:
        definition = define(osimage(site, params["image"]), params["share"], params["limit"], here, params["other_release"])
    except SiteError as error:
        faults += error.faults
    raise_faults(faults)
    if definition is None:
        raise SiteError.of(f"image {params['image']}", "is not defined", "Define it")
    return definition, gather(definition, given.agent, given.overlay, given.credentials)


def plan_genimage(
    site: Site, params: Mapping[str, Any], warn: Callable[[str], None] = lambda _text: None, given: Given | None = None
) -> Genimage:
    """Return the plan for one image; raises SiteError with every fault of its definition and of the files it needs."""
    try:
        definition, inputs = defined(site, params, False, given)
    except SiteError:
        defined(site, params, True, given)  # what this machine lacks is told in the same go
        raise
    newest = newest_generation(definition.image.rootimgdir)
    reasons = ["a build is asked for"] if params["force"] else why(inputs, newest)
    offered = None
    if newest is not None and not reasons and params["refresh"]:
        raise_faults(machine_faults(definition.image, definition.installer, params["other_release"]))
        offered = definition.installer.candidates()
        reasons = package_differences(_offered_then(newest), offered)
    held = held_by(definition.image.rootimgdir, inputs, offered) if reasons and newest is not None and not params["force"] else None
    if reasons and held is None:
        raise_faults(machine_faults(definition.image, definition.installer, params["other_release"]))
    if held is not None:
        warn(f"image {definition.image.name}: {held.words()}. What is declared now comes to the same, so nothing is built")
    way = Way(params["full"], params["keep_packages"])
    return Genimage(definition, inputs, newest, [] if held else reasons, params["limit"], warn, held=held, way=way)
