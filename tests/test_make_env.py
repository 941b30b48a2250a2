"What `make env` refuses, in one line, before anything is half made."
import json, os, subprocess, sys
from configparser import ConfigParser
from pathlib import Path
import pytest
import make_env
from packaging.requirements import Requirement
from synthrl.run import machine

ROOT = Path(__file__).parent.parent

@pytest.mark.parametrize('version', [(3, 11), (3, 12), (3, 13)])
def test_pythons_of_the_lock(version):
    assert make_env.refuse(version, 'linux', 'x86_64') is None

@pytest.mark.parametrize('version, platform, machine, says', [
    ((3, 10), 'linux', 'x86_64', 'Python 3.10'), ((3, 14), 'linux', 'x86_64', 'Python 3.14'),
    ((3, 11), 'darwin', 'x86_64', 'darwin'), ((3, 11), 'linux', 'aarch64', 'aarch64')])
def test_others_are_refused_with_the_mend(version, platform, machine, says):
    line = make_env.refuse(version, platform, machine)
    assert says in line and ' — ' in line and '\n' not in line

@pytest.mark.parametrize('system, machine', make_env.RESOLVED)
def test_a_mac_and_windows_go_without_vllm(system, machine):
    assert make_env.refuse((3, 12), system, machine) is None
    marked = dict(sys_platform=system, extra='train')
    wanted = [Requirement(line) for line in settings()['train_requirements'].split()]
    names = {r.name for r in wanted if not r.marker or r.marker.evaluate(marked)}
    assert names == {'torch', 'transformers', 'trl', 'peft', 'accelerate', 'datasets'}

def test_linux_has_them():
    wanted = [Requirement(line) for line in settings()['train_requirements'].split()]
    assert all(not r.marker or r.marker.evaluate(dict(sys_platform='linux')) for r in wanted)
    assert {'vllm', 'unsloth', 'unsloth_zoo'} == {r.name for r in wanted if r.marker}

def test_the_tested_set_ships_with_the_package():
    "What the doctor compares with is in the installed package's metadata, and says what settings.ini says."
    tested = machine.tested()
    assert str(tested['trl']) == '==1.15.0' and 'vllm' in tested and 'nbdev' not in tested
    for line in settings()['train_requirements'].split():
        wanted = Requirement(line)
        assert tested[wanted.name] == wanted.specifier

def test_no_message_recommends_what_cannot_be_installed():
    "vLLM's build for the CPU wants a torch that the public index does not have, so there is no extra for it."
    files = [*(ROOT/'synthrl').rglob('*.py'), *(ROOT/'nbs').rglob('*.ipynb')]
    files += [ROOT/'README.md', ROOT/'settings.ini']
    for p in files:
        assert '[cpu]' not in p.read_text(encoding='utf-8'), p

def settings():
    ini = ConfigParser(delimiters=['='])
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def test_versions_are_those_of_the_settings():
    span = settings()['min_python'], settings()['max_python']
    assert span == tuple('%d.%d' % p for p in (make_env.PYTHONS[0], make_env.PYTHONS[-1]))

def test_lock_names_the_cpu_build():
    assert make_env.pins()['torch'].endswith('+cpu')
    assert 'uv' in make_env.pins()

def test_uv_looks_where_pip_does(tmp_path):
    conf = tmp_path/'pip.conf'
    conf.write_text('[global]\nindex-url = http://127.0.0.1:9/simple\nextra-index-url = file:///a file:///b\n'
                    'find-links = /wheels\n')
    env = dict(os.environ, PIP_CONFIG_FILE=str(conf))
    for name in [n for n in env if n.startswith(('UV_', 'PIP_')) and n != 'PIP_CONFIG_FILE']: del env[name]
    code = f'import sys, json; sys.path.insert(0, {str(ROOT/"tests")!r}); import make_env\n' \
           f'print(json.dumps(make_env.uv_env({str(Path(sys.executable).with_name("pip"))!r})))'
    said = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True).stdout
    found = json.loads(said)
    assert found['UV_DEFAULT_INDEX'] == 'http://127.0.0.1:9/simple'
    assert found['UV_INDEX'] == 'file:///a file:///b'
    assert found['UV_FIND_LINKS'] == '/wheels'
    assert found['UV_INDEX_STRATEGY'] == 'unsafe-best-match'

@pytest.mark.timeout(300)
def test_no_torch_to_be_had_is_one_line_and_leaves_nothing(tmp_path):
    "An index that has uv and nothing else, and no network: a second try meets what the first one met."
    dead = 'http://127.0.0.1:9'                      # nobody listens there
    env = dict(os.environ, PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS=str(tmp_path/'wheels'),
               PIP_NO_INDEX='1', PIP_EXTRA_INDEX_URL='', UV_FIND_LINKS='', UV_INDEX='', UV_HTTP_RETRIES='0',
               HTTP_PROXY=dead, HTTPS_PROXY=dead, ALL_PROXY=dead)
    (tmp_path/'wheels').mkdir()
    fetch = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', tmp_path/'wheels']
    uv = subprocess.run([*fetch, make_env.pins()['uv']], capture_output=True, text=True)
    if uv.returncode: pytest.skip('no package index to take uv from')
    for _ in range(2):
        command = [sys.executable, ROOT/'tests/make_env.py', tmp_path/'env']
        end = subprocess.run(command, env=env, capture_output=True, text=True)
        lines = [l for l in end.stderr.splitlines() if l.strip()]
        assert end.returncode == 2 and len(lines) == 1, end.stderr
        assert 'torch==' in lines[0] and '+cpu' in lines[0] and ' — ' in lines[0]
        assert not (tmp_path/'env').exists()
