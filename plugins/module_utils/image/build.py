# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build executor: opaque work in a staging directory, then one rename (architecture.md).

Killed anywhere before the rename, it leaves a staging directory that the next run removes, perhaps a tree of packages that the
next run does not start from (kept.py), and no mount and no process (mounts.py). Nothing of a generation that exists is touched,
so nodes that run from one go on.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..apply.generations import INITRD, KERNEL, ROOTIMG, Generation, next_number, staging
from ..apply.lock import only_run
from ..apply.removal import remove_tree
from ..apply.root import Root
from ..apply.treelist import digest_of
from ..errors import SiteError
from .changes import Changes
from .credentials import put_credentials
from .definition import Definition
from .description import files_of
from .identity import remove_identity
from .initramfs import available_drivers, build_initramfs, chosen_drivers, kernel_of, kernels, link_stateless, put_agent
from .inputs import Inputs
from .kept import copy_to, drop_kept, invalidate, kept_root, read_kept, record_kept, renew, why_from_nothing
from .mounts import beside_chroot
from .reuse import reuse_initramfs
from .tree import put

DEFINITION = "definition.json"
FORMAT = 1
"""Of the record; a reader refuses one that it does not know."""


def staging_left(rootimgdir: str) -> list[str]:
    """Return the staging directories that builds cut off before their rename have left."""
    directory = os.path.join(rootimgdir, "generations")
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(directory, name) for name in names if re.fullmatch(r"\.[1-9][0-9]*\.staging", name)]


@contextmanager
def only_build(image: str, rootimgdir: str) -> Iterator[None]:
    """Hold the directory of an image for one genimage, with nothing left in it of an interrupted one."""
    umask = os.umask(0o022)
    try:
        with only_run(os.path.join(rootimgdir, ".genimage.lock"), f"image {image}, {rootimgdir}"):
            for path in staging_left(rootimgdir):
                remove_tree(path)
            yield
    finally:
        os.umask(umask)


@dataclass(frozen=True)
class Way:
    """How an image is built: `full` from nothing in any case; `keeps` its tree of packages, from which the next build starts."""

    full: bool = False
    keeps: bool = True


@dataclass
class Packages:
    """How the packages came into the staging directory: `from_nothing` says why all anew, and is empty when they were kept ones.

    `changes` are what became of the tree of packages since the generation `last`.
    """

    warnings: list[str]
    from_nothing: str
    changes: Changes = field(default_factory=Changes)
    last: Generation | None = None


def build(definition: Definition, inputs: Inputs, limit: float, way: Way) -> Generation:
    """Build the next generation of the image and return it; raises SiteError with the failed tool's last lines.

    Whatever fails, the staging directory is removed and the generations there are stay as they were.
    """
    rootimgdir = definition.image.rootimgdir
    stage = staging(rootimgdir, next_number(rootimgdir))
    try:
        os.makedirs(stage)
        record = _fill(definition, inputs, stage, limit, way)
        generation = keep(rootimgdir, stage, record)
        if read_kept(rootimgdir) is not None:
            record_kept(rootimgdir, inputs.record, generation.number or 0)
        return generation
    except SiteError as error:
        try:
            remove_tree(stage)
        except SiteError as left:
            raise SiteError(*error.faults, *left.faults) from error
        raise
    except BaseException:
        remove_tree(stage)
        raise


def _packages(definition: Definition, inputs: Inputs, stage: str, way: Way) -> Packages:
    """Have the packages in `stage`: those of the last build, brought up to date, or all of them anew."""
    directory = definition.image.rootimgdir
    if not way.keeps or definition.steps > 1:
        reason = "its lists take several runs of the package manager" if way.keeps else "no tree of packages is to be kept"
        drop_kept(directory)
        os.makedirs(os.path.join(stage, ROOTIMG))
        return Packages(definition.installer.install(os.path.join(stage, ROOTIMG)), reason)
    reason = "it is asked for" if way.full else why_from_nothing(directory, inputs.record)
    found = None
    if not reason:
        kept = read_kept(directory) or {}
        last = Generation(directory, kept.get("generation") or None)
        invalidate(directory)
        try:
            warnings, changes = renew(definition, kept["inputs"]["pkglist"]["install"])
            found = Packages(warnings, "", changes, last if last.number else None)
        except SiteError as error:
            reason = f"{error.faults[0].where}: {error.faults[0].what}".splitlines()[0]
    if found is None:
        drop_kept(directory)
        os.makedirs(kept_root(directory))
        found = Packages(definition.installer.install(kept_root(directory)), reason)
    with Root(kept_root(directory)) as root:
        root.sync()
    record_kept(directory, inputs.record, 0)
    copy_to(directory, stage)
    return found


def _fill(definition: Definition, inputs: Inputs, stage: str, limit: float, way: Way) -> dict[str, Any]:
    """Make the root image, kernel and initramfs in `stage` and return their record."""
    image, started = definition.image, time.time()
    rootimg = os.path.join(stage, ROOTIMG)
    offered = _offered(definition)
    packages = _packages(definition, inputs, stage, way)
    installed_at = time.time()
    with Root(rootimg) as root:
        for file in inputs.overlay:
            put(root, file)
        put_agent(root, inputs.agent)
        put_credentials(root, inputs.credentials)
        version, kernel = kernel_of(kernels(root), image.column("kernelver"))
        _run_postinstall(definition, rootimg, version, limit)
        remove_identity(root, {file.path for file in inputs.credentials.files})
        write_file(os.path.join(stage, KERNEL), root.read(kernel) or b"")
        drivers = chosen_drivers(available_drivers(root, version), image.osarch, image.column("netdrivers"))
    prepared_at = time.time()
    made_anew = reuse_initramfs(definition, rootimg, version, inputs.record, packages.last, packages.changes, stage)
    if made_anew:
        os.rename(build_initramfs(rootimg, version, drivers, limit), os.path.join(stage, INITRD))
        os.chmod(os.path.join(stage, INITRD), 0o644)
    with Root(rootimg) as root:
        link_stateless(root, stage, image.provmethod)
    write_file(os.path.join(stage, DEFINITION), _defined(definition, inputs))
    record = {
        "format": FORMAT,
        "image": image.name,
        "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "seconds_of": {
            "packages": round(installed_at - started, 1),
            "files and scripts": round(prepared_at - installed_at, 1),
            "initramfs": round(time.time() - prepared_at, 1),
        },
        "from_nothing": packages.from_nothing,
        "initramfs_anew": made_anew,
        "kernel_version": version,
        "drivers": drivers,
        "packages": definition.installer.installed(rootimg),
        "packages_read": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "inputs": dict(inputs.record),
        "digests": {name: _digest(os.path.join(stage, name)) for name in (KERNEL, INITRD)},
    }
    warnings = {"warnings": packages.warnings} if packages.warnings else {}
    return {**record, **({"offered": offered} if offered else {}), **warnings}


def _defined(definition: Definition, inputs: Inputs) -> bytes:
    """Return the image's row, the text of every list, and digests of scripts, keys and environment, which nodes need not read."""
    row = {name: value for name, value in sorted(definition.image.row.items()) if name != "environvar"}
    others = definition.others
    lists = {*definition.packages.files, *others.packages.files, others.repolist} & set(files_of(definition))
    texts = {path: (read_bytes(path) or b"").decode("utf-8", "surrogateescape") for path in lists}
    digests = {path: _digest(path) for path in files_of(definition) if path not in lists}
    document = {"format": FORMAT, "image": definition.image.name, "row": row, "lists": texts, "files": digests}
    return (json.dumps({**document, "environment": inputs.record["environment"]}, indent=1, sort_keys=True) + "\n").encode()


def _offered(definition: Definition) -> dict[str, str]:
    """Return what the repositories offer for an image that several runs fill: what one run would give may differ from what they
    leave, so that a later look at the repositories is compared with this one. None where one run can't say.
    """
    if definition.steps < 2:
        return {}
    try:
        return definition.installer.candidates()
    except SiteError:
        return {}


def _run_postinstall(definition: Definition, rootimg: str, version: str, limit: float) -> None:
    """Run the image's own scripts here, beside the image, with the document's arguments and environment (behaviour.md f.2)."""
    image = definition.image
    environment = {
        **definition.environment,
        "IMG_NAME": image.name,
        "IMG_ARCH": image.osarch,
        "IMG_OSVER": image.osvers,
        "IMG_KERNELVERSION": version,
        "IMG_PROFILE": image.profile,
        "IMG_PKGLIST": ",".join(definition.packages.files),
        "IMG_PKGDIR": image.column("pkgdir"),
        "IMG_OTHERPKGLIST": image.column("otherpkglist"),
        "IMG_OTHERPKGDIR": image.column("otherpkgdir"),
        "IMG_ROOTIMGDIR": rootimg,
    }
    for script, *words in definition.postinstall:
        command = beside_chroot(rootimg, script, rootimg, image.osvers, image.osarch, image.profile, *words)
        mend = f"Mend the postinstall script {script}: the last good image is untouched"
        run_command(command, limit=limit, mend=mend, environment=environment, name=script)


def keep(rootimgdir: str, stage: str, record: dict[str, Any]) -> Generation:
    """Turn the finished staging directory into a generation by one rename, under the next number that is free."""
    while True:
        generation = Generation(rootimgdir, next_number(rootimgdir))
        Generation(stage, None).write_record({**record, "generation": generation.number})
        with Root(stage) as root:
            root.sync()
        try:
            os.rename(stage, generation.path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            continue
        with Root(os.path.dirname(generation.path)) as root:
            root.sync()
        return generation


def _digest(path: str) -> str:
    return f"sha256:{digest_of(os.path.realpath(path))}"
