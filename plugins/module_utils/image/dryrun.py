# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""genimage --dryrun: the command that builds an image on another host, with every value filled in (the document on stateless images).

Nothing is written, and nothing is asked of this machine: neither its architecture nor its release nor its programs count.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.generations import Generation
from ..nodes.images import Image
from ..nodes.site import Site
from .build_host import release, system_of_image
from .definition import Definition
from .description import directories_of, files_of
from .genimage import defined, held_by, newest_generation, why
from .packages import default_otherpkgdir, default_pkgdir, postinstall_of
from .systems import version

BUILDER = "/usr/lib/statelite/netboot"
"""Directory of the builder and of the descriptions of images, here and on the host that builds."""

PROGRAM = "genimage"
OPTIONS: Mapping[str, str] = {
    "-a": "osarch",
    "-o": "osvers",
    "-p": "profile",
    "-n": "netdrivers",
    "-i": "nodebootif",
    "-r": "otherifce",
    "-k": "kernelver",
    "-g": "krpmver",
    "-m": "provmethod",
    "--permission": "permission",
    "--env": "environvar",
    "--srcdir": "pkgdir",
    "--pkglist": "pkglist",
    "--otherpkgdir": "otherpkgdir",
    "--otherpkglist": "otherpkglist",
    "--postinstall": "postinstall",
    "--rootimgdir": "rootimgdir",
}
"""Options of the command and the columns that they carry, in the original's order (behaviour.md f.1)."""


def report_name(image: str) -> str:
    """Return the name of the file in which the builder tells what it made, beside the builder."""
    return f"{image}.report.json"


def description_name(image: str) -> str:
    """Return the name of the file that describes an image, beside the builder."""
    return f"{image}.json"


def values(definition: Definition) -> dict[str, str]:
    """Return every column that the command carries; a default is written out. Of variables only the names: everybody sees a command."""
    image: Image = definition.image
    found = {column: image.column(column) for column in OPTIONS.values()}
    found["provmethod"] = image.provmethod if image.provmethod == "statelite" else ""
    found["permission"] = image.permission
    found["environvar"] = ",".join(definition.environment)
    found["pkgdir"] = found["pkgdir"] or default_pkgdir(image)
    found["pkglist"] = found["pkglist"] or definition.packages.files[0]
    found["otherpkgdir"] = found["otherpkgdir"] or default_otherpkgdir(image)
    if definition.others.packages.files:
        found["otherpkglist"] = found["otherpkglist"] or definition.others.packages.files[0]
    found["postinstall"] = found["postinstall"] or postinstall_of(image)
    found["rootimgdir"] = image.rootimgdir
    return found


def arguments(definition: Definition) -> list[str]:
    """Return the command's words, the program first."""
    words, found = [f"./{PROGRAM}"], values(definition)
    for option, column in OPTIONS.items():
        words += [option, found[column]] if found[column] else []
    return [*words, "--tempfile", report_name(definition.image.name), definition.image.name]


@dataclass(frozen=True)
class DryRun:
    """The answer. It has no lines: nothing is ever done here."""

    definition: Definition
    newest: Generation | None
    reasons: Sequence[str]
    builder: str

    def lines(self) -> list[str]:
        """Return nothing: a dry run changes nothing."""
        return []

    def apply(self) -> None:
        """Do nothing."""

    def result(self) -> dict[str, Any]:
        """Return the command as text and as words, what it needs, and whether the image is due at all."""
        image, words = self.definition.image, arguments(self.definition)
        system = system_of_image(image.osvers)
        command = f"cd {shlex.quote(self.builder)}; {shlex.join(words)}"
        return {
            "image": image.name,
            "provmethod": image.provmethod,
            "generation": self.newest.number if self.newest else None,
            "due": bool(self.reasons),
            "changed_inputs": list(self.reasons),
            "command": command,
            "argv": words,
            "chdir": self.builder,
            "text": f"Generating image:\ncd {shlex.quote(self.builder)};\n{shlex.join(words)}\n",
            "rootimgdir": image.rootimgdir,
            "osarch": image.osarch,
            "release": f"{system} {release(system, version(image.osvers))}" if system else "",
            "directories": directories_of(self.definition),
            "files": files_of(self.definition),
            "programs": [{"program": program, "package": package} for program, package in self.definition.installer.programs()],
        }


def plan_dryrun(site: Site, params: Mapping[str, Any]) -> DryRun:
    """Return the command for the image that the options name; raises SiteError with every fault of its definition."""
    definition, inputs = defined(site, params, here=False)
    newest = newest_generation(definition.image.rootimgdir)
    reasons = ["a build is asked for"] if params["force"] else why(inputs, newest)
    if newest is not None and not params["force"] and held_by(definition.image.rootimgdir, inputs, None):
        reasons = []
    return DryRun(definition, newest, reasons, params["builder"].rstrip("/") or "/")
