# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that builds an image on a host without Ansible, without the collection and without the site's database.

    ./genimage -a x86_64 -o rocky9.4 -p compute ... --rootimgdir /install/netboot/rocky9.4/x86_64/compute IMAGE

It is the command that genimage's dry run gives. IMAGE.json beside the program describes the image; what the command says besides
counts more. It ends with 0 when the image is as it should be, with 1 and every fault on stderr when not, with 2 for a wrong option.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from typing import Any, TextIO

from ..apply.files import read_bytes, write_file
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image
from .build_host import read_host
from .definition import parse_environment
from .description import Description, from_json
from .dryrun import OPTIONS, description_name
from .genimage import SPEC, Genimage, plan_genimage
from .listfile import split_column
from .packages import default_otherpkgdir, default_pkgdir
from .sending import send, take_stock
from .tree import TreeFile

LENT = ".statelite-lent"
"""After the name of a file: the mark of one that stands in its place for the time of a build."""

ANEW = "Take the command and the description anew on the management node"


def tell(line: str, stream: TextIO | None = None) -> None:
    """Write a line at once, to standard output unless said otherwise."""
    out = stream or sys.stdout
    out.write(f"{line}\n")
    out.flush()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(prog="genimage", description="Build a root image as its description and these options say.")
    found.add_argument("image", help="name of the osimage; its description is IMAGE.json beside this program")
    for option, column in OPTIONS.items():
        found.add_argument(option, dest=column, metavar=column.upper(), help=f"{column} of the image")
    found.add_argument("--data", metavar="FILE", help="the description of the image")
    found.add_argument("--tempfile", metavar="FILE", help="where to write what was made, as JSON")
    found.add_argument("--force", action="store_true", help="build even though nothing has changed")
    found.add_argument("--check", action="store_true", help="say what is wrong or would be done, and build nothing")
    found.add_argument("--send", type=int, metavar="GENERATION", help="write a generation to stdout as an archive, and do nothing else")
    return found


def with_values(asked: str, described: str) -> str:
    """Return the variables that the command asks for; one that it only names has the value that the description has."""
    known = parse_environment(described, "")[0]
    return ",".join(f"{item}={known[item]}" if item in known else item for item in split_column(asked))


def changed_columns(description: Description, asked: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns that the command line gives another value; a default written out is none."""
    image = Image(description.image, description.row, description.installdir)
    defaults = {"pkgdir": default_pkgdir(image), "otherpkgdir": default_otherpkgdir(image), "permission": image.permission}
    given = {column: asked[column] for column in OPTIONS.values() if asked.get(column) is not None}
    if "environvar" in given:
        given["environvar"] = with_values(given["environvar"], image.column("environvar"))
    return {column: value for column, value in given.items() if value != (image.column(column) or defaults.get(column, ""))}


def _mark(path: str) -> str:
    return f"{path}{LENT}"


def _left(path: str) -> bool:
    """Tell whether a file is one that a build lent which was killed: its mark has its digest."""
    there, mark = read_bytes(path), read_bytes(_mark(path))
    return there is not None and mark is not None and mark.decode("ascii", "replace") == sha256(there).hexdigest()


def lent_faults(files: Sequence[TreeFile]) -> list[Fault]:
    """Return a fault for each file of the description in whose place this host has another one."""
    found = []
    for file in files:
        there = read_bytes(file.path)
        if there is not None and there != file.content and not _left(file.path):
            mend = f"{ANEW} if it has changed there; else move the file of this host away"
            found.append(Fault(file.path, "is not the file that the image was described with", mend))
    return found


@contextmanager
def lent(files: Sequence[TreeFile]) -> Iterator[None]:
    """Have the files of the description at their own places as long as the body runs; what is there already stays.

    A mark beside each tells what a build that was killed has left; the next one takes it over, and away.
    """
    put: list[str] = []
    try:
        for file in files:
            if _left(file.path):
                os.unlink(file.path)
            if not os.path.lexists(file.path):
                os.makedirs(os.path.dirname(file.path), exist_ok=True)
                put.append(file.path)
                write_file(_mark(file.path), sha256(file.content).hexdigest().encode(), 0o600)
                write_file(file.path, file.content, file.mode)
        yield
    finally:
        for path in put:
            for name in (path, _mark(path)):
                if os.path.lexists(name):
                    os.unlink(name)


def missing_directories(description: Description, changed: Mapping[str, str]) -> list[Fault]:
    """Return a fault for each directory of packages that is not on this host, unless the command names others."""
    if {"pkgdir", "otherpkgdir"} & set(changed):
        return []
    mend = "Mount it from the management node (mount -o soft,ro MANAGEMENT_NODE:DIRECTORY DIRECTORY), or copy it there"
    return [Fault(path, "is not a directory of this host", mend) for path in description.directories if not os.path.isdir(path)]


def read_description(path: str) -> Description:
    """Return the description in a file; raises SiteError when there is none."""
    content = read_bytes(path)
    if content is None:
        raise SiteError.of(path, "does not exist", "Copy it from the management node's directory of the builder, or name it by --data")
    return from_json(content, path)


def plan(description: Description, asked: Mapping[str, Any]) -> Genimage:
    """Return genimage's plan for the description as the command line changes it."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    params.update(description.options, image=description.image, force=asked["force"])
    site = description.site(changed_columns(description, asked))
    return plan_genimage(site, params, lambda text: tell(f"warning: {text}", sys.stderr), description.given)


def run(asked: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """Carry the command out and return what was made; raises SiteError with every fault.

    `directory` is where descriptions lie that the command does not name.
    """
    path = asked["data"] or os.path.join(directory, description_name(asked["image"]))
    description = read_description(path)
    if description.image != asked["image"]:
        raise SiteError.of(path, f"describes the image {description.image}", f"Give the description of {asked['image']}")
    faults = lent_faults(description.files) + missing_directories(description, changed_columns(description, asked))
    if os.geteuid() != 0:
        faults.append(Fault("genimage", "is not run by root, who alone can fill a root image", "Run it as root"))
    raise_faults(faults)
    with lent(description.files):
        due = plan(description, asked)
        lines = due.lines()
        for line in lines:
            tell(line)
        if lines and not asked["check"]:
            due.apply()
        result = due.result()
    generation = due.newest
    contents = asdict(take_stock(generation)) if generation and asked["tempfile"] and not asked["check"] else None
    where = {"host": os.uname().nodename, "system": read_host().get("PRETTY_NAME", "")}
    rootimgdir = due.definition.image.rootimgdir
    return {**result, "changed": bool(lines), "contents": contents, "rootimgdir": rootimgdir, **where}


def refuse(faults: Sequence[Fault]) -> int:
    """Tell every fault, and return the exit status for it."""
    for fault in faults:
        tell(f"error: {fault}", sys.stderr)
    return 1


def main() -> int:
    """Run the program; its directory is that of the archive it is in."""
    asked = vars(parser().parse_args())
    directory = os.path.dirname(os.path.realpath(sys.argv[0]))
    try:
        if asked["send"] is not None:
            return send(asked["rootimgdir"] or "", asked["send"])
        result = run(asked, directory)
        if asked["tempfile"]:
            write_file(asked["tempfile"], (json.dumps(result, indent=1, sort_keys=True) + "\n").encode(), 0o600)
    except SiteError as error:
        return refuse(error.faults)
    except OSError as error:
        mend = "See whether it is there, who may use it and whether there is room, then run again"
        return refuse([Fault(str(error.filename or "this host"), error.strerror or str(error), mend)])
    if not result["changed"]:
        tell(f"{result['image']}: generation {result['generation']} is as it should be")
    return 0
