# make demo: the main job · make test: every test · make bench: the measured tables · make clean
PYTHON ?= python3
BIN := .venv/bin
export TOKENIZERS_PARALLELISM := false
# what Python compiles on an import is kept: else every process compiles it again, half of its import
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test bench clean env
env: .venv/ready

# the environment: exactly the pins of cpu.lock, then this checkout
.venv/ready: cpu.lock settings.ini setup.py tests/make_env.py
	@$(PYTHON) tests/make_env.py

demo: env
	@$(BIN)/synthrl doctor --short
	$(BIN)/synthrl run data/tasks/word_problems.toml --preset laptop --out runs/demo

test: env
	$(BIN)/python tests/notebooks_agree.py
	$(BIN)/pytest -q -n 2 --dist loadscope --durations 12 tests

bench: env
	$(BIN)/python tests/bench.py

clean:
	rm -rf .venv build dist *.egg-info
