# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module genimage is asked for: a build on this machine, or the command for one on another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from . import genimage
from .dryrun import BUILDER, DryRun, plan_dryrun
from .genimage import Genimage, plan_genimage

TABLES = ("osimage", "linuximage", "site")
SPEC: dict[str, Any] = {
    **genimage.SPEC,
    "site": {"type": "str", "default": DEFAULT_SITE},
    "dryrun": {"type": "bool", "default": False},
    "builder": {"type": "path", "default": BUILDER},
}
"""Options of the module genimage."""


def read_site(path: str) -> Site:
    """Return what the site says of images."""
    with open_store(path) as store:
        return Site(store.tables(TABLES))


def read_and_plan(params: Mapping[str, Any], warn: Callable[[str], None]) -> Genimage | DryRun:
    """Read the site's rows and return the plan for the image that the options name."""
    site = read_site(params["site"])
    return plan_dryrun(site, params) if params["dryrun"] else plan_genimage(site, params, warn)
