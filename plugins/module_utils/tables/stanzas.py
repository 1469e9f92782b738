# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stanza form of `lsdef -z` and `mkdef -z` (behaviour.md h.2), both ways: objects with a type and attributes; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import Fault, raise_faults

HEADER = "# <xCAT data object stanza file>"
DEFAULT = re.compile(r"default-(\S+)")


@dataclass
class Stanza:
    """One object: its name, its type, its attributes as text, and the number of the line that it begins with."""

    name: str
    kind: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    line: int = 0


def is_stanza_text(text: str) -> bool:
    """Tell whether a text is in this form: it has the header of lsdef, or its first line that is no comment begins an object."""
    for line in text.removeprefix("\ufeff").split("\n"):
        words = line.strip()
        if words == HEADER:
            return True
        if words and not words.startswith("#"):
            # A CSV line that ends so has a quote that is still open, or cells before its last one.
            return words.endswith(":") and not set('=",') & set(words) and not words.startswith("{")
    return False


def parse_stanzas(text: str, source: str) -> list[Stanza]:
    """Return the objects of a text, in order, each with the defaults of its type that a `default-TYPE:` stanza before it gave.

    `source` is how faults call the text. Raises SiteError with every line that has no meaning; the original skips such lines.
    """
    stanzas: list[Stanza] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        where = f"{source} line {number}"
        attribute, sign, value = words.partition("=")
        attribute = attribute.strip()
        if not sign:
            if words.endswith(":") and words[:-1].strip():
                stanzas.append(Stanza(words[:-1].strip(), line=number))
            else:
                faults.append(Fault(where, f"{words[:60]!r} is no object and no attribute", "Write NAME: or attribute=value"))
        elif not stanzas:
            faults.append(Fault(where, "the attribute belongs to no object", "Begin the object with its name and a colon"))
        elif attribute == "objtype":
            stanzas[-1].kind = _unquoted(value)
        elif attribute in stanzas[-1].attributes:
            faults.append(Fault(where, f"{stanzas[-1].name} has the attribute {attribute} twice", "Keep one of them"))
        elif attribute:
            stanzas[-1].attributes[attribute] = _unquoted(value)
        else:
            faults.append(Fault(where, "an attribute without a name", "Write attribute=value"))
    objects = list(_with_defaults(stanzas))
    faults.extend(
        Fault(f"{source} line {stanza.line}: {stanza.name}", "the object has no type", "Write objtype=TYPE below its name")
        for stanza in objects
        if not stanza.kind
    )
    raise_faults(faults)
    return objects


def _unquoted(value: str) -> str:
    """Return a value without the blanks around it and without one pair of double quotes."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _with_defaults(stanzas: Iterable[Stanza]) -> Iterable[Stanza]:
    """Yield the objects without the stanzas of defaults, what those say filled in."""
    defaults: dict[str, dict[str, str]] = {}
    for stanza in stanzas:
        found = DEFAULT.fullmatch(stanza.name)
        if found:
            defaults[found.group(1)] = stanza.attributes
            continue
        stanza.attributes = {**defaults.get(stanza.kind, {}), **stanza.attributes}
        yield stanza


def to_stanzas(objects: Iterable[tuple[str, str, Mapping[str, str]]]) -> str:
    """Return objects (name, type, attributes) as `lsdef -z` writes them, attributes sorted.

    A value that the original would trim or take for the beginning of an object is quoted. Raises SiteError for a name or a
    value that the form has no words for, each by object and attribute.
    """
    faults = []
    blocks = []
    for name, kind, attributes in objects:
        where = f"{kind} {name}"
        if "\n" in name or "=" in name or name.startswith("#"):
            faults.append(Fault(where, "the stanza form can't name such an object", "Export the table as csv"))
        lines = [f"{name}:", f"    objtype={kind}"]
        for attribute in sorted(attributes):
            value = attributes[attribute]
            if "\n" in value or "=" in attribute:
                faults.append(Fault(f"{where}: {attribute}", "the stanza form has no words for it", "Export the table as csv"))
            lines.append(f"    {attribute}={_quoted(value)}")
        blocks.append("".join(f"{line}\n" for line in lines))
    raise_faults(faults)
    return "\n".join((f"{HEADER}\n", *blocks))


def _quoted(value: str) -> str:
    plain = value == value.strip() and not value.endswith(":") and not (len(value) > 1 and value[0] == value[-1] == '"')
    return value if plain else f'"{value}"'
