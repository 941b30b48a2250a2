"""What `make env` does: an environment in .venv with exactly the pins of cpu.lock, that works.

    python3 tests/make_env.py [FOLDER]       # .venv by default

pip brings uv, and uv the rest. torch goes first: its CPU build is not on the public index. It comes from
where pip is told to look, where that has it, and else from PyTorch's own wheels, which uv knows. A
failure is one line, and leaves no folder behind. Written so that an old Python can read it and say that it is
too old.

The lock is for Linux on x86-64. On a Mac with Apple's chip and on Windows uv resolves the extras [train] and
[dev] anew, held to the lock's versions; vLLM and Unsloth, which have no wheel there, are left out by markers.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT/'cpu.lock'
PYTHONS = (3, 11), (3, 12), (3, 13)             # min_python to max_python of settings.ini
LOCKED = 'linux', 'x86_64'                      # whose wheels the lock names
RESOLVED = ('darwin', 'arm64'), ('win32', 'AMD64') # where everything but vLLM and Unsloth has a wheel

# What a run imports, in its order; one process for all, which says how far it came.
LOOK = '''
import importlib, sys
from synthrl.student import import_engines
steps = dict(torch=lambda: importlib.import_module("torch").ones(2).sum(), unsloth=import_engines)
for name in sys.argv[1:]:
    print("at", name, flush=True)
    steps.get(name, lambda: importlib.import_module(name))()
'''


def stop(line, folder=None):
    "End with one line and exit code 2; what was half made goes."
    if folder: shutil.rmtree(str(folder), ignore_errors=True)
    print('make env: ' + line, file=sys.stderr)
    sys.exit(2)


def refuse(version, system, machine):
    "Why this Python cannot have the environment, or None."
    known = ', '.join('%d.%d' % p for p in PYTHONS)
    if tuple(version[:2]) not in PYTHONS:
        return ('Python %d.%d is none of %s — name one that is installed: make env PYTHON=python3.11'
                % (version[0], version[1], known))
    if (system, machine) not in (LOCKED,) + RESOLVED:
        return ('%s on %s: torch or another engine has no wheel for it — `pip install -e .` gives the half '
                'that writes samples' % (system, machine))


def run(command, env=None):
    "Run a command quietly: (exit code, what it said)."
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    done = subprocess.run([str(c) for c in command], env=env, **pipes)
    return done.returncode, done.stdout


def last_line(said):
    "The last line of what a command said."
    lines = [l.strip() for l in said.splitlines() if l.strip()]
    return lines[-1][:200] if lines else 'it said nothing'


def pins():
    "The lock as {package: its line}."
    return {l.split('==')[0]: l for l in LOCK.read_text().split()}


def uv_env(pip):
    "The environment in which uv looks where pip is told to look; uv's own variables stay as they are."
    names = {'index-url': 'UV_DEFAULT_INDEX', 'extra-index-url': 'UV_INDEX', 'find-links': 'UV_FIND_LINKS',
             'cert': 'SSL_CERT_FILE'}
    found = {'UV_INDEX_STRATEGY': 'unsafe-best-match'}                  # as pip does: the best of all indexes
    for line in run([pip, 'config', 'list'])[1].splitlines():
        m = re.match(r"(?:global|install|:env:)\.([\w-]+)='(.*)'$", line)
        if m and m.group(1) in names and m.group(2):
            value = ' '.join(m.group(2).replace('\\n', ' ').split())
            name = names[m.group(1)]
            found[name] = value.replace(' ', ',') if name == 'UV_FIND_LINKS' else value
    return dict(found, **os.environ)


def install_torch(folder, pip, uv, env):
    "torch's CPU build; where it cannot be had, why."
    pin = pins()['torch']
    code, by_pip = run([pip, 'install', '--quiet', '--no-deps', pin])
    if code == 0: return
    command = [uv, 'pip', 'install', '--python', folder, '--no-deps', '--torch-backend', 'cpu', pin]
    code, by_uv = run(command, env)
    if code == 0: return
    return ('%s for Python %d.%d is neither where pip looks nor to be had from PyTorch (%s) — '
            'connect to the network, or put its wheel where PIP_FIND_LINKS points'
            % (pin, *sys.version_info[:2], last_line(by_uv)))


def look(python, locked=True):
    "Import what a run imports: None, or what could not be imported and why."
    names = ['torch', 'transformers', 'trl']
    if locked: names = ['torch', 'transformers', 'unsloth', 'trl', 'vllm']
    code, said = run([python, '-c', LOOK] + names)
    if code == 0: return
    at = [l.split()[1] for l in said.splitlines() if l.startswith('at ')]
    why = 'signal %d' % -code if code < 0 else last_line(said)
    return '%s cannot be imported (%s)' % (at[-1] if at else 'synthrl', why)


def install_lock(folder, pip, uv, env):
    "Exactly the lock, torch first, and this checkout: None, or why not."
    problem = install_torch(folder, pip, uv, env)
    if problem: return problem
    for what in (['--requirement', LOCK], ['--editable', ROOT]):
        code, said = run([uv, 'pip', 'install', '--quiet', '--python', folder, '--no-deps'] + what, env)
        if code: return '%s cannot be installed (%s)' % (Path(what[1]).name, last_line(said))


def install_resolved(folder, uv, env):
    "This checkout with its extras, in the lock's versions where it has the package: None, or why not."
    with tempfile.TemporaryDirectory() as d:
        held = Path(d)/'held.txt'
        held.write_text('\n'.join(line for name, line in pins().items() if name != 'torch'))
        command = [uv, 'pip', 'install', '--quiet', '--python', folder, '--constraint', held]
        code, said = run(command + ['--editable', '%s[train,dev]' % ROOT], env)
    if code: return 'the extras [train] and [dev] cannot be installed (%s)' % last_line(said)


def make(folder):
    "The environment, or one line that says what is in the way."
    here = sys.platform, platform.machine()
    problem = refuse(sys.version_info, *here)
    if problem: stop(problem)
    bin, begun = folder/('Scripts' if sys.platform == 'win32' else 'bin'), time.time()
    print('make env: Python %d.%d, %d packages' % (*sys.version_info[:2], len(pins())), flush=True)
    code, said = run([sys.executable, '-m', 'venv', '--clear', folder])
    mend = 'on Debian: apt-get install python3-venv'
    if code: stop('no virtual environment (%s) — %s' % (last_line(said), mend), folder)
    code, said = run([bin/'pip', 'install', '--quiet', '--no-deps', pins()['uv']])
    if code: stop('%s cannot be had (%s) — it takes a network' % (pins()['uv'], last_line(said)), folder)
    env = uv_env(bin/'pip')
    if here == LOCKED: problem = install_lock(folder, bin/'pip', bin/'uv', env)
    else: problem = install_resolved(folder, bin/'uv', env)
    if problem: stop(problem, folder)
    print('make env: installed in %.0f s; importing the engines once' % (time.time() - begun), flush=True)
    problem = look(bin/'python', here == LOCKED)
    if problem: stop(problem + ' — nothing would run', folder)
    (folder/'ready').touch()
    print('make env: ready after %.0f s' % (time.time() - begun))


if __name__ == '__main__':
    make(Path(sys.argv[1] if len(sys.argv) > 1 else '.venv').resolve())
