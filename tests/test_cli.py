"The command line against what users get wrong: one line with file, key and mend, exit code 2, nothing lost."
import json, os, subprocess, sys
from types import SimpleNamespace
import pytest
from synthrl.cli import main

TASK = '''
name = "word_problems"
description = "You are given a short story in which a quantity changes in a few steps. Find its final value."
output_format = "Write each step as an equation on a line of its own, then the answer after ####."
answer = "number"
'''
SMALL = '--preset laptop --until initial --set synthesis.n=6 --set synthesis.votes=4'.split()
KEYS = 'OPENAI_API_KEY', 'OPENAI_BASE_URL', 'OPENAI_ORG_ID'


@pytest.fixture
def here(tmp_path, monkeypatch):
    "A folder with a task in it, and no key."
    (tmp_path/'task.toml').write_text(TASK)
    monkeypatch.chdir(tmp_path)
    for name in KEYS: monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def synthrl(here, capsys):
    "The command, in this process: its exit code and what it prints."
    def call(*args):
        capsys.readouterr()
        try: code = main([str(a) for a in args])
        except SystemExit as e: code = e.code
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)
    return call


def refused(result, *words):
    "Exit code 2 and one line on stderr with these words in it."
    assert result.code == 2, result.out + result.err
    line, = result.err.strip().splitlines()
    assert line.startswith('synthrl: ')
    for w in words: assert w in line, f'{w!r} is not in: {line}'


def made(folder): return {p.name: p.read_bytes() for p in sorted(folder.glob('*.jsonl'))}
def summary(folder): return json.loads((folder/'summary.json').read_text())


@pytest.mark.parametrize('change, words', [
    (('answer = "number"', ''), ['`answer` is missing', 'add answer = "number"']),
    (('description ', 'descriptoin '), ['unknown key `descriptoin`', 'did you mean `description`']),
    (('"number"', '"numbr"'), ['unknown answer = "numbr"', 'did you mean "number"']),
    (('name = ', 'name '), ['not valid TOML']),
    (('"word_problems"', '7'), ['`name` must be a string']),
])
def test_task_file(here, synthrl, change, words):
    (here/'task.toml').write_text(TASK.replace(*change))
    refused(synthrl('run', 'task.toml', *SMALL), 'task.toml', *words)
    assert not (here/'runs').exists()


@pytest.mark.parametrize('args, words', [
    (['run', 'none.toml'], ['none.toml', 'cannot be read', 'check the path']),
    (['run', 'task.toml', '--preset', 'labtop'], ['unknown preset `labtop`', 'did you mean `laptop`']),
    (['run', 'task.toml', '--recipe', 'humam'], ['unknown recipe `humam`', 'did you mean `human`']),
    (['run', 'task.toml', '--recipe', 'human'], ['task.toml', 'wants a `train` file', 'name one']),
    (['run', 'task.toml', *SMALL, '--until', 'modle'], ['unknown stage `modle`', 'mean `model`']),
    (['run', 'task.toml', '--set', 'score.m=3'], ['unknown setting `score.m`', 'did you mean `score.n`']),
    (['run', 'task.toml', '--set', 'score.n=few'], ['score.n = few', 'a whole number']),
    (['run', 'task.toml', '--set', 'plan.policy=hardest'], ['unknown policy `hardest`']),
    (['run', 'task.toml', '--budget-usd', 'much'], ['--budget-usd', '--help']),
    (['run'], ['TASK.toml', '--help']),
    (['walk'], ['walk', '--help']),
    (['report', 'nowhere'], ['nowhere', 'not the folder of a run']),
])
def test_arguments(synthrl, args, words): refused(synthrl(*args), *words)


def test_passages(here, synthrl):
    (here/'empty').mkdir()
    for folder, words in (('nowhere', ['nowhere', 'cannot be read']), ('empty', ['empty', 'no passages'])):
        (here/'task.toml').write_text(TASK + f'passages = "{folder}"\n')
        refused(synthrl('run', 'task.toml', *SMALL), 'task.toml', 'passages', *words)
    (here/'bad').mkdir()
    (here/'bad'/'a.jsonl').write_text('{"text": "fine"}\n{oops\n')
    (here/'task.toml').write_text(TASK + 'passages = "bad"\n')
    refused(synthrl('run', 'task.toml', *SMALL), 'a.jsonl:2', 'not a JSON object')


@pytest.mark.parametrize('name, text, words', [
    ('none.jsonl', None, ['task.toml', '`test`', 'none.jsonl', 'no such file']),
    ('bad.jsonl', '{"input": "q"}\n', ['task.toml', '`test`, row 1', 'columns']),
    ('worse.jsonl', '\x00\x01{', ['worse.jsonl:1', 'not a JSON object']),
    ('odd.parquet', 'no parquet', ['odd.parquet']),
])
def test_test_file(here, synthrl, name, text, words):
    if text is not None: (here/name).write_text(text)
    (here/'task.toml').write_text(TASK + f'test = "{name}"\n')
    refused(synthrl('run', 'task.toml', *SMALL), *words)
    assert not (here/'runs').exists()


def test_missing_key(here, synthrl, monkeypatch):
    real = '--teacher', 'gpt-4o-mini', '--student', 'tiny'
    refused(synthrl('run', 'task.toml', *real), 'OPENAI_API_KEY is not set', 'export OPENAI_API_KEY')
    secret = 'sk-not-a-real-key-1234567890'
    monkeypatch.setenv('OPENAI_API_KEY', secret)
    r = synthrl('run', 'task.toml', *SMALL, *real, '--base-url', 'http://127.0.0.1:9/v1')
    assert secret not in r.out + r.err
    for p in here.rglob('*'): assert not p.is_file() or secret.encode() not in p.read_bytes()


def test_model_folder(here, synthrl):
    model = here/'model'
    model.mkdir()
    refused(synthrl('run', 'task.toml', *SMALL, '--student', './model'), 'model', 'config.json')
    (model/'config.json').write_text('{}')
    (model/'model.safetensors').write_bytes(b'')
    refused(synthrl('run', 'task.toml', *SMALL, '--student', './model'), 'model', 'no tokenizer', 'save')
    refused(synthrl('run', 'task.toml', *SMALL, '--student', './nothing'), 'nothing', 'no such model folder')


def test_model_name(here, synthrl):
    "A student that cannot be had is missed before the teacher is asked for anything."
    args = 'run', 'task.toml', *SMALL, '--student', 'no-one/no-such-student', '--out', 'out'
    refused(synthrl(*args, '--until', 'synth'), 'no-such-student', 'hub', 'HF_TOKEN')
    assert not (here/'out').exists()
    assert synthrl(*args).code == 0


def test_folder_of_another_task(here, synthrl):
    assert synthrl('run', 'task.toml', *SMALL, '--out', 'out').code == 0
    before = made(here/'out')
    assert set(before) == {'passages.jsonl', 'initial.jsonl'}
    (here/'other.toml').write_text(TASK.replace('word_problems', 'other'))
    other = synthrl('run', 'other.toml', *SMALL, '--out', 'out')
    refused(other, 'out', 'task `word_problems`, not of `other`', '--out')
    refused(synthrl('run', 'task.toml', *SMALL, '--out', '.'), 'holds no run', '--out')
    assert made(here/'out') == before
    assert json.loads((here/'out'/'settings.json').read_text())['task'] == 'word_problems'


@pytest.fixture
def small_disk(tmp_path):
    "A disk of its own, 5 MB large: SQLite's log of what is not yet in its file takes up to four of them."
    disk = tmp_path/'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', disk]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('a small disk can only be mounted by root')
    yield disk
    subprocess.run(['umount', disk], check=True)


def test_full_disk(here, synthrl, small_disk):
    "The disk fills up while the teacher writes; room is made; the same command pays for nothing twice."
    out = small_disk/'out'
    more = '--set', 'synthesis.n=40', '--set', 'synthesis.votes=16'
    args = ['run', 'task.toml', *SMALL, *more, '--out']
    assert synthrl(*args, here/'undisturbed').code == 0
    assert synthrl(*args, out, '--until', 'passages').code == 0
    passages = (out/'passages.jsonl').read_bytes()
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
    (small_disk/'ballast').write_bytes(bytes(free - 300_000))
    refused(synthrl(*args, out), 'disk', 'full', 'free some space')
    assert (out/'passages.jsonl').read_bytes() == passages and not (out/'initial.jsonl').exists()
    (small_disk/'ballast').unlink()
    assert synthrl(*args, out).code == 0
    assert (out/'initial.jsonl').read_bytes() == (here/'undisturbed'/'initial.jsonl').read_bytes()


def test_as_a_program(here):
    "What a shell sees of it: exit code and streams; nothing heavy is imported for the help."
    def shell(*args):
        return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=300)
    assert shell('-m', 'synthrl.cli', '--version').stdout.startswith('synthrl 0.')
    r = shell('-m', 'synthrl.cli', 'run', 'none.toml')
    assert r.returncode == 2 and not r.stdout and len(r.stderr.splitlines()) == 1 and 'none.toml' in r.stderr
    code = '''
import sys, time
from synthrl.cli import main
try: main(['--help'])
except SystemExit: pass
heavy = {'torch', 'openai', 'matplotlib', 'numpy', 'transformers'} & set(sys.modules)
print(time.process_time(), sorted(heavy), file=sys.stderr)
'''
    r = shell('-c', code)
    for word in ('run', 'preview', 'report', 'check', 'doctor'): assert word in r.stdout
    assert r.stderr.strip().endswith('[]')
    assert float(r.stderr.split()[0]) < 2          # seconds of processor time; 0.6 on an idle machine


def test_budget(here, synthrl):
    "A budget ends a run with one line; a larger one goes on from there."
    args = ['run', 'task.toml', *SMALL]
    refused(synthrl(*args, '--budget-tokens', '6000'), 'budget')
    assert synthrl(*args, '--budget-tokens', '10000000').code == 0
    assert synthrl(*args, '--out', 'undisturbed').code == 0
    paid, calm = summary(here/'runs'/'word_problems')['teacher'], summary(here/'undisturbed')['teacher']
    for key in ('calls', 'prompt_tokens'): assert paid[key] == calm[key]


@pytest.mark.parametrize('args, words', [
    (['--set', 'score.n=0'], ['score.n = 0', 'give a whole number, 1 or more; 16 is the default']),
    (['--set', 'synthesis.duplicate=1'], ['synthesis.duplicate = 1', 'between 0 and 1']),
    (['--set', 'score.temperature=nan'], ['score.temperature = nan', '0 or more']),
    (['--set', 'plan.backend=vlm'], ['plan.backend = vlm', 'one of auto, vllm']),
    (['--set', 'plan.selected=0'], ['plan.selected = 0', 'a whole number, 1 or more; 128 is the default']),
    (['--set', 'grpo.completions=1'], ['completions = 1', 'two answers']),
    (['--set', 'seed=3'], ['seed', 'no setting']),
    (['--seed', '-1'], ['seed = -1']),
    (['--budget-usd', '-1'], ['budget_usd']),
    (['--teacher', 'm', '--base-url', '127.0.0.1:80/v1'], ['base_url', 'no address'])])
def test_values_that_no_stage_can_work_with(here, synthrl, args, words):
    refused(synthrl('run', 'task.toml', *SMALL, *args, '--out', 'out'), *words)
    assert not (here/'out').exists()


def test_a_damaged_run_is_taken_up(here, synthrl):
    (here/'afile').write_text('')
    refused(synthrl('run', 'task.toml', *SMALL, '--out', 'afile'), 'afile: is no folder', '--out')
    args = 'run', 'task.toml', *SMALL, '--out', 'out'
    assert synthrl(*args).code == 0
    whole = made(here/'out')
    for name, text in {'settings.json': '{', 'stages.json': '[1]'}.items():
        (here/'out'/name).write_text(text)
        assert synthrl(*args).code == 0 and made(here/'out') == whole


def test_results_of_other_settings_are_left_out(here, synthrl):
    synthrl('run', 'task.toml', *SMALL, '--out', 'out')
    r = synthrl('run', 'task.toml', *SMALL, '--seed', '5', '--until', 'passages', '--out', 'out')
    s = summary(here/'out')
    assert s['seed'] == 5 and s['stale'] == ['initial'] and s['counts']['initial'] == 0
    assert 'left out of the summary: initial' in r.out
    settings = (here/'out'/'settings.json').read_text()
    assert synthrl('preview', 'task.toml', '--preset', 'laptop', '--out', 'out').code == 0
    assert (here/'out'/'settings.json').read_text() == settings
