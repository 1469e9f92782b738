# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile calls: `python3.11 tests/run demo|check|test|test-full|bench|clean`; standard library only."""

from __future__ import annotations

import argparse
import sys

import clean
import report
import stages

TARGETS = {"demo": stages.DEMO, "check": stages.CHECK, "test": stages.TEST, "test-full": stages.FULL, "bench": stages.BENCH}


def main() -> int:
    """Run one target; `--only` narrows it to named stages, for the person who mends one."""
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "clean"])
    parser.add_argument("--only", action="append", default=[], metavar="STAGE", help="run this stage only (may be repeated)")
    given = parser.parse_args()
    if given.target == "clean":
        return clean.clean()
    chosen = TARGETS[given.target]
    unknown = [name for name in given.only if name not in {stage.name for stage in chosen}]
    if unknown:
        parser.error(f"no stage {', '.join(unknown)} in {given.target}; it has {', '.join(stage.name for stage in chosen)}")
    if given.only:
        chosen = [stage for stage in chosen if stage.always or stage.name in given.only]
    return report.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
