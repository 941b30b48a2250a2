"A run that is killed, repeated, changed: nothing is done or paid twice, and the samples come out as if nothing had happened."
import json, os, random, signal, sqlite3, subprocess, sys, time
from pathlib import Path
import pytest
from synthrl.task import data_path

SMALL = '--preset laptop --set synthesis.n=60 --set score.n=8 --set plan.selected=24 --set plan.heldout=20 --set evaluate.limit=40'.split()
TRAIN = '--set grpo.steps=4 --set grpo.prompts_per_step=4 --set grpo.completions=8 --set grpo.micro_batch=32'.split()
STAGES = 'passages initial synth scored heldout train model eval figures'.split()
with_student = pytest.mark.skipif(not data_path('tiny/student').exists(), reason='the tiny student is not here')
with_trainer = pytest.mark.skipif(not all(map(__import__('importlib').util.find_spec, ('unsloth', 'trl', 'vllm'))), reason='unsloth, trl or vllm is not installed')


def start(out, *args):
    code = 'import sys; from synthrl.cli import main; sys.exit(main())'
    return subprocess.Popen([sys.executable, '-c', code, 'run', 'word_problems', '--out', str(out), *SMALL, *TRAIN, *map(str, args)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

def finish(out, *args):
    p = start(out, *args)
    try: stdout, stderr = p.communicate(timeout=900)
    except subprocess.TimeoutExpired: kill(p); raise
    assert p.returncode == 0, stdout + stderr[-3000:]
    return stdout

def kill(p):
    os.killpg(p.pid, signal.SIGKILL); p.communicate()

def kill_when(p, seen, timeout=600):
    "kill -9 as soon as something is seen in the folder."
    end = time.time() + timeout
    while not seen() and p.poll() is None and time.time() < end: time.sleep(.005)
    over = p.poll() is not None
    kill(p) if not over else p.communicate()
    return not over

def paid(out):
    "Calls that were answered, and replies that are kept."
    db = sqlite3.connect(out/'teacher.sqlite')
    return db.execute("select count(*) from calls where state = 'paid'").fetchone()[0], db.execute('select count(*) from replies').fetchone()[0]

def files(out, *names): return {n: (out/f'{n}.jsonl').read_bytes() for n in names}


def test_killed_again_and_again_while_the_teacher_writes(tmp_path):
    calm, torn, rng, kills = tmp_path/'calm', tmp_path/'torn', random.Random(0), 0
    finish(calm, '--until', 'initial')
    for _ in range(8):
        p, before = start(torn, '--until', 'initial'), paid(torn)[0] if (torn/'teacher.sqlite').exists() else 0
        enough = before + rng.randint(2, 25)
        def seen():
            try: return paid(torn)[0] >= enough
            except sqlite3.Error: return False
        kills += kill_when(p, seen)
    finish(torn, '--until', 'initial')
    assert kills >= 3
    assert files(torn, 'passages', 'initial') == files(calm, 'passages', 'initial')
    assert paid(torn) == paid(calm)                                   # no completed reply was paid for twice
    t, c = (json.loads((d/'summary.json').read_text())['teacher'] for d in (torn, calm))
    assert {k: t[k] for k in ('calls', 'prompt_tokens', 'completion_tokens')} == {k: c[k] for k in ('calls', 'prompt_tokens', 'completion_tokens')}


def test_two_runs_at_once(tmp_path):
    "A second run in a folder at work is refused, and harms nothing."
    p = start(tmp_path/'out', '--until', 'initial')
    while not (tmp_path/'out'/'settings.json').exists(): time.sleep(.005)
    q = start(tmp_path/'out', '--until', 'initial'); _, err = q.communicate(timeout=120)
    assert p.wait(timeout=120) == 0; p.communicate()
    if q.returncode: assert q.returncode == 2 and 'another run is at work' in err
    assert (tmp_path/'out'/'initial.jsonl').exists()


@with_student
@with_trainer
def test_whole_run_killed_in_the_slow_stages(tmp_path):
    "One run undisturbed, one killed within the stages that need a student; both end alike."
    calm, torn = tmp_path/'calm', tmp_path/'torn'
    finish(calm)
    for stage in ('synth', 'scored', 'model', 'eval'):
        p = start(torn); assert kill_when(p, lambda: is_next(torn, stage)), f'it ended before {stage}'
        done = STAGES[:STAGES.index(stage)]
        assert list(json.loads((torn/'stages.json').read_text())) == done
        if 'model' not in done: assert not (torn/'model').exists()        # a model folder is there whole or not at all
    said = finish(torn)
    for s in STAGES[:6]: assert f'{s:9} {s}.jsonl is there and nothing changed: skipped' in said
    assert files(torn, *STAGES[:6]) == files(calm, *STAGES[:6])
    assert paid(torn) == paid(calm)
    check_summary(calm, torn)
    assert finish(torn).count('skipped') == len(STAGES)               # and once more: nothing is left to do


def is_next(out, stage):
    "Is the stage before this one finished, so that this one is at work?"
    try: return STAGES[STAGES.index(stage) - 1] in json.loads((out/'stages.json').read_text())
    except (OSError, ValueError): return False


def check_summary(calm, torn):
    a, b = (json.loads((d/'summary.json').read_text()) for d in (calm, torn))
    for k in ('counts', 'pass_rate', 'scoring', 'base', 'preset', 'task', 'seed', 'student'): assert a[k] == b[k], k
    assert set(a['counts']) == {'initial', 'adapted', 'scored', 'train', 'test'}
    assert a['counts']['initial'] == 60 and a['counts']['train'] == 24
    assert all(sum(a['pass_rate'][k]) == n for k, n in (('initial', 60), ('synth', a['counts']['scored']), ('train', 24)))
    assert {'calls', 'cached', 'prompt_tokens', 'completion_tokens', 'usd', 'agreement'} <= set(a['teacher'])
    assert {'steps', 'reward_first', 'reward_last', 'zero_variance', 'truncated', 'logprob_gap', 'seconds'} <= set(a['grpo']) and a['grpo']['steps'] == 4
    assert {'accuracy', 'ci', 'k'} <= set(a['base']) & set(a['trained']) and {'accuracy', 'ci', 'p'} <= set(a['difference'])
    assert set(a['seconds']) == set(STAGES) and {'synthrl', 'torch', 'trl', 'unsloth', 'python'} <= set(a['versions'])
    assert len(a['stand_ins']) == 2
    page = (torn/'report.html').read_text()
    assert page.count('<figure>') == 5 and '<script' not in page and len((torn/'eval.jsonl').read_text().splitlines()) == 40


@with_student
def test_changed_settings_redo_what_depends_on_them(tmp_path):
    args = ['--set', 'plan.backend=transformers', '--until', 'train']
    finish(tmp_path/'out', *args)
    first = files(tmp_path/'out', *STAGES[:6])
    said = finish(tmp_path/'out', *args, '--set', 'plan.selected=12')
    assert said.count('skipped') == 5 and 'train     is done again, changed: plan.selected' in said
    assert files(tmp_path/'out', *STAGES[:5]) == {k: v for k, v in first.items() if k != 'train'}
    assert len((tmp_path/'out'/'train.jsonl').read_text().splitlines()) == 12
    kept = (tmp_path/'out'/'scored.jsonl').read_text().splitlines()[5:]
    (tmp_path/'out'/'scored.jsonl').write_text('\n'.join(kept) + '\n')            # a person takes five samples out
    said = finish(tmp_path/'out', *args, '--set', 'plan.selected=12')
    assert 'train     is done again, changed: scored.jsonl' in said and said.count('skipped') == 5
    said = finish(tmp_path/'out', *args, '--seed', '1')
    assert 'skipped' not in said and files(tmp_path/'out', 'initial') != files(tmp_path/'out', 'train')
