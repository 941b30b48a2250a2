"The command line against what users get wrong: one line that names file, key and mend, exit code 2, nothing lost."
import json, os, subprocess, sys
from pathlib import Path
import pytest

TASK = '''
name = "word_problems"
description   = "You are given a short story in which a quantity changes in a few steps. Find its final value."
output_format = "Write each step as an equation on a line of its own, then the answer after ####."
answer = "number"
'''
SMALL = '--preset laptop --until initial --set synthesis.n=6 --set synthesis.votes=4'.split()


def synthrl(*args, cwd, **env):
    "The command in a process of its own, without any key."
    env = {k: v for k, v in os.environ.items() if not k.startswith('OPENAI_')} | env
    return subprocess.run([sys.executable, '-c', 'import sys; from synthrl.cli import main; sys.exit(main())', *map(str, args)],
                          cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def refused(result, *words):
    "Exit code 2 and one line on stderr with these words in it."
    assert result.returncode == 2, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    line = lines[0]
    assert 'Traceback' not in line and line.startswith('synthrl: ')
    for w in words: assert w in line, f'{w!r} is not in: {line}'


@pytest.fixture
def here(tmp_path):
    (tmp_path/'task.toml').write_text(TASK)
    return tmp_path


def made(folder): return {p.name: p.read_bytes() for p in sorted(folder.glob('*.jsonl'))}


@pytest.mark.parametrize('change, words', [
    (('answer = "number"', ''), ['`answer` is missing', 'add answer = "number"']),
    (('description ', 'descriptoin '), ['unknown key `descriptoin`', 'did you mean `description`']),
    (('"number"', '"numbr"'), ['unknown answer = "numbr"', 'did you mean "number"']),
    (('name = ', 'name '), ['not valid TOML']),
    (('"word_problems"', '7'), ['`name` must be a string']),
])
def test_task_file(here, change, words):
    (here/'task.toml').write_text(TASK.replace(*change))
    refused(synthrl('run', 'task.toml', *SMALL, cwd=here), 'task.toml', *words)
    assert not (here/'runs').exists()


@pytest.mark.parametrize('args, words', [
    (['run', 'none.toml'], ['none.toml', 'cannot be read', 'check the path']),
    (['run', 'task.toml', '--preset', 'labtop'], ['unknown preset `labtop`', 'did you mean `laptop`']),
    (['run', 'task.toml', '--until', 'modle'], ['unknown stage `modle`', 'did you mean `model`']),
    (['run', 'task.toml', '--set', 'score.m=3'], ['unknown setting `score.m`', 'did you mean `score.n`']),
    (['run', 'task.toml', '--set', 'score.n=few'], ['score.n', 'not a number']),
    (['run', 'task.toml', '--set', 'plan.policy=hardest'], ['unknown policy `hardest`']),
    (['run', 'task.toml', '--budget-usd', 'much'], ['--budget-usd', '--help']),
    (['run'], ['TASK.toml', '--help']),
    (['walk'], ['walk', '--help']),
    (['report', 'nowhere'], ['nowhere', 'not the folder of a run']),
])
def test_arguments(here, args, words): refused(synthrl(*args, cwd=here), *words)


def test_passages(here):
    for folder, words in (('nowhere', ['nowhere', 'cannot be read', 'passages']), ('empty', ['empty', 'no passages', 'passages'])):
        (here/'empty').mkdir(exist_ok=True)
        (here/'task.toml').write_text(TASK + f'passages = "{folder}"\n')
        refused(synthrl('run', 'task.toml', *SMALL, cwd=here), 'task.toml', *words)
    (here/'bad').mkdir(); (here/'bad'/'a.jsonl').write_text('{"text": "fine"}\n{oops\n')
    (here/'task.toml').write_text(TASK + 'passages = "bad"\n')
    refused(synthrl('run', 'task.toml', *SMALL, cwd=here), 'a.jsonl:2', 'not a JSON object')


@pytest.mark.parametrize('name, text, words', [
    ('none.jsonl', None, ['task.toml', '`test`', 'none.jsonl', 'no such file']),
    ('bad.jsonl', '{"input": "q"}\n', ['task.toml', '`test`, row 1', 'columns']),
    ('worse.jsonl', '\x00\x01{', ['worse.jsonl:1', 'not a JSON object']),
    ('odd.parquet', 'no parquet', ['odd.parquet']),
])
def test_test_file(here, name, text, words):
    if text is not None: (here/name).write_text(text)
    (here/'task.toml').write_text(TASK + f'test = "{name}"\n')
    refused(synthrl('run', 'task.toml', *SMALL, cwd=here), *words)
    assert not (here/'runs').exists()


def test_missing_key(here):
    refused(synthrl('run', 'task.toml', '--teacher', 'gpt-4o-mini', '--student', 'tiny', cwd=here), 'OPENAI_API_KEY is not set', 'export OPENAI_API_KEY')
    secret = 'sk-not-a-real-key-1234567890'
    r = synthrl('run', 'task.toml', *SMALL, '--teacher', 'gpt-4o-mini', '--base-url', 'http://127.0.0.1:9/v1', cwd=here, OPENAI_API_KEY=secret)
    assert secret not in r.stdout + r.stderr
    assert not any(secret.encode() in p.read_bytes() for p in here.rglob('*') if p.is_file())


def test_model_folder(here):
    model = here/'model'; model.mkdir()
    refused(synthrl('run', 'task.toml', *SMALL, '--student', './model', cwd=here), 'model', 'config.json')
    (model/'config.json').write_text('{}'); (model/'model.safetensors').write_bytes(b'')
    refused(synthrl('run', 'task.toml', *SMALL, '--student', './model', cwd=here), 'model', 'no tokenizer', 'save')
    refused(synthrl('run', 'task.toml', *SMALL, '--student', './nothing', cwd=here), 'nothing', 'no such model folder')


def test_model_name(here):
    refused(synthrl('run', 'task.toml', '--preset', 'laptop', '--student', 'no-one/no-such-student', '--out', 'out', cwd=here), 'no-such-student', 'hub', 'HF_TOKEN')
    assert not (here/'out'/'passages.jsonl').exists()                             # before the teacher was asked for anything
    assert synthrl('run', 'task.toml', *SMALL, '--student', 'no-one/no-such-student', '--out', 'out', cwd=here).returncode == 0 # the first stages need none


def test_folder_of_another_task(here):
    assert synthrl('run', 'task.toml', *SMALL, '--out', 'out', cwd=here).returncode == 0
    before = made(here/'out')
    assert set(before) == {'passages.jsonl', 'initial.jsonl'}
    (here/'other.toml').write_text(TASK.replace('word_problems', 'other'))
    refused(synthrl('run', 'other.toml', *SMALL, '--out', 'out', cwd=here), 'out', 'task `word_problems`, not of `other`', '--out')
    refused(synthrl('run', 'task.toml', *SMALL, '--out', '.', cwd=here), 'holds no run', '--out')
    assert made(here/'out') == before and json.loads((here/'out'/'settings.json').read_text())['task'] == 'word_problems'


@pytest.fixture
def small_disk(tmp_path):
    "A disk of its own, 5 MB large: SQLite's log of what is not yet in its file takes up to four of them."
    disk = tmp_path/'disk'; disk.mkdir()
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', disk], capture_output=True).returncode:
        pytest.skip('a small disk can only be mounted by root')
    yield disk
    subprocess.run(['umount', disk], check=True)


def test_full_disk(here, small_disk):
    "The disk fills up while the teacher writes; room is made; the same command finishes and pays for nothing twice."
    args = ['run', 'task.toml', *SMALL, '--set', 'synthesis.n=40', '--set', 'synthesis.votes=16', '--out', small_disk/'out']
    assert synthrl(*args[:-1], here/'undisturbed', cwd=here).returncode == 0
    assert synthrl(*args, '--until', 'passages', cwd=here).returncode == 0
    passages = (small_disk/'out'/'passages.jsonl').read_bytes()
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
    (small_disk/'ballast').write_bytes(bytes(free - 300_000))
    refused(synthrl(*args, cwd=here), 'disk', 'full', 'free some space')
    assert (small_disk/'out'/'passages.jsonl').read_bytes() == passages and not (small_disk/'out'/'initial.jsonl').exists()
    (small_disk/'ballast').unlink()
    assert synthrl(*args, cwd=here).returncode == 0
    assert (small_disk/'out'/'initial.jsonl').read_bytes() == (here/'undisturbed'/'initial.jsonl').read_bytes()


def test_help_is_quick_and_complete(here):
    code = "import sys, time; t = time.time(); from synthrl.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n" \
           "print(time.time() - t, [m for m in ('torch', 'openai', 'matplotlib', 'numpy', 'transformers') if m in sys.modules], file=sys.stderr)"
    r = subprocess.run([sys.executable, '-c', code], cwd=here, capture_output=True, text=True)
    for word in ('run', 'preview', 'report'): assert word in r.stdout
    assert r.stderr.strip().endswith('[]')
    assert float(r.stderr.split()[0]) < 2          # 0.15 s on an idle machine


def test_interrupt_and_budget(here):
    "A budget ends a run with one line; a larger one goes on from there."
    args = ['run', 'task.toml', *SMALL]
    r = synthrl(*args, '--budget-tokens', '6000', cwd=here)
    refused(r, 'budget')
    paid = lambda: json.loads((here/'runs'/'word_problems'/'summary.json').read_text())['teacher']
    assert synthrl(*args, '--budget-tokens', '10000000', cwd=here).returncode == 0
    assert synthrl(*args, '--out', 'undisturbed', cwd=here).returncode == 0
    t, u = paid(), json.loads((here/'undisturbed'/'summary.json').read_text())['teacher']
    assert (t['calls'], t['prompt_tokens']) == (u['calls'], u['prompt_tokens'])


def test_values_that_no_stage_can_work_with(here):
    for change, said in {'score.n=0': '1 or more', 'synthesis.duplicate=1': 'between 0 and 1', 'score.temperature=nan': '0 or more', 'plan.backend=vlm': 'vllm', 'grpo.completions=1': 'two answers', 'seed=3': 'no setting'}.items():
        refused(synthrl('run', 'task.toml', *SMALL, '--set', change, '--out', 'out', cwd=here), change.partition('=')[0].partition('.')[2] or change, said)
    refused(synthrl('run', 'task.toml', *SMALL, '--seed', '-1', cwd=here), 'seed = -1')
    refused(synthrl('run', 'task.toml', *SMALL, '--budget-usd', '-1', cwd=here), 'budget_usd')
    refused(synthrl('run', 'task.toml', *SMALL, '--teacher', 'm', '--base-url', '127.0.0.1:80/v1', cwd=here), 'base_url', 'no address')
    assert not (here/'out').exists()


def test_a_damaged_run_is_taken_up(here):
    (here/'afile').write_text('')
    refused(synthrl('run', 'task.toml', *SMALL, '--out', 'afile', cwd=here), 'afile: is no folder', '--out')
    first = synthrl('run', 'task.toml', *SMALL, '--out', 'out', cwd=here); whole = made(here/'out')
    for name, text in {'settings.json': '{', 'stages.json': '[1]'}.items():
        (here/'out'/name).write_text(text)
        assert synthrl('run', 'task.toml', *SMALL, '--out', 'out', cwd=here).returncode == first.returncode == 0 and made(here/'out') == whole


def test_results_of_other_settings_are_left_out(here):
    synthrl('run', 'task.toml', *SMALL, '--out', 'out', cwd=here)
    r = synthrl('run', 'task.toml', *SMALL, '--seed', '5', '--until', 'passages', '--out', 'out', cwd=here)
    s = json.loads((here/'out'/'summary.json').read_text())
    assert s['seed'] == 5 and s['stale'] == ['initial'] and s['counts']['initial'] == 0 and 'left out of the summary: initial' in r.stdout
    settings = (here/'out'/'settings.json').read_text()
    assert synthrl('preview', 'task.toml', '--preset', 'laptop', '--out', 'out', cwd=here).returncode == 0 and (here/'out'/'settings.json').read_text() == settings
