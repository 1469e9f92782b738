# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one service node serves: its nodes, and the published generations of the images that they boot (behaviour.md i)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ..apply.generations import current
from ..apply.manifest import amendment_due, read_manifest
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image, image_of, osimage
from ..nodes.servers import is_address, own_nodes, resolve
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store

SPEC: dict[str, Any] = {
    "server": {"type": "list", "elements": "str", "required": True},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module service_node_info."""

BUILD = "Build the image, lay it out and publish it"


def addresses_of(site: Site, server: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses of a server: those given, and those that the table hosts has for the names given, if any.

    Raises SiteError when that comes to none: then it could serve nobody.
    """
    found = []
    for name in server:
        try:
            found.append(name if is_address(name) else resolve(site, name, "option server"))
        except SiteError:
            continue
    if not found:
        what = f"none of {', '.join(server) or 'its names'} is an address or a name in the table hosts"
        raise SiteError.of("option server", what, "Give an address of the service node as nodes reach it")
    return tuple(dict.fromkeys(found))


def booted_images(site: Site, nodes: Sequence[str]) -> list[Image]:
    """Return the images that nodes boot by their tables, one a directory; nodes without one boot nothing of ours."""
    names: dict[str, None] = {}
    for node in nodes:
        try:
            names[image_of(site, node)] = None
        except SiteError:
            continue
    faults: list[Fault] = []
    found: dict[str, Image] = {}
    for name in names:
        try:
            image = osimage(site, name)
        except SiteError as error:
            faults.extend(error.faults)
            continue
        found.setdefault(image.rootimgdir, image)
    raise_faults(faults)
    return list(found.values())


def offer(image: Image, warn: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the published generation of an image, told by its manifest; None, and a warning, where a plain tree stands.

    Raises SiteError when there is none, or its tree is being changed.
    """
    where = f"osimage {image.name}"
    generation = current(image.rootimgdir)
    if generation is None:
        raise SiteError.of(where, f"nothing is published in {image.rootimgdir}", BUILD)
    if generation.number is None:
        warn(f"{where}: {image.rootimgdir} was made elsewhere and has no manifest; bring it to service nodes by other means")
        return None
    verb = amendment_due(generation)
    if verb:
        raise SiteError.of(generation.path, f"its root tree is being changed in place by {verb}", "Run that again if it was cut off")
    manifest = read_manifest(generation.path)
    if manifest is None:
        mend = f"Seal it with the module generation and seal: [{generation.number}], or build the image again"
        raise SiteError.of(generation.path, "the generation has no manifest to compare a copy with", mend)
    return {
        "image": image.name,
        "rootimgdir": image.rootimgdir,
        "generation": generation.number,
        "id": manifest.id,
        "manifest": sha256(manifest.content).hexdigest(),
    }


def read_served(params: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the nodes of a service node and the generations that they boot; `params` are the options of the module."""
    with open_store(params["site"]) as store:
        tables = store.tables()
    addresses = addresses_of(Site(tables), params["server"])
    site = Site(tables, addresses)
    nodes = own_nodes(site, site.nodes())
    faults: list[Fault] = []
    offers = []
    for image in booted_images(site, nodes):
        try:
            offers.append(offer(image, warn))
        except SiteError as error:
            faults.extend(error.faults)
    raise_faults(faults)
    directories = {key: site.setting(key) for key in ("installdir", "tftpdir")}
    return {"addresses": list(addresses), "nodes": nodes, "generations": [each for each in offers if each], **directories}
