# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb image_export: a published generation becomes a bundle, compressed as it is read, and appears by one rename."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..apply.files import sync_directory
from ..apply.generations import ROOTIMG, Generation, current, generations
from ..apply.manifest import Manifest, names_of, verify
from ..apply.pipelines import Stage, run_pipeline
from ..apply.scratch import scratch
from ..apply.signing import Keys, identity, site_keys
from ..apply.withdrawn import now
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image, osimage, rows_for_image
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .bundle import FORMAT, HEAD, ROWS, SIGNATURE, opened, read_head
from .lists import lists_of
from .mounts import alone
from .sending import KEPT

SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "dest": {"type": "path", "required": True},
    "generation": {"type": "int"},
    "level": {"type": "int", "default": 3},
    "site": {"type": "str", "default": DEFAULT_SITE},
    "limit": {"type": "int", "default": 7200},
}
"""Options of the module image_export."""

NO_KEY = "Run the module image_key, and seal what is published (module generation, seal)"
HIGHEST = 19
"""The levels of zstd from 1 on that every zstd unpacks without being told to take more memory."""

ROOM = "Make room where the bundle goes, and run again"


@dataclass
class Export:
    """The plan: the generation and its manifest, what the bundle begins with, and why it is to be written."""

    image: Image
    generation: Generation
    manifest: Manifest
    rows: bytes
    keys: Keys
    params: Mapping[str, Any]
    reason: str

    def lines(self) -> list[str]:
        """Return one line when the bundle is to be written."""
        return [f"{self.params['dest']}: {self.image.name}, generation {self.manifest.id}: {self.reason}"] if self.reason else []

    def result(self) -> dict[str, Any]:
        """Return what the bundle holds."""
        return {
            "dest": self.params["dest"],
            "image": self.image.name,
            "generation": self.generation.number,
            "id": self.manifest.id,
            "key": identity(self.keys.accepted[0]),
            "packages": len(self.manifest.document["packages"]),
        }

    def files(self) -> dict[str, dict[str, Any]]:
        """Return size and digest of every file of the bundle but the tree, in their order."""
        manifest, signature, _list = names_of(self.manifest.amended)
        own = {name: _stock(self.generation.path, name) for name in (manifest, signature)}
        return {ROWS: _told(self.rows), **own, **self.manifest.document["files"]}

    def apply(self) -> None:
        """Check the whole generation, then write the bundle under another name and rename it."""
        verify(self.generation, self.keys, tree=True)
        files, dest = self.files(), self.params["dest"]
        head = {"format": FORMAT, "image": self.image.name, "id": self.manifest.id, "exported": now(), "files": files}
        content = (json.dumps(head, indent=1, sort_keys=True) + "\n").encode()
        part = os.path.join(os.path.dirname(dest), f".{os.path.basename(dest)}.part")
        umask = os.umask(0o077)
        try:
            with scratch("bundle") as work:
                for name, text in ((HEAD, content), (SIGNATURE, self.keys.sign(content)), (ROWS, self.rows)):
                    with open(os.path.join(work, name), "wb") as stream:
                        stream.write(text)
                names = sorted(name for name in files if name != ROWS)
                words = [f"--directory={work}", HEAD, SIGNATURE, ROWS, f"--directory={self.generation.path}", *names, ROOTIMG]
                tar = ["tar", "--create", *KEPT, "--sort=name", "--one-file-system", "--file=-", *words]
                zstd = ["zstd", "--quiet", "--stdout", "--threads=0", f"-{self.params['level']}"]
                run_pipeline([Stage("tar", alone(*tar)), Stage("zstd", alone(*zstd))], part, limit=self.params["limit"], mend=ROOM)
            os.rename(part, dest)
            sync_directory(os.path.dirname(dest))
        finally:
            os.umask(umask)
            if os.path.lexists(part):
                os.unlink(part)


def _told(content: bytes) -> dict[str, Any]:
    return {"sha256": sha256(content).hexdigest(), "size": len(content)}


def _stock(directory: str, name: str) -> dict[str, Any]:
    with open(os.path.join(directory, name), "rb") as stream:
        return _told(stream.read())


def rows_of(site: Site, image: Image) -> bytes:
    """Return the rows of an image, those that hold for it named after it, and its lists."""
    document: dict[str, Any] = {
        name: [row for row in site.rows(name) if row.get("imagename") == image.name] for name in ("osimage", "linuximage")
    }
    for name in ("litefile", "litetree"):
        document[name] = [{**row, "image": image.name} for row in rows_for_image(site, name, image)]
    return (json.dumps({**document, "lists": lists_of(image)}, indent=1, sort_keys=True) + "\n").encode()


def _chosen(image: Image, number: int | None) -> Generation:
    found = current(image.rootimgdir)
    if number is not None:
        found = next((each for each in generations(image.rootimgdir) if each.number == number), None)
    if found is None or found.number is None:
        what = f"there is no generation {number}" if number is not None else "no generation is published"
        raise SiteError.of(f"image {image.name}, {image.rootimgdir}", what, "See generation_info for those there are")
    return found


def _reason(plan: Export) -> str:
    """Return why the bundle is to be written, empty when the one that is there holds the same."""
    dest = plan.params["dest"]
    if not os.path.lexists(dest):
        return "written"
    try:
        with opened(dest) as archive:
            there = read_head(archive, dest, list(plan.keys.accepted[:1]))
    except SiteError:
        return "replaced, it is no bundle signed with this site's key"
    same = there.document["files"] == plan.files() and there.document["id"] == plan.manifest.id
    return "" if same else "replaced, it holds something else"


def _faults(params: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong with the options themselves."""
    found = []
    if not os.path.isdir(os.path.dirname(params["dest"])):
        mend = "Make it, readable by root alone: a bundle holds password hashes"
        found.append(Fault(params["dest"], "its directory does not exist", mend))
    if not 1 <= params["level"] <= HIGHEST:
        found.append(Fault("option level", f"zstd has no level {params['level']} here", f"Use 1 to {HIGHEST}"))
    return found


def plan_export(params: Mapping[str, Any], _warn: Callable[[str], None]) -> Export:
    """Return the plan; raises SiteError when the site has no key, or the generation is not as it was signed."""
    with open_store(params["site"]) as store:
        site = Site(store.tables())
        keys = site_keys(store.directory)
    image = osimage(site, params["image"])
    faults = _faults(params)
    if keys is None:
        raise SiteError(Fault("the site", "has no key to sign images with", NO_KEY), *faults)
    raise_faults(faults)
    generation = _chosen(image, params["generation"])
    manifest = verify(generation, keys)
    if manifest is None:
        raise SiteError.of(generation.path, "the generation has no manifest", NO_KEY)
    plan = Export(image, generation, manifest, rows_of(site, image), keys, params, "")
    plan.reason = _reason(plan)
    return plan
