# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fresh Debian 12 needs before anything else: packages, build/venv, the workspace, ansible-test's copy."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from places import BUILD, COLLECTION, COPY, HOME, LOGS, POWER, ROOT, VENV, WORKSPACE, venv
from report import Log, StageError

PACKAGES = ROOT / "tests" / "lab" / "packages.txt"
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
EMULATED = ROOT / "tests" / "power" / "requirements.txt"
BUNDLE = ROOT / "tests" / "power" / "bundle.txt"
GENERAL = "ansible_collections/community/general/"
"""What is taken from the bundle of Ansible's collections."""
PIP = (venv("python"), "-m", "pip")
QUIET = ("--quiet", "--disable-pip-version-check")
POLICY = Path("/usr/sbin/policy-rc.d")

GET_PIP = '''"""Stands in for the script that ansible-test would fetch from the web: ensurepip, then pip at the version asked for."""

import subprocess
import sys

wanted = [word for word in sys.argv[1:] if "==" in word]
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"], stdout=subprocess.DEVNULL)
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
'''


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Hold a lock of build/, so that two makes don't set it up, or use ansible-test's copy, at once."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{what}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(log: Log) -> None:
    """Bring everything a stage relies on into place; a repeated run looks and changes nothing."""
    with alone("setup"):
        LOGS.mkdir(parents=True, exist_ok=True)
        HOME.mkdir(exist_ok=True)
        packages(log)
        virtual_environment(log)
        workspace()
        get_pip()


def packages(log: Log, listed: Path = PACKAGES) -> None:
    """Install the Debian packages of a list that are not there yet, without starting their daemons."""
    lines = (line.split("#")[0].strip() for line in listed.read_text(encoding="utf-8").splitlines())
    wanted = [line for line in lines if line]
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n"]
    asked = subprocess.run(query, capture_output=True, text=True, check=True)
    there = {line.split(" ")[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    missing = [name for name in wanted if name not in there]
    if not missing:
        return
    if os.geteuid() != 0:
        raise StageError(f"not root, and these packages are missing: {' '.join(missing)}")
    with no_daemons():
        log.run(["apt-get", "update", "--quiet"])
        log.run(["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *missing], DEBIAN_FRONTEND="noninteractive")


@contextlib.contextmanager
def no_daemons() -> Iterator[None]:
    """Keep package scripts from starting services on this machine; the lab's services run in its own box."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def virtual_environment(log: Log) -> None:
    """Fill build/venv with exactly the versions of tests/requirements.txt, once for each text of that file."""
    with once_for(VENV / "requirements.sha256", REQUIREMENTS) as due:
        if not due:
            return
        if not os.access(venv("python"), os.X_OK):
            log.run([sys.executable, "-m", "venv", str(VENV)])
        log.run([*PIP, "install", *QUIET, "--requirement", str(REQUIREMENTS)])


@contextlib.contextmanager
def once_for(stamp: Path, *texts: Path) -> Iterator[bool]:
    """Give whether what these files say is yet to be done, by this Python; it is noted in `stamp` when that went well."""
    digest = hashlib.sha256(b"".join(text.read_bytes() for text in texts) + sys.version.encode()).hexdigest()
    due = not stamp.exists() or stamp.read_text(encoding="utf-8") != digest
    yield due
    if due:
        stamp.write_text(digest, encoding="utf-8")


def power_tools(log: Log) -> None:
    """Bring the emulated BMCs (a virtual environment of their own) and community.general into build/power."""
    with alone("power"), once_for(POWER / "tools.sha256", EMULATED, BUNDLE) as due:
        if not due:
            return
        log.run(["rm", "-r", "--force", "--one-file-system", str(POWER)])
        log.run([venv("python"), "-m", "venv", "--without-pip", str(POWER / "venv")])
        log.run([*PIP, "--python", str(POWER / "venv" / "bin" / "python"), "install", *QUIET, "--requirement", str(EMULATED)])
        bundle = POWER / "bundle"
        log.run([*PIP, "download", *QUIET, "--no-deps", "--only-binary=:all:", "--dest", str(bundle), "--requirement", str(BUNDLE)])
        for wheel in bundle.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(POWER / "collections", [name for name in archive.namelist() if name.startswith(GENERAL)])
            wheel.unlink()


def workspace() -> None:
    """Make the repository importable as a collection, through one relative symbolic link."""
    link = WORKSPACE / COLLECTION
    link.parent.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(ROOT, link.parent)
    if not link.is_symlink() or os.readlink(link) != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def get_pip() -> None:
    """Put the stand-in where ansible-test looks for the script of each pip version it may want."""
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "get_pip_24_2.py").write_text(GET_PIP, encoding="utf-8")


def tracked() -> list[str]:
    """Return the tracked files that are there, relative to the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]


def copy_for_ansible_test(log: Log) -> int:
    """Bring ansible-test's copy up to date with the tracked files; return how many ansible-test sees there.

    ansible-test refuses a symbolic link, and sees no file at all inside a folder that git ignores unless the copy
    is a repository of its own; so its own count is compared with ours. Called with the copy's lock held.
    """
    names = tracked()
    kept = set(names)
    COPY.mkdir(parents=True, exist_ok=True)
    left_behind = COPY / "tests" / "output" / ".tmp"
    log.run(["rm", "-r", "--force", "--one-file-system", str(left_behind)])
    for path in sorted(COPY.rglob("*"), reverse=True):
        inside = path.relative_to(COPY)
        if inside.parts[0] == ".git" or inside.parts[:2] == ("tests", "output"):
            continue
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
        elif str(inside) not in kept:
            path.unlink()
    for name in names:
        _copy_one(ROOT / name, COPY / name)
    if not (COPY / ".git").exists():
        log.run(["git", "init", "--quiet"], cwd=COPY)
    log.run(["git", "add", "--all", "--force"], cwd=COPY)
    seen = log.run([venv("ansible-test"), "env", "--list-files", "--color", "no"], cwd=COPY)
    count = sum(1 for line in seen.splitlines() if line in kept)
    if count != len(names):
        raise StageError(f"ansible-test sees {count} of {len(names)} files")
    return count


def _copy_one(source: Path, target: Path) -> None:
    """Copy a file or link unless the same content and mode are there already."""
    if not source.is_symlink() and target.is_file() and not target.is_symlink():
        same = source.read_bytes() == target.read_bytes() and source.stat().st_mode == target.stat().st_mode
        if same:
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
