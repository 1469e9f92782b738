# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_exec: run a command in a root image (the statelite document 2.9: chroot to make additional changes)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..apply.commands import run_command
from ..apply.root import Root
from ..apply.signing import site_keys
from ..apply.withdrawn import now
from ..errors import Fault, SiteError, raise_faults
from ..image.mounts import in_chroot, reading_chroot
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .guard import ENVIRONMENT
from .notes import Edit, edits_in
from .stage import Edited, edited

TABLES = ("osimage", "linuximage", "litefile", "site", "nodetype", "nodelist", "nodegroup")
SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "site": {"type": "str", "default": DEFAULT_SITE},
    "command": {"type": "str"},
    "argv": {"type": "list", "elements": "str"},
    "script": {"type": "str"},
    "chdir": {"type": "str", "default": "/"},
    "environment": {"type": "dict", "default": {}},
    "creates": {"type": "str"},
    "removes": {"type": "str"},
    "unless": {"type": "str"},
    "again": {"type": "bool", "default": False},
    "read_only": {"type": "bool", "default": False},
    "in_place": {"type": "bool", "default": False},
    "keep_identity": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 600},
}
"""Options of the module image_exec."""

ONE_OF = ("command", "argv", "script")
VERB = "image_exec"
SHOWN = 120
RUN = """
cd -- "$1" || exit 127
shift
exec "$@"
"""
SCRIPT = """
(umask 077 && cat > /run/statelite-script) && chmod 700 /run/statelite-script || exit
exec /run/statelite-script < /dev/null
"""
"""A script stands on the image's volatile /run; its first line says what runs it. It comes by standard input: what it holds is no
business of whoever looks at the processes, and a command line has a length.
"""


@dataclass(frozen=True)
class Command:
    """What is to run: words, where, in which environment, the seconds that it may take, and a script that the words run."""

    words: Sequence[str]
    shown: str
    chdir: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: float = 600
    script: str | None = None

    @property
    def digest(self) -> str:
        """The same for commands that are the same to an image."""
        words = [*self.words, *([] if self.script is None else [self.script])]
        text = json.dumps([words, self.chdir, dict(sorted(self.environment.items()))])
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def run(self, chroot: Callable[..., list[str]], rootimg: str) -> str:
        """Run it in a tree and return what it wrote; raises SiteError with its last lines when it fails."""
        arguments = chroot(rootimg, "sh", "-c", RUN, "sh", self.chdir, *self.words)
        environment = {**ENVIRONMENT, **self.environment}
        mend = "Mend the command: the image is as it was"
        stdin = None if self.script is None else self.script.encode("utf-8", "surrogateescape")
        return run_command(arguments, limit=self.limit, mend=mend, environment=environment, name=self.shown, stdin=stdin)


def command_of(params: Mapping[str, Any]) -> Command:
    """Return what the options ask to run; raises SiteError with every fault of them."""
    faults: list[Fault] = []
    words: list[str] = []
    shown, text = "", None
    if params["script"] is not None:
        text = params["script"] if params["script"].startswith("#!") else f"#!/bin/sh\nset -e\n{params['script']}"
        words, shown = ["sh", "-c", SCRIPT], "script"
        if not params["script"].strip():
            faults.append(Fault("option script", "is empty", "Write the script"))
    elif params["argv"] is not None:
        words = list(params["argv"])
        shown = shlex.join(words)
    elif params["command"] is not None:
        try:
            words = shlex.split(params["command"])
        except ValueError as error:
            faults.append(Fault("option command", f"cannot be split into words ({error})", "Close the quotes, or use script"))
        shown = params["command"]
    if not faults and not words:
        faults.append(Fault("options command, argv and script", "none of them says what to run", "Give one of them"))
    for option in ("chdir", "creates", "removes"):
        if params[option] is not None and not params[option].startswith("/"):
            faults.append(Fault(f"option {option}", f"'{params[option]}' is no path in the image", "Begin it with /"))
    for name in params["environment"]:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            faults.append(Fault("option environment", f"'{name}' is no name of a variable", "Use letters, digits and _"))
    raise_faults(faults)
    environment = {name: str(value) for name, value in params["environment"].items()}
    told = " ".join(shown.split())
    short = told if len(told) <= SHOWN else f"{told[: SHOWN - 3]}..."
    return Command(words, short, params["chdir"], environment, params["limit"], text)


@dataclass
class ImageExec:
    """The plan: the image as it is edited, the command, and why it need not run ('' when it must)."""

    image: Edited
    command: Command
    why_not: str
    written: str | None = None

    def lines(self) -> list[str]:
        """Return what will be done."""
        left = self.image.left()
        return left if self.why_not else [*left, *self.image.lines(), f"{self.image.image.name}: run {self.command.shown}"]

    def apply(self) -> None:
        """Run the command in a copy of the tree and make that count."""
        if self.why_not:
            self.image.mend()
            return

        def work(rootimg: str) -> None:
            self.written = self.command.run(in_chroot, rootimg)

        self.image.carry_out(work, Edit(VERB, now(), self.command.digest))

    def result(self) -> dict[str, Any]:
        """Return the module's values."""
        values = self.image.unchanged() if self.why_not else self.image.result()
        return {**values, **output(self.written), "skipped_because": self.why_not}


def output(written: str | None) -> dict[str, Any]:
    """Return what a command wrote as values; nothing when it did not run."""
    if written is None:
        return {}
    text = written.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\n")
    return {"stdout": text, "stdout_lines": text.split("\n") if text else []}


@dataclass
class Reading:
    """A command that changes nothing: it ran while the plan was made."""

    image: Edited
    written: str

    def lines(self) -> list[str]:
        """Return no change."""
        return []

    def apply(self) -> None:
        """Do nothing."""

    def result(self) -> dict[str, Any]:
        """Return what the command said."""
        return {**self.image.unchanged(), **output(self.written), "skipped_because": ""}


def why_not(rootimg: str, command: Command, params: Mapping[str, Any]) -> str:
    """Return why the command need not run on the tree as it is, '' when it must. Runs `unless`, which can change nothing."""
    with Root(rootimg) as root:
        if params["creates"] is not None and root.lstat(root.resolve(params["creates"])) is not None:
            return f"{params['creates']} exists"
        if params["removes"] is not None and root.lstat(root.resolve(params["removes"])) is None:
            return f"{params['removes']} does not exist"
        noted = any(edit.verb == VERB and edit.digest == command.digest for edit in edits_in(root))
    if params["unless"] is not None:
        return f"'{params['unless']}' succeeds" if _succeeds(rootimg, params["unless"], command) else ""
    if params["creates"] is None and params["removes"] is None and noted and not params["again"]:
        return "it was run in this image before"
    return ""


def _succeeds(rootimg: str, condition: str, command: Command) -> bool:
    """Run `unless` and return whether it ended well; raises SiteError when it can't be run or does not end."""
    asked = Command(
        ["sh", "-c", f'( {condition}\n)\necho "statelite-status $?"'], "unless", command.chdir, command.environment, command.limit
    )
    said = re.search(r"statelite-status ([0-9]+)\s*\Z", asked.run(reading_chroot, rootimg))
    if not said:
        raise SiteError.of("option unless", "was cut off", "Mend the command")
    return said.group(1) == "0"


def read_and_plan(params: Mapping[str, Any], warn: Callable[[str], None]) -> ImageExec | Reading:
    """Read the site's rows and the image, and return the plan."""
    command = command_of(params)
    with open_store(params["site"]) as store:
        site, keys = Site(store.tables(TABLES)), site_keys(store.directory)
    image = edited(site, params["image"], params["in_place"], params["keep_identity"], keys)
    if params["read_only"]:
        return Reading(image, command.run(reading_chroot, image.base.rootimg))
    if image.begun() == command.digest and not params["again"]:
        return ImageExec(image, command, "it was run before and cut off while its changes were carried")
    reason = why_not(image.base.rootimg, command, params)
    mark = None if reason or params["again"] else image.held(VERB, command.digest)
    if mark is not None:
        warn(f"image {image.image.name}: {mark.words()}. The command was run in it, so it is not run in another generation")
    return ImageExec(image, command, mark.words() if mark is not None else reason)
