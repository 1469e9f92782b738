# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing itself: opaque work in a directory beside the generation, then one rename (architecture.md, executor build)."""

from __future__ import annotations

import calendar
import os
import stat
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..apply.commands import run_command
from ..apply.files import sync_directory, write_link
from ..apply.generations import Generation
from ..apply.lock import only_run
from ..apply.packs import OF_ONE_TREE, RAMDISK, STATELESS, Packed, packs, write_packs
from ..apply.pipelines import run_pipeline
from ..apply.removal import remove_tree
from ..apply.treelist import digest_of
from ..apply.withdrawn import now
from ..errors import SiteError
from ..image.exlist import Pattern
from ..lite.treeplan import JOURNAL, Wanted, plan_tree
from .formats import ARCHIVES, FILE_MARK, RAMDISK_MARK, Form
from .selection import Selection, select
from .staging import XATTR_ARCHIVE, Found, copy, look, remove, settle, stamp, unfit, with_attributes, with_lists

NEVER_PACKED = tuple(
    Pattern(text) for text in ("./.statelite*", "./.default*", "./.statebackup*", "./etc/init.d/statelite", "./etc/rc.sysinit.backup")
)
"""What a stateless node has no use for, whatever the image's list says (behaviour.md f.4)."""

ONE_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "statelite:packimage"))
"""Of every erofs: nobody looks for one by it, and a random one would make each pack another."""

OUTPUT = "packed"
MEND = "Read the lines above; what was packed before is untouched"


@dataclass(frozen=True)
class Order:
    """What is asked for: the form, what is left out, and after which moment no file is from."""

    image: str
    form: Form
    patterns: Sequence[Pattern]
    moment: int | None
    limit: float

    def inputs(self, tree: str) -> dict[str, Any]:
        """Return everything that decides what a pack holds, as its record has it; `tree` is the stamp of the tree."""
        lines = "".join(f"{'+' if pattern.included else '-'}{pattern.text}\n" for pattern in self.patterns)
        return {
            "tree": tree,
            "exclude": sha256(lines.encode("utf-8", "surrogateescape")).hexdigest() if lines else "",
            "method": self.form.method,
            "compress": self.form.compress,
            "level": self.form.level,
            "source_date_epoch": self.moment,
        }


@dataclass(frozen=True)
class Made:
    """A packed root that has no name yet, and what its record will say."""

    work: str
    form: Form
    record: Mapping[str, Any]
    started: float


def make(generation: Generation, kind: str, order: Order) -> Made:
    """Pack the tree of a generation beside it; `put` gives the file its place.

    Raises SiteError with the failed tool's last lines; nothing of what was there has changed then.
    """
    home = generation.path if generation.number is None else os.path.dirname(generation.path)
    work = os.path.join(home, f".{'plain' if generation.number is None else generation.number}.packing")
    started = time.monotonic()
    try:
        os.mkdir(work, 0o700)
        tree = os.path.join(work, "tree")
        taken = _take(generation, tree, order.limit)
        if kind == STATELESS:
            plan_tree(tree, Wanted(order.image, None)).apply()
            remove_tree(os.path.join(work, JOURNAL))
        found = look(tree)
        chosen = select(found.entries, (*(NEVER_PACKED if kind == STATELESS else ()), *order.patterns))
        remove(tree, chosen.gone)
        kept = Found({path: each for path, each in found.entries.items() if path not in set(chosen.gone)})
        moment = _moment(order, generation, kept)
        settle(tree, kept.entries, moment)
        attributed = with_attributes(tree, kept.entries)
        unfit(kept.entries, attributed, order.form.method, generation.rootimg, kind == RAMDISK)
        output = os.path.join(work, OUTPUT)
        _write(order, tree, output, kept, attributed, moment)
        record = {
            "method": order.form.method,
            "compress": order.form.compress,
            "packed": now(),
            "time": moment,
            "inputs": order.inputs(taken),
            **_counts(found, kept, chosen, attributed),
        }
        remove_tree(tree)
    except BaseException:
        remove_tree(work)
        raise
    return Made(work, order.form, record, started)


def _take(generation: Generation, tree: str, limit: float) -> str:
    """Copy the tree while no liteimg changes it and return its stamp; raises SiteError when somebody else did."""
    with only_run(os.path.join(generation.rootimgdir, JOURNAL, "lock"), generation.rootimgdir):
        before = stamp(generation.rootimg)
        copy(generation.rootimg, tree, limit)
        if stamp(generation.rootimg) != before:
            raise SiteError.of(generation.rootimg, "it was changed while it was read", "Run packimage again")
    return before


def _moment(order: Order, generation: Generation, kept: Found) -> int:
    """Return the latest time that a file may have: what is asked for, else when the image was built, else its newest file's."""
    if order.moment is not None:
        return order.moment
    built = generation.record().get("built")
    return calendar.timegm(time.strptime(built, "%Y-%m-%dT%H:%M:%SZ")) if built else kept.newest


def _counts(found: Found, kept: Found, chosen: Selection, attributed: Mapping[str, Sequence[str]]) -> dict[str, int]:
    return {
        "files": kept.files,
        "unpacked": kept.size,
        "excluded_files": chosen.files,
        "excluded_bytes": found.size - kept.size,
        "with_attributes": len(attributed),
    }


def _write(order: Order, tree: str, output: str, kept: Found, attributed: Mapping[str, Sequence[str]], moment: int) -> None:
    """Make the file by the format's own tools."""
    form = order.form
    environment = {"SOURCE_DATE_EPOCH": str(moment)}
    if form.method not in ARCHIVES:
        lists = with_lists(attributed) if form.method == "squashfs" else {}
        if lists:
            _apart(order, tree, kept, _ordered(kept, True), lists, moment)
        run_command(form.maker(tree, output, ONE_UUID), limit=order.limit, mend=MEND, environment=environment, name=form.tools[0])
        return
    # A directory comes after what is in it in a cpio, so that unpacking leaves it its own time; tar sees to that by itself.
    paths = _ordered(kept, form.method == "cpio")
    if form.method == "cpio" and attributed:
        paths = _apart(order, tree, kept, paths, attributed, moment)
    listing = f"{output}.list"
    with open(listing, "wb") as stream:
        stream.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
    stages = [form.packer(), form.compressor()]
    run_pipeline(stages, output, limit=order.limit, mend=MEND, source=listing, environment=environment, cwd=tree)


def _ordered(kept: Found, children_first: bool) -> list[str]:
    return sorted(kept.entries, key=lambda path: os.fsencode(path).split(b"/"), reverse=children_first)


def _apart(order: Order, tree: str, kept: Found, paths: Sequence[str], attributed: Mapping[str, Sequence[str]], moment: int) -> list[str]:
    """Put what has attributes that the format has no place for into a tar in the tree; return what a cpio takes itself.

    All names of a file go together. Directories are in both: the tar sets their attributes, and the times that unpacking changed.
    """
    inodes = {kept.entries[path].st_ino for path in attributed}
    special = [path for path in paths if kept.entries[path].st_ino in inodes]
    above = {path.rpartition("/")[0] for path in special} | {"."}
    listed = [path for path in reversed(paths) if path in above or path in set(special)]
    listing, archive = os.path.join(os.path.dirname(tree), "attributes.list"), os.path.join(tree, XATTR_ARCHIVE)
    with open(listing, "wb") as stream:
        stream.write(b"".join(os.fsencode(path) + b"\0" for path in listed))
    tar = Form("tar", "gzip").packer()
    apart = os.path.join(os.path.dirname(tree), "attributes.tar")
    run_pipeline([tar], apart, limit=order.limit, mend=MEND, source=listing, cwd=tree)
    os.chmod(apart, 0o600)
    os.utime(apart, (moment, moment))
    root = os.lstat(tree)
    os.rename(apart, archive)
    os.utime(tree, ns=(root.st_atime_ns, root.st_mtime_ns))
    left = [path for path in paths if path not in set(special) or stat.S_ISDIR(kept.entries[path].st_mode)]
    return [f"./{XATTR_ARCHIVE}", *left]


def file_name(generation: Generation, kind: str, form: Form, digest: str) -> str:
    """Return the name of a packed root: by its digest in a generation, by its form in a plain image directory (behaviour.md f.4)."""
    mark = RAMDISK_MARK if kind == RAMDISK else FILE_MARK
    if generation.number is not None:
        return f"{mark}-{digest[:12]}.{form.ending}"
    return "rootimg-statelite.gz" if kind == RAMDISK and form.ending == "cpio.gz" else f"{mark}.{form.ending}"


def put(generation: Generation, kind: str, made: Made) -> Packed:
    """Give the file its name, then write its record, then the link for people; a plain directory keeps one form of a kind."""
    output, form = os.path.join(made.work, OUTPUT), made.form
    digest = digest_of(output)
    with open(output, "rb") as stream:
        os.fsync(stream.fileno())
    name = file_name(generation, kind, form, digest)
    place = os.path.join(generation.path, name)
    os.chmod(output, 0o644)
    size = os.lstat(output).st_size
    os.rename(output, place)
    sync_directory(generation.path)
    said = f"sha256:{digest}"
    whole = {**made.record, "file": name, "digest": said, "size": size, "seconds": round(time.monotonic() - made.started, 1)}
    others = {other: one.record for other, one in packs(generation).items() if other != kind}
    write_packs(generation, {**others, kind: whole})
    if generation.number is not None:
        write_link(os.path.join(generation.path, f"{RAMDISK_MARK if kind == RAMDISK else FILE_MARK}.{form.ending}"), name)
    else:
        _drop_other_forms(generation, kind, name)
    remove_tree(made.work)
    return Packed(place, said, size, {**whole, "generation": generation.number})


def _drop_other_forms(generation: Generation, kind: str, kept: str) -> None:
    """Remove older packs of the kind from a plain image directory: nodeset would take the first of several (behaviour.md e.3)."""
    for name in os.listdir(generation.path):
        ours = OF_ONE_TREE.fullmatch(name) and name.startswith(RAMDISK_MARK) == (kind == RAMDISK)
        if ours and name not in (kept, "packed.json"):
            os.unlink(os.path.join(generation.path, name))
