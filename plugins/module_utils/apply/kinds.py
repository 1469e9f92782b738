# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of operation by its name, for a journal that is read back."""

from __future__ import annotations

from typing import Any

from .operations import (
    ChangeMode,
    KeepTimes,
    MakeDirectory,
    MakeFile,
    MakeLink,
    Move,
    Operation,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
    WriteText,
)
from .outside import PutBack, SetAside

_FILES = (MakeDirectory, RemoveDirectory, MakeFile, RemoveFile, ChangeMode, KeepTimes, WriteText)
KINDS = {kind.__name__: kind for kind in (*_FILES, MakeLink, RemoveLink, Move, SetAside, PutBack)}


def operation_of(record: list[Any]) -> Operation:
    """Return the operation that `record()` wrote down; raises KeyError, ValueError or TypeError on anything else."""
    kind, *values = record
    return KINDS[kind](*values)
