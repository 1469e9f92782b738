# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzing, one target after the other, with atheris (coverage-guided): `python tests/fuzz [TARGET...] --seconds N [--seed N]`.

Each target gets N seconds. What it begins with is `corpus/TARGET.json`, and what earlier runs found worth keeping in
build/fuzz/TARGET. An input that fails stays in build/fuzz as TARGET-crash-…; `--replay FILE` runs a target on it alone, and
`--keep` adds to the committed corpus a few of the inputs that reach most.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "fuzz"
TARGETS = sorted(path.stem.removeprefix("target_") for path in HERE.glob("target_*.py"))
KEPT = 60
"""Most inputs of one target in the committed corpus."""
SHORT = 60
"""Seconds below which a run doesn't go through what earlier ones found."""
LONGEST = 400
"""Bytes of the longest one that is kept there."""


def committed(target: str) -> list[bytes]:
    """Return the committed inputs of a target; each is text in which a character stands for a byte."""
    path = HERE / "corpus" / f"{target}.json"
    return [text.encode("latin-1") for text in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def laid_out(target: str, short: bool = False) -> tuple[Path, Path]:
    """Return the directories with what earlier runs found (nothing for a short run), and with the committed inputs, one a file."""
    found, given = BUILD / (f"{target}-short" if short else target), BUILD / f"{target}-committed"
    for directory in (found, given):
        directory.mkdir(parents=True, exist_ok=True)
    for path in (*given.iterdir(), *(found.iterdir() if short else ())):
        path.unlink()
    for number, content in enumerate(committed(target)):
        (given / f"{number:03}").write_bytes(content)
    return found, given


def started(target: str, *words: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(HERE / f"target_{target}.py"), *words]
    return subprocess.Popen(
        arguments,
        env={**os.environ, "PYTHONPATH": str(BUILD.parent / "workspace")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def run(target: str, seconds: int, seed: int) -> bool:
    """Fuzz one target; print a line of what was done, and what was found; return whether nothing was found."""
    directories = laid_out(target, seconds < SHORT)
    words = [f"-max_total_time={seconds}", f"-artifact_prefix={BUILD}/{target}-", "-print_final_stats=1", "-reload=0"]
    words += [f"-seed={seed}"] if seed else []
    began = time.monotonic()
    process = started(target, *words, *map(str, directories))
    text = process.communicate()[0]
    took = time.monotonic() - began
    runs = re.search(r"number_of_executed_units:\s*(\d+)", text) or re.search(r"Done (\d+) runs", text)
    count = int(runs.group(1)) if runs else 0
    covered = (re.findall(r"cov: (\d+)", text) or ["0"])[-1]
    known = sum(1 for _path in directories[0].iterdir())
    if process.returncode == 0 and count:
        told = re.findall(r"^told: (.*)$", text, re.MULTILINE) or [f"{covered} edges, {known} inputs kept"]
        print(f"ok   {target}: {count} inputs in {took:.0f} s, {count / took:.0f} a second, {told[-1]}", flush=True)
        return True
    print(f"FAIL {target}: status {process.returncode} after {count or 'some'} inputs", flush=True)
    print(*(f"     | {line}" for line in text.splitlines()[-60:]), sep="\n", flush=True)
    return False


def keep(target: str) -> None:
    """Add to the committed corpus the shortest inputs of build/fuzz that reach something which no shorter one reaches."""
    merged = BUILD / f"{target}-merged"
    merged.mkdir(exist_ok=True)
    for path in merged.iterdir():
        path.unlink()
    directories = laid_out(target)
    again = BUILD / f"{target}.sh"
    again.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/target_{target}.py" "$@"\n', encoding="utf-8")
    again.chmod(0o755)
    os.environ["STATELITE_FUZZ_AGAIN"] = str(again)
    process = started(target, "-merge=1", str(merged), *map(str, reversed(directories)))
    process.communicate()
    inputs = sorted((path.read_bytes() for path in merged.iterdir()), key=lambda content: (len(content), content))
    ours = committed(target)
    chosen = [content for content in inputs if len(content) <= LONGEST and content not in ours]
    chosen = chosen[:: max(1, -(-len(chosen) // max(1, KEPT - len(ours))))]
    texts = [content.decode("latin-1") for content in [*ours, *chosen]]
    lines = ",\n".join(json.dumps(text) for text in texts)
    (HERE / "corpus" / f"{target}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{target}: {len(texts)} inputs, {len(chosen)} of them new", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run the target on this input alone")
    parser.add_argument("--keep", action="store_true", help="renew the committed corpus instead of fuzzing")
    given = parser.parse_args()
    unknown = set(given.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    chosen = given.targets or TARGETS
    BUILD.mkdir(parents=True, exist_ok=True)
    if given.replay is not None:
        print(given.replay.read_bytes())
        process = started(chosen[0], str(given.replay.resolve()))
        print(process.communicate()[0])
        return process.returncode
    if given.keep:
        for target in chosen:
            if target != "server":
                keep(target)
        return 0
    failed = [target for target in chosen if not run(target, given.seconds, given.seed)]
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="statelite-fuzz-", dir="/dev/shm") as memory:
        os.environ["TMPDIR"] = memory
        sys.exit(main())
