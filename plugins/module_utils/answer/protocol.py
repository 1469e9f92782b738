# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers in the XML form that booting nodes of the original speak (behaviour.md g.1).

One `<xcatresponse>` document for each line of an answer, then one with `<serverdone>`; an answer is sent whole.
UTF-8 is kept (the original turned everything outside ASCII into `?`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

END = b"</xcatrequest>"
ELEMENTS = 10_000
"""Tags that a request may have: each costs more memory than it is long."""
FOREIGN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
INFO, DATA = "info", "data"
OPTION_WIDTH = 13


class BadRequestError(Exception):
    """What came is no request; the text says why."""


@dataclass(frozen=True)
class Request:
    """One request: the command, its arguments in order, and the noderange when one was given."""

    command: str
    arguments: tuple[str, ...] = ()
    noderange: str = ""

    def named(self, name: str) -> str:
        """Return the value of the argument `name=value`, empty when there is none."""
        return next((argument[len(name) + 1 :] for argument in self.arguments if argument.startswith(name + "=")), "")


def parse(content: bytes) -> Request:
    """Return the request in `content`, from `<xcatrequest>` to its end tag.

    Raises BadRequestError when it is not XML of that form; a document that declares entities of its own is refused.
    """
    if b"<!" in content or b"<?" in content.replace(b"<?xml ", b"", 1):
        raise BadRequestError("declarations are not part of a request")
    if content.count(b"<") > ELEMENTS:
        raise BadRequestError(f"a request has no more than {ELEMENTS} tags")
    try:
        root = ElementTree.fromstring(content.strip())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadRequestError(f"this is not XML ({error})") from error
    if root.tag != "xcatrequest":
        raise BadRequestError(f"<{root.tag}> is no request")
    command = (root.findtext("command") or "").strip()
    if not command:
        raise BadRequestError("the request has no command")
    arguments = tuple(element.text or "" for element in root.findall("arg"))
    return Request(command, arguments, ",".join(element.text or "" for element in root.findall("noderange")))


def end_of_request(buffer: bytes | bytearray, begin: int = 0) -> int:
    """Return where the first request in what was received ends, looked for from `begin` on; 0 while no request is whole."""
    found = buffer.find(END, begin)
    return found + len(END) if found >= 0 else 0


def encode(text: str) -> str:
    """Return `text` as the inside of an element: entities, ESC as the original writes it, what XML or a terminal can't take as `?`."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return FOREIGN.sub("?", text.replace("\x1b", "xxxxESCxxxx"))


def document(lines: Iterable[tuple[str, str]]) -> str:
    """Return one response document of (element, text) children, indented by two."""
    children = "".join(f"  <{name}>{encode(text)}</{name}>\n" for name, text in lines)
    return f"<xcatresponse>\n{children}</xcatresponse>\n"


DONE = document([("serverdone", "")])


def answer(source: str, lines: Iterable[str], element: str = INFO) -> bytes:
    """Return a whole answer: one document for each line, from the server called `source`, then the final one."""
    return ("".join(document([(element, line), ("xcatdsource", source)]) for line in lines) + DONE).encode("utf-8", "replace")


def bundle(source: str, lines: Iterable[str]) -> bytes:
    """Return a whole answer with all lines (without line ends) as `<data>` of one document: the form of our own commands."""
    # Encoded once: most of what a boot plan costs would be to do it line by line.
    told = encode("\n".join(lines)).replace("\n", f"</{DATA}>\n  <{DATA}>")
    own = f"  <{DATA}>{told}</{DATA}>\n  <xcatdsource>{encode(source)}</xcatdsource>\n"
    return f"<xcatresponse>\n{own}</xcatresponse>\n{DONE}".encode("utf-8", "replace")


def trouble(source: str, text: str) -> bytes:
    """Return a whole answer that says why there is none, one `<error>` for each line of it."""
    errors = [("error", line) for line in text.split("\n")]
    return (document([*errors, ("errorcode", "1"), ("xcatdsource", source)]) + DONE).encode("utf-8", "replace")


def denied() -> bytes:
    """Return the answer to a request that the policy table does not allow, as the original gives it."""
    return document([("error", "Permission denied for request"), ("errorcode", "1"), ("serverdone", "")]).encode()


def litefile_line(name: str, options: str, path: str) -> str:
    """Return one line of `litefile` output (behaviour.md c.2)."""
    return f"{name}: {options:<{OPTION_WIDTH}} {path}"


def litetree_line(name: str, server: str, directory: str, mntopts: str) -> str:
    """Return one line of `litetree` output (behaviour.md c.2)."""
    return f"{name}: {server}:{directory}" + (f" :{mntopts}" if mntopts else "")
