# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb packimage: the root tree of an image becomes one file that nodes fetch and keep in memory."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.generations import Generation, current, latest, publish
from ..apply.lock import only_run
from ..apply.manifest import amend, amendment_due, amendments, begin_amendment
from ..apply.packs import OF_ONE_TREE, RAMDISK, STATELESS, Packed, packs
from ..apply.removal import remove_tree
from ..apply.signing import Keys, site_keys
from ..errors import Fault, SiteError, raise_faults
from ..image.definition import parse_environment
from ..image.exlist import Pattern
from ..image.packages import read_exlist
from ..lite.layout import read_layout
from ..lite.treeplan import EDIT, JOURNAL
from ..nodes.images import Image, osimage
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .formats import COMPRESSIONS, METHODS, PACKAGES, Form, default_compression
from .making import Order, make, put
from .staging import stamp

VERB = "packimage"
TABLES = ("osimage", "linuximage", "site")
PROVMETHODS = ("netboot", "statelite")
CUT_OFF = ("journal", EDIT)
"""In the directory beside a tree, while it is changed in place: of liteimg, and of the edits of an image."""

FOREIGN_LAYOUT = ".statelite/litefile.save"
HIGHEST = {"gzip": 9, "pigz": 9, "xz": 9, "zstd": 22, "lz4hc": 12, "lzo": 9}
"""The levels from 1 on that a compression has."""

SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "site": {"type": "str", "default": DEFAULT_SITE},
    "method": {"type": "str", "choices": list(METHODS), "default": "cpio"},
    "compress": {"type": "str", "choices": sorted({name for names in COMPRESSIONS.values() for name in names})},
    "level": {"type": "int"},
    "source_date_epoch": {"type": "int"},
    "force": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 3600},
}
"""Options of the module packimage."""


@dataclass
class Packimage:
    """The plan. `reasons` are why the tree is packed: none means that what is there is what it would give."""

    image: Image
    generation: Generation
    kind: str
    order: Order
    packed: Packed | None
    reasons: Sequence[str]
    lines_of_leftovers: Sequence[str] = ()
    keys: Keys | None = field(default=None, repr=False)
    seconds: float = 0
    superseded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publishes = self.image.provmethod == "netboot" and self.generation.number is not None
        self.publishes = self.publishes and current(self.generation.rootimgdir) != self.generation
        self.superseded = superseded(self.generation, self.packed.file if self.packed else "")
        self.unsealed = amendment_due(self.generation) == VERB

    @property
    def called(self) -> str:
        """How lines name what is packed."""
        number = self.generation.number
        return f"{self.image.name}: " + ("the plain root image" if number is None else f"generation {number}")

    def lines(self) -> list[str]:
        """Return what would be done and why."""
        lines = list(self.lines_of_leftovers)
        if self.reasons:
            form = self.order.form
            lines.append(f"{self.called}: pack as {form.method} by {form.compress}, {self.kind}")
            lines += [f"{self.called}: {reason}" for reason in self.reasons]
        elif self.unsealed:
            lines.append(f"{self.called}: finish its manifest")
        return [*lines, f"{self.image.name}: publish generation {self.generation.number}"] if self.publishes else lines

    def apply(self) -> None:
        """Pack and publish what is due; one run at a time on one image directory."""
        directory = self.generation.rootimgdir
        umask = os.umask(0o022)
        try:
            with only_run(os.path.join(directory, ".packimage.lock"), f"image {self.image.name}, {directory}"):
                for path in left_over(directory):
                    remove_tree(path)
                if self.reasons:
                    self._pack()
                if self.unsealed:
                    amend(self.generation, self.keys, VERB)
                if self.publishes:
                    publish(self.generation, self.keys)
        finally:
            os.umask(umask)

    def _pack(self) -> None:
        """Pack; a generation that has its manifest already gets another one, which names the new file."""
        made = make(self.generation, self.kind, self.order)
        if self.generation.number is not None and amendments(self.generation.path) is not None:
            begin_amendment(self.generation, VERB)
            self.unsealed = True
        self.packed = put(self.generation, self.kind, made)
        self.seconds = self.packed.record["seconds"]
        self.superseded = superseded(self.generation, self.packed.file)

    def result(self) -> dict[str, Any]:
        """Return what the image is packed to (in check mode: what it was before) and why it is packed again."""
        record = self.packed.record if self.packed else {}
        return {
            "image": self.image.name,
            "kind": self.kind,
            "generation": self.generation.number,
            "file": self.packed.file if self.packed else None,
            "digest": self.packed.digest if self.packed else None,
            "size": self.packed.size if self.packed else None,
            "method": record.get("method"),
            "compress": record.get("compress"),
            "files": record.get("files"),
            "unpacked": record.get("unpacked"),
            "excluded_files": record.get("excluded_files"),
            "excluded_bytes": record.get("excluded_bytes"),
            "with_attributes": record.get("with_attributes"),
            "superseded": self.superseded,
            "changed_inputs": list(self.reasons),
            "seconds": self.seconds,
        }


def left_over(rootimgdir: str) -> list[str]:
    """Return the directories in which killed runs were at work."""
    found = []
    for directory in (rootimgdir, os.path.join(rootimgdir, "generations")):
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        found += [os.path.join(directory, name) for name in names if re.fullmatch(r"\.([0-9]+|plain)\.packing", name)]
    return found


def superseded(generation: Generation, file: str) -> list[str]:
    """Return packed roots of the generation that its record names no more; nodes with an older boot file may still fetch them."""
    if generation.number is None or not os.path.isdir(generation.path):
        return []
    named = {one.file for one in packs(generation).values()} | {file}
    names = sorted(name for name in os.listdir(generation.path) if OF_ONE_TREE.fullmatch(name) and "-" in name)
    return [path for path in (os.path.join(generation.path, name) for name in names) if path not in named]


def why(packed: Packed | None, inputs: Mapping[str, Any]) -> list[str]:
    """Return in words why what is packed is not what `inputs` would give; empty when it is."""
    if packed is None:
        return ["it is not packed yet"]
    old = packed.record.get("inputs", {})
    words = {"tree": "the tree has changed", "exclude": "the exclude list has changed"}
    return [words.get(name, f"{name}: {old.get(name)} -> {inputs[name]}") for name in sorted(inputs) if old.get(name) != inputs[name]]


def form_of(params: Mapping[str, Any]) -> tuple[Form, list[Fault]]:
    """Return the form that the options ask for, and what is wrong with it or missing for it on this machine."""
    method = params["method"]
    there = [program for program in PACKAGES if shutil.which(program)]
    compress = params["compress"] or default_compression(method, there)
    form = Form(method, compress, params["level"])
    faults = []
    if compress not in COMPRESSIONS[method]:
        mend = f"Use {', '.join(COMPRESSIONS[method])}"
        return form, [Fault("option compress", f"{method} is not packed by {compress}", mend)]
    highest = HIGHEST.get(compress, 0) if method != "squashfs" or compress in ("zstd", "gzip", "lzo") else 0
    if form.level is not None and not 1 <= form.level <= highest:
        mend = f"Use 1 to {highest}" if highest else "Leave level out"
        faults.append(Fault("option level", f"{compress} has no level {form.level} in {method}", mend))
    faults += [
        Fault(f"program {name}", "is not installed", f"Install the package {PACKAGES[name]}") for name in form.tools if name not in there
    ]
    return form, faults


def _tree_faults(image: Image, generation: Generation | None, kind: str) -> list[Fault]:
    """Return why there is no tree to pack."""
    where = f"osimage {image.name}"
    if generation is None or not os.path.isdir(generation.rootimg) or os.path.islink(generation.rootimg):
        return [Fault(where, f"there is no root image in {image.rootimgdir}", "Run genimage for this image")]
    if kind == RAMDISK and read_layout(generation.rootimg) is None:
        return [Fault(where, f"{generation.rootimg} is not laid out for litefile", "Run liteimg for this image")]
    if os.path.lexists(os.path.join(generation.rootimg, FOREIGN_LAYOUT)) and read_layout(generation.rootimg) is None:
        what = "is laid out by the original's liteimg, which nobody here can take back"
        return [Fault(generation.rootimg, what, "Build it with genimage, or name an image that is not laid out")]
    if any(os.path.lexists(os.path.join(generation.path, JOURNAL, name)) for name in CUT_OFF):
        what = "is being changed, or was when a run of liteimg, image_exec or image_packages was cut off"
        return [Fault(generation.rootimg, what, "Run the same again, which finishes it; then packimage")]
    return []


def plan_packimage(site: Site, params: Mapping[str, Any], environment: Mapping[str, str], keys: Keys | None = None) -> Packimage:
    """Return the plan for one image; raises SiteError with every fault of its rows, lists, options and of this machine.

    `environment` is this process's: SOURCE_DATE_EPOCH is taken from it when no option says it. `keys` are the site's.
    """
    image = osimage(site, params["image"])
    where = f"table osimage, imagename {image.name}"
    form, faults = form_of(params)
    if image.provmethod not in PROVMETHODS:
        written = f"'{image.provmethod}' is not a diskless image" if image.provmethod else "is not set"
        faults.append(Fault(f"{where}, column provmethod", written, f"Set it to {' or '.join(PROVMETHODS)}"))
    kind = RAMDISK if image.provmethod == "statelite" and image.column("rootfstype") == "ramdisk" else STATELESS
    variables, wrong = parse_environment(image.column("environvar"), f"{where}, column environvar")
    faults += wrong
    patterns: Sequence[Pattern] = ()
    try:
        patterns = read_exlist(image, variables)
    except SiteError as error:
        faults += error.faults
    moment = params["source_date_epoch"]
    written = environment.get("SOURCE_DATE_EPOCH", "")
    if moment is None and written:
        if re.fullmatch(r"[0-9]{1,10}", written):
            moment = int(written)
        else:
            faults.append(Fault("environment SOURCE_DATE_EPOCH", f"'{written}' is no number of seconds", "Correct it or leave it out"))
    generation = latest(image.rootimgdir)
    if not faults:
        faults += _tree_faults(image, generation, kind)
    raise_faults(dict.fromkeys(faults))
    if generation is None:
        raise SiteError.of(where, "has no generation", "Run genimage for this image")
    packed = packs(generation).get(kind)
    order = Order(image.name, form, tuple(patterns), moment, params["limit"])
    reasons = ["a pack is asked for"] if params["force"] else why(packed, order.inputs(stamp(generation.rootimg)))
    leftovers = [f"{image.name}: remove {path}, which an interrupted run left" for path in left_over(image.rootimgdir)]
    return Packimage(image, generation, kind, order, packed, reasons, leftovers, keys)


def read_and_plan(params: Mapping[str, Any], _warn: Callable[[str], None]) -> Packimage:
    """Read the site's rows and return the plan for the image that the options name."""
    with open_store(params["site"]) as store:
        site = Site(store.tables(TABLES))
        keys = site_keys(store.directory)
    return plan_packimage(site, params, os.environ, keys)
