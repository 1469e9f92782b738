# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service as a package of its own: exactly what it imports, and it runs without the collection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.answer.package import plan_install
from ansible_collections.diskless.statelite.plugins.module_utils.program import PACKAGE, closure, own_source


def install(dest: Path) -> list[str]:
    plan = plan_install({"dest": str(dest)}, print)
    lines = plan.lines()
    plan.apply()
    return lines


def test_the_closure_holds_what_is_imported_and_its_packages() -> None:
    sources = {
        "answer/server.py": b"from ..errors import SiteError\nfrom . import protocol\nfrom ..lite.nodeplan import compile_plan\n",
        "answer/protocol.py": b"import re\n",
        "lite/nodeplan.py": b"def f():\n    from ..tables import columns\n",
        "tables/columns.py": b"",
        "errors.py": b"",
        "image/genimage.py": b"",
    }
    assert sorted(closure("answer/server.py", sources.get)) == [
        "__init__.py",
        "answer/__init__.py",
        "answer/protocol.py",
        "answer/server.py",
        "errors.py",
        "lite/__init__.py",
        "lite/nodeplan.py",
        "tables/__init__.py",
        "tables/columns.py",
    ]


def test_no_room_of_the_management_node_is_shipped() -> None:
    rooms = {path.split("/")[0] for path in closure("answer/server.py", own_source)}
    assert rooms == {"__init__.py", "answer", "apply", "errors.py", "lite", "nodes", "tables"}


def test_what_was_installed_starts_without_the_collection(tmp_path: Path) -> None:
    install(tmp_path)
    command = [sys.executable, "-I", str(tmp_path / "answer-service"), "--help"]
    assert "published snapshot" in subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


def test_a_second_run_changes_nothing_and_drift_is_mended(tmp_path: Path) -> None:
    assert len(install(tmp_path)) > 20
    assert install(tmp_path) == []
    (tmp_path / PACKAGE / "answer/server.py").write_text("changed")
    (tmp_path / PACKAGE / "answer/old.py").write_text("no longer part of it")
    (tmp_path / "answer-service").chmod(0o700)
    assert sorted(install(tmp_path)) == [
        f"mode {tmp_path}/answer-service",
        f"remove {tmp_path}/{PACKAGE}/answer/old.py",
        f"replace {tmp_path}/{PACKAGE}/answer/server.py",
    ]
    assert install(tmp_path) == []
