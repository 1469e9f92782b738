# SPDX-License-Identifier: GPL-3.0-or-later
# Every target does its own set-up (Debian packages, build/venv, build/workspace) and can be repeated.
# demo   converge a site in a box and boot two nodes from it; check  lint and unit tests; test  everything; bench  timing gates
# test-full  test with ten minutes of fuzzing a target, kernel nfsd in guests, hundreds of random boots, thousands of random trees
PYTHON ?= python3.11

.PHONY: demo check test test-full bench clean
demo check test test-full bench clean:
	@$(PYTHON) tests/run $@
