# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house as the structural tests read it: its files and what each of them imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CORE = ROOT / "plugins" / "module_utils"
MODULES = ROOT / "plugins" / "modules"
TARGETS = ROOT / "tests" / "integration" / "targets"
NAME = "ansible_collections.diskless.statelite.plugins.module_utils"
ROOMS = sorted(path.parent.name for path in CORE.glob("*/__init__.py"))


def python_files(*folders: Path) -> list[Path]:
    """Return every Python file below the folders (default: plugins/)."""
    return sorted(path for folder in folders or (ROOT / "plugins",) for path in folder.rglob("*.py"))


def modules() -> list[str]:
    """Return the names of the collection's modules."""
    return sorted(path.stem for path in MODULES.glob("*.py") if path.stem != "__init__")


def tree(path: Path) -> ast.Module:
    """Return the parsed file, read with the grammar of the oldest Python it must run on."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))


def imports(path: Path) -> Iterator[str]:
    """Yield the full dotted name of everything a file imports; relative imports are resolved against its place."""
    package = list(path.relative_to(ROOT / "plugins").parts[:-1])
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join(["ansible_collections.diskless.statelite.plugins", *above, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def own(path: Path) -> Iterator[str]:
    """Yield what a file imports from the core, without the collection's name: `tables.schema.Table`, `errors.SiteError`."""
    for name in imports(path):
        if name.startswith(f"{NAME}."):
            yield name[len(NAME) + 1 :]


def room(name: str) -> str:
    """Return the first part of a name of the core: a room, or a file that stands by itself (errors, module)."""
    return name.split(".", maxsplit=1)[0]


def file_of(name: str) -> Path | None:
    """Return the file of the core that an imported name (with or without the thing imported from it) lies in."""
    parts = name.split(".")
    for length in (len(parts), len(parts) - 1):
        path = CORE.joinpath(*parts[:length])
        if length and path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
        if length and (path / "__init__.py").is_file():
            return path / "__init__.py"
    return None


def reached(path: Path) -> set[str]:
    """Return every file of the core, relative to it, that importing `path` loads."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        for name in own(waiting.pop()):
            other = file_of(name)
            if other is not None and str(other.relative_to(CORE)) not in found:
                found.add(str(other.relative_to(CORE)))
                waiting.append(other)
    return found


def documented(module: str, block: str) -> Any:
    """Return a module's DOCUMENTATION, EXAMPLES or RETURN as data; None when it has none."""
    for node in tree(MODULES / f"{module}.py").body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [block]:
            return yaml.safe_load(ast.literal_eval(node.value))
    return None


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
