# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations that are accepted as they are: signed with the site's key, whatever was wrong with their manifest.

For those built before the site had a key, signed by a key that it no longer accepts, or changed by hand on purpose. What was
published before never changes: the manifest is an amendment then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..apply.generations import Generation, generations
from ..apply.lock import only_run_of_image
from ..apply.manifest import amend, amendments, read_manifest, seal, verify
from ..apply.signing import Keys, site_keys
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image
from ..tables.address import site_directory
from .retention import INFO_SPEC as READ_SPEC
from .retention import read_generations, read_site

INFO_SPEC: dict[str, Any] = {**READ_SPEC, "verify": {"type": "bool", "default": False}}
"""Options of the module generation_info."""


def trouble(generation: Generation, keys: Keys | None) -> str:
    """Return what is wrong with the manifest of a generation, every path of its tree read; empty for nothing."""
    if amendments(generation.path) is None:
        return "it has no manifest"
    try:
        verify(generation, keys, tree=True)
    except SiteError as error:
        more = len(error.faults) - 1
        first = f"{error.faults[0].where}: {error.faults[0].what}"
        return f"{first}, and {more} more" if more else first
    return ""


def read_sealed(params: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the generations of an image, who needs them, and what their manifests say; with `verify` whether they are as signed."""
    _view, path, image, _names = read_site(params)
    keys = site_keys(site_directory(path))
    found = read_generations(params, warn)
    for one in found["generations"]:
        generation = Generation(image.rootimgdir, one["generation"])
        manifest = read_manifest(generation.path)
        one["id"] = manifest.id if manifest else str(one["generation"])
        one["sealed"] = str(manifest.document["sealed"]) if manifest else ""
        one["trouble"] = trouble(generation, keys) if params["verify"] else ""
    wrong = [f"{one['id']}: {one['trouble']}\n" for one in found["generations"] if one["trouble"]]
    return {**found, "text": found["text"] + "".join(wrong)}


class SealPlan:
    """Generations that get a manifest, each with what is wrong with the one it has."""

    def __init__(self, image: Image, found: Mapping[Generation, str], keys: Keys | None) -> None:
        self.image = image
        self.found = found
        self.keys = keys

    def lines(self) -> list[str]:
        """Return one line a generation."""
        return [f"{self.image.name}: seal generation {each.number} as it is: {wrong}" for each, wrong in self.found.items()]

    def result(self) -> dict[str, Any]:
        """Return the numbers of the generations that are sealed."""
        return {"sealed": [each.number for each in self.found], "removed": [], "kept": []}

    def apply(self) -> None:
        """Write the manifests."""
        with only_run_of_image(self.image.rootimgdir, self.image.name):
            for generation, wrong in self.found.items():
                if amendments(generation.path) is None:
                    seal(generation, self.keys)
                else:
                    amend(generation, self.keys, f"sealed as it was: {wrong}")


def plan_seal(params: Mapping[str, Any]) -> SealPlan:
    """Return the plan that seals the generations named; raises SiteError for numbers that there are not."""
    _view, path, image, _names = read_site(params)
    there = {each.number: each for each in generations(image.rootimgdir)}
    mend = "Name some of " + (", ".join(map(str, there)) or "those that genimage builds")
    raise_faults(Fault("seal", f"there is no generation {number}", mend) for number in params["seal"] if number not in there)
    keys = site_keys(site_directory(path))
    wrong = {there[number]: trouble(there[number], keys) for number in dict.fromkeys(params["seal"])}
    return SealPlan(image, {each: text for each, text in wrong.items() if text}, keys)
