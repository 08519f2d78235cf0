# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything that a target needs is made in the checkout (.venv, .nox, .cache), from Python 3.11 or newer with venv.

export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test test-system soak bench bench-windows bench-compare docs pictures changelog release clean

help:
	@echo 'make demo   a simulated fleet, one of its pools unhealthy, and its health check'
	@echo 'make test   every check and test that this machine can run (one of them: .venv/bin/nox -s NAME; nox -l lists them)'
	@echo 'make test-system  the tests on hosts that boot a systemd, and in a container (root, Debian; packages: see CONTRIBUTING)'
	@echo 'make soak   what runs for long, for an hour, or DURATION=600 seconds: does its memory grow, or anything else'
	@echo 'make bench  the benchmarks, as a table, and as JSON in .cache/bench'
	@echo 'make bench-windows  the same of maintenance windows, on hosts that boot a systemd; half an hour'
	@echo 'make bench-compare A=REV B=REV  the benchmarks of two commits, or of two files of results'
	@echo 'make docs   the manual as a site, from docs/build/html/index.html on'
	@echo 'make changelog, make release  before a release, see RELEASES.md; nothing is published'
	@echo 'make pictures  the pictures of the README, anew (needs Chromium)'
	@echo 'make clean  remove everything that these made'

demo: .venv/ready
	@ansible-playbook -i demo/inventory.yml demo/demo.yml || \
		{ ansible-playbook -i demo/inventory.yml demo/stop.yml; exit 1; }

test: .venv/ready
	@python -m tests.tools.run $(HOSTS)

test-system: .venv/ready
	@python -m tests.tools.run_hosts $(TESTS)

soak: .venv/ready
	@python -m nox --reuse-venv yes --session soak -- $(DURATION)

bench: .venv/ready
	@python benchmarks/run.py

bench-windows: .venv/ready
	@python benchmarks/run.py --windows

bench-compare: .venv/ready
	@python benchmarks/compare.py "$(A)" "$(B)"

docs: .venv/ready
	@python -m nox --reuse-venv yes --session docs

changelog release: .venv/ready
	@python -m nox --reuse-venv yes --session $@

pictures: .venv/ready
	@python -m nox --reuse-venv yes --session pictures

clean:
	rm -rf .ansible .cache .nox .venv docs/build tests/output changelogs/.plugin-cache.yaml
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: tests/tools/requirements.txt
	@python=$$(tests/tools/python.sh) && rm -rf .venv && "$$python" -m venv .venv
	@python -m pip install -qq --requirement tests/tools/requirements.txt
	@touch $@
