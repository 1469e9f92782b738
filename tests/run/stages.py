# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of each make target, in order; each is a function that raises StageError."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from places import BUILD, COPY, ROOT, WORKSPACE, venv
from report import Log, Stage, StageError
from setup import alone, copy_for_ansible_test, packages, power_tools, set_up, tracked

FLOOR = "3.9"
"""The oldest Python that plugins/ run on."""
LONG = (
    "agent/test_batches.py",
    "agent/test_derived_cases.py",
    "agent/test_localdisk.py",
    "agent/test_matrix.py",
    "agent/test_memory.py",
    "agent/test_overlays.py",
    "agent/test_proof.py",
    "plugins/module_utils/answer/test_original_client.py",
    "plugins/module_utils/image/test_bundle.py",
    "plugins/module_utils/lite/test_killed_served.py",
    "plugins/module_utils/lite/test_lost_power.py",
    "plugins/module_utils/lite/test_renamed_cases.py",
    "plugins/module_utils/pack/test_packimage.py",
    "plugins/module_utils/tables/test_killed_writers.py",
)
"""Unit tests that `make check` leaves to the stage `units` of `make test`, which runs every one: more than half of the time of all."""
FUZZ, FUZZ_LONG = 4, 600
"""Seconds for each target of tests/fuzz."""
BOOTS, EXAMPLES = "500", "10000"
"""Random nodes that the full run boots, and random trees and tables that it lays out."""


def ruff(log: Log) -> None:
    log.run([venv("ruff"), "check", "--no-cache", "."])
    log.run([venv("ruff"), "format", "--no-cache", "--check", "."])


def yamllint(log: Log) -> None:
    log.run([venv("yamllint"), "--strict", "."])


def shell_scripts() -> list[str]:
    """Return every tracked file that a shell reads: by its name or by its first line."""
    found = []
    for name in tracked():
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            first = file.readline(80)
        if name.endswith(".sh") or re.match(rb"#!.*\b(ba|da)?sh\b", first):
            found.append(name)
    return found


def shellcheck(log: Log) -> int:
    scripts = shell_scripts()
    log.run(["shellcheck", *scripts])
    return len(scripts)


def ansible_lint(log: Log) -> None:
    log.run([venv("ansible-lint"), "--offline", "--strict", "--profile", "production"])


def mypy(log: Log) -> None:
    packages = ("plugins.module_utils", "plugins.modules")
    wanted = [word for package in packages for word in ("--package", f"ansible_collections.diskless.statelite.{package}")]
    log.run([venv("mypy"), "--config-file", str(ROOT / "mypy.ini"), "--cache-dir", str(BUILD / "mypy"), *wanted], cwd=WORKSPACE)


def changelog(log: Log) -> None:
    log.run([venv("antsibull-changelog"), "lint"])


def unit(log: Log) -> int:
    return pytest(log, "tests/unit", *(f"--ignore=tests/unit/{name}" for name in LONG))


def passed_by_pytest(text: str) -> int:
    """Return how many tests pytest says it passed, all runs together; skipped tests are no passed tests."""
    passed = sum(int(count) for count in re.findall(r"(\d+) passed", text))
    if passed == 0:
        raise StageError("pytest ran no test")
    if re.search(r"\d+ skipped", text):
        raise StageError("tests were skipped; what they need is missing here")
    return passed


def python_of_floor() -> str | None:
    """Return the folder of a working interpreter of the floor, or None where this machine has none."""
    name = f"python{FLOOR}"
    candidates = [shutil.which(name)]
    if shutil.which("pyenv"):
        asked = subprocess.run(["pyenv", "prefix", FLOOR], capture_output=True, text=True, check=False)
        candidates.append(str(Path(asked.stdout.strip()) / "bin" / name) if asked.returncode == 0 else None)
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += sorted(str(path) for path in versions.glob(f"{FLOOR}.*/bin/{name}"))
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(Path(candidate).parent)
    return None


def grammar_of_floor(paths: Iterable[Path]) -> int:
    """Parse files with the floor's grammar; return how many. Raises StageError for those that it has no words for."""
    version = tuple(int(part) for part in FLOOR.split("."))
    faults = []
    count = 0
    for path in paths:
        count += 1
        try:
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=version)
        except SyntaxError as error:
            faults.append(f"{path.name} line {error.lineno}: {error.msg}")
    if faults or not count:
        raise StageError(f"not Python {FLOOR}: {'; '.join(faults) or 'no file was found'}")
    return count


def ansible_test(log: Log, *arguments: str, **extra: str) -> str:
    """Run ansible-test in its copy; what it only warns about because a tool is missing is a failure here."""
    wrote = log.run([venv("ansible-test"), *arguments, "--color", "no"], cwd=COPY, **extra)
    for warning in ("Skipping", "Required program", "Unable to"):
        skipped = [line for line in wrote.splitlines() if line.startswith(f"WARNING: {warning}")]
        if skipped:
            raise StageError(skipped[0])
    return wrote


def sanity(log: Log) -> int:
    with alone("ansible-test"):
        count = copy_for_ansible_test(log)
        wrote = ansible_test(log, "sanity", "--python", "3.11")
        ran = len(re.findall(r"^Running sanity test ", wrote, re.MULTILINE))
        if ran < 20:
            raise StageError(f"only {ran} sanity tests ran on {count} files")
        folder = python_of_floor()
        if folder is None:
            parsed = grammar_of_floor(sorted((ROOT / "plugins").rglob("*.py")))
            log.remark(f"no Python {FLOOR} on this machine: {parsed} files parsed with its grammar, NOT compiled and imported with it")
            return ran + 1
        path = f"{Path(venv('python')).parent}:{folder}:{os.environ['PATH']}"
        ansible_test(log, "sanity", "--python", FLOOR, "--test", "compile", "--test", "import", PATH=path)
        return ran + 2


def units(log: Log) -> int:
    with alone("ansible-test"):
        copy_for_ansible_test(log)
        return passed_by_pytest(ansible_test(log, "units", "--python", "3.11", "--num-workers", "2"))


def integration(log: Log) -> int:
    with alone("ansible-test"):
        copy_for_ansible_test(log)
        targets = sorted(path.parent.parent.name for path in COPY.glob("tests/integration/targets/*/tasks/main.yml"))
        wanted = [name for name in targets if not name.startswith("setup_")]
        if not wanted:
            raise StageError("no target")
        wrote = ansible_test(log, "integration", "--allow-root", "--allow-destructive", "--continue-on-error", *wanted)
        ran = set(re.findall(r"^Running (\S+) integration test role$", wrote, re.MULTILINE))
        if ran != set(wanted):
            raise StageError(f"did not run: {', '.join(sorted(set(wanted) - ran))}")
        return len(ran)


def molecule(log: Log) -> int:
    scenarios = sorted(path.parent.name for path in ROOT.glob("extensions/molecule/*/molecule.yml"))
    for name in scenarios:
        log.run([venv("molecule"), "test", "--scenario-name", name], cwd=ROOT / "extensions")
    if not scenarios:
        raise StageError("no scenario")
    return len(scenarios)


def lab(log: Log) -> int:
    return counted(log.run([venv("python"), "tests/lab", "test"], seen=True))


def power(log: Log) -> int:
    """Boot nodes by Redfish, IPMI and ipmitool, as docs/power.md has it, against emulated BMCs."""
    return switched(log, "boot")


def power_all(log: Log) -> int:
    """The same, and what else the role power does."""
    return switched(log, "all")


def switched(log: Log, word: str) -> int:
    power_tools(log)
    return counted(log.run([venv("python"), "tests/power", word], seen=True))


def memory(log: Log) -> int:
    """Boot one node stateless and one as statelite with its root in memory."""
    return counted(log.run([venv("python"), "tests/lab", "memory"], seen=True))


def matrix(log: Log) -> int:
    """Boot machines by every method that a machine here has, into both kinds of root."""
    return counted(log.run([venv("python"), "tests/lab", "matrix"], seen=True))


def service(log: Log) -> int:
    """Boot a node of a service node while the management node is switched off."""
    return counted(log.run([venv("python"), "tests/lab", "service"], seen=True))


def manager(log: Log) -> int:
    """Boot two nodes whose initramfs has NetworkManager and no dhclient, and once more while their image is rebuilt over and over."""
    return counted(log.run([venv("python"), "tests/lab", "manager"], seen=True))


def demo(log: Log) -> None:
    log.run([venv("python"), "tests/lab", "demo"], seen=True)


def counted(wrote: str) -> int:
    """Return how many lines say ok; raises StageError when none does."""
    passed = len(re.findall(r"^(?:ok|pass)\b", wrote, re.MULTILINE | re.IGNORECASE))
    if passed == 0:
        raise StageError("nothing was measured or checked")
    return passed


def measured(log: Log, *sizes: tuple[str, ...], seen: bool) -> int:
    """Run the benches, each in the sizes given (all when none is); both sides of each are measured in the same run."""
    passed = 0
    for name, *words in sizes:
        passed += counted(log.run([venv("python"), f"tests/bench/{name}.py", *words], seen=seen, PYTHONPATH=str(WORKSPACE)))
    return passed


def bench(log: Log) -> int:
    return measured(log, ("agent",), ("liteimg",), ("nodeset",), ("database",), ("storm",), ("genimage",), seen=True)


def tripwire(log: Log) -> int:
    """The benches in sizes that take seconds; both sides are measured side by side, so the gates hold on a busy machine."""
    return measured(log, ("agent", "60", "2.0"), ("liteimg", "60", "2000"), ("storm", "1000", "0.35"), seen=False)


def fuzzed(log: Log, seconds: int) -> int:
    return counted(log.run([venv("python"), "tests/fuzz", "--seconds", str(seconds)]))


def fuzz(log: Log) -> int:
    return fuzzed(log, FUZZ)


def fuzz_long(log: Log) -> int:
    return fuzzed(log, FUZZ_LONG)


def pytest(log: Log, *paths: str, **extra: str) -> int:
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "-n", "2", "--maxprocesses", "2", *paths]
    return passed_by_pytest(log.run([venv("python"), *arguments], PYTHONPATH=str(WORKSPACE), **extra))


def boots(log: Log) -> int:
    """Boot many random nodes and compare each with its simulation."""
    return pytest(log, "tests/unit/agent", STATELITE_BOOTS=BOOTS)


def properties(log: Log) -> int:
    """Lay out, verify, take back and kill with many random trees and tables."""
    return pytest(log, "tests/unit/plugins/module_utils/lite/test_properties.py", STATELITE_EXAMPLES=EXAMPLES)


def guest(log: Log) -> int:
    return counted(log.run([venv("python"), "tests/guest"], seen=True))


def thousands(log: Log) -> int:
    """Converge a site of 5,000 nodes and count what that takes."""
    return counted(log.run([venv("python"), "tests/thousands"], seen=True))


def database(log: Log) -> int:
    """Converge a site whose tables are on a PostgreSQL server that stops meanwhile, and a service node that reads its standby."""
    return counted(log.run([venv("python"), "tests/database"], seen=True))


def cross(log: Log) -> int:
    """Build images of other architectures and boot from them, with the packages that this takes beside the lab's."""
    packages(log, ROOT / "tests" / "cross" / "packages.txt")
    return counted(log.run([venv("python"), "tests/cross"], seen=True))


SETUP = Stage("setup", set_up, 1200, always=True)
LINT = (
    Stage("ruff", ruff, 60),
    Stage("yamllint", yamllint, 60),
    Stage("shellcheck", shellcheck, 60),
    Stage("ansible-lint", ansible_lint, 600),
    Stage("mypy", mypy, 300),
    Stage("changelog", changelog, 60),
)
UNIT = Stage("unit", unit, 600)
CHECK = (SETUP, *LINT, UNIT)
BEFORE_LAB = (
    SETUP,
    *LINT,
    Stage("sanity", sanity, 900),
    Stage("units", units, 2400),
    Stage("tripwire", tripwire, 600),
    Stage("integration", integration, 2700),
    Stage("molecule", molecule, 2400),
)
LAB = Stage("lab", lab, 3600)
TEST = (*BEFORE_LAB, Stage("fuzz", fuzz, 300), Stage("power", power, 600), LAB)
BENCH = (SETUP, Stage("bench", bench, 2700))
FULL = (
    *BEFORE_LAB,
    Stage("fuzz", fuzz_long, 3600),
    Stage("power", power_all, 1200),
    LAB,
    Stage("memory", memory, 2400),
    Stage("manager", manager, 2400),
    Stage("service", service, 2400),
    Stage("guest", guest, 3600),
    Stage("thousands", thousands, 3600),
    Stage("database", database, 3600),
    Stage("cross", cross, 7200),
    Stage("matrix", matrix, 5400),
    Stage("boots", boots, 7200),
    Stage("properties", properties, 7200),
    Stage("bench", bench, 2700),
)
"""Everything of TEST, and what does not fit there: hours, on two cores."""
DEMO = (SETUP, Stage("demo", demo, 3000))
