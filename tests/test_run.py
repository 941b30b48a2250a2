"A run that is killed, repeated, changed: nothing is done or paid twice, and its samples are the same."
import json, os, random, signal, sqlite3, subprocess, sys, time
from importlib.util import find_spec
import pytest
from synthrl.task import data_path

SMALL = {'synthesis.n': 60, 'score.n': 8, 'plan.selected': 24, 'plan.heldout': 20, 'evaluate.limit': 40}
TRAIN = {'grpo.steps': 8, 'grpo.save_every': 4, 'grpo.prompts_per_step': 4, 'grpo.completions': 8,
         'grpo.micro_batch': 32}
STAGES = 'passages initial synth scored heldout train model eval figures'.split()
TRAINERS = 'unsloth', 'trl', 'vllm'
needs = pytest.mark.skipif
with_student = needs(not data_path('tiny/student').exists(), reason='the tiny student is not here')
with_trainer = needs(not all(map(find_spec, TRAINERS)), reason=f'one of {TRAINERS} is not installed')


RUN = '''
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would not hear of it
from synthrl.cli import main
sys.exit(main())
'''

def start(out, *args):
    "The command, in a process and a group of its own."
    command = [sys.executable, '-c', RUN, 'run', 'word_problems', '--preset', 'laptop', '--out', out]
    for key, value in (SMALL | TRAIN).items(): command += ['--set', f'{key}={value}']
    env = os.environ | dict(OMP_NUM_THREADS='1')  # many threads wait for each other on a busy machine
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=out.parent)
    return subprocess.Popen([*command, *args], start_new_session=True, **pipes)

def finish(out, *args):
    p = start(out, *args)
    try: stdout, stderr = p.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        kill(p)
        raise
    assert p.returncode == 0, stdout + stderr[-3000:]
    return stdout

def kill(p):
    os.killpg(p.pid, signal.SIGKILL)
    p.communicate()

def waits_for(p, seen, timeout=600):
    "Wait until something is seen in the folder; is the run still at work then?"
    end = time.time() + timeout
    while not seen() and p.poll() is None and time.time() < end: time.sleep(.005)
    return p.poll() is None

def kill_when(p, seen):
    "kill -9 as soon as something is seen in the folder; False where the run was over before."
    at_work = waits_for(p, seen)
    if at_work: kill(p)
    else: p.communicate()
    return at_work

def paid(out):
    "Calls that were answered, and replies that are kept."
    db = sqlite3.connect(out/'teacher.sqlite')
    calls, = db.execute("select count(*) from calls where state = 'paid'").fetchone()
    replies, = db.execute('select count(*) from replies').fetchone()
    return calls, replies

def files(out, *names): return {n: (out/f'{n}.jsonl').read_bytes() for n in names}
def summary(out): return json.loads((out/'summary.json').read_text())


def test_killed_again_and_again_while_the_teacher_writes(tmp_path):
    calm, torn, rng, kills = tmp_path/'calm', tmp_path/'torn', random.Random(0), 0
    finish(calm, '--until', 'initial')
    for _ in range(3):
        before = paid(torn)[0] if (torn/'teacher.sqlite').exists() else 0
        p, enough = start(torn, '--until', 'initial'), before + rng.randint(2, 25)
        def seen():
            try: return paid(torn)[0] >= enough
            except sqlite3.Error: return False
        kills += kill_when(p, seen)
    finish(torn, '--until', 'initial')
    assert kills >= 2
    assert files(torn, 'passages', 'initial') == files(calm, 'passages', 'initial')
    assert paid(torn) == paid(calm)                                   # no completed reply was paid for twice
    t, c = summary(torn)['teacher'], summary(calm)['teacher']
    for key in ('calls', 'prompt_tokens', 'completion_tokens'): assert t[key] == c[key]


def test_two_runs_at_once(tmp_path):
    "A second run in a folder at work is refused, and harms nothing."
    out = tmp_path/'out'
    p = start(out, '--until', 'initial')
    while not (out/'settings.json').exists(): time.sleep(.005)
    q = start(out, '--until', 'initial')
    _, err = q.communicate(timeout=300)
    p.communicate(timeout=300)
    assert p.returncode == 0
    if q.returncode: assert q.returncode == 2 and 'another run is at work' in err
    assert (out/'initial.jsonl').exists()


@with_student
@with_trainer
def test_whole_run_stopped_in_the_slow_stages(tmp_path):
    "One run undisturbed, one stopped in every way where a student is at work; both end alike. Then a recipe."
    calm, torn = tmp_path/'calm', tmp_path/'torn'
    finish(calm)
    p = start(torn)                                       # teacher and student at work
    assert kill_when(p, lambda: is_next(torn, 'synth')), 'it ended before synth'
    assert list(json.loads((torn/'stages.json').read_text())) == ['passages', 'initial']
    stop_the_training(torn)
    p = start(torn)
    assert kill_when(p, lambda: is_next(torn, 'eval')), 'it ended before eval'
    assert log_of(torn/'model') == log_of(calm/'model') == list(range(1, 9))
    said = finish(torn)
    for s in STAGES[:6]: assert f'{s:9} {s}.jsonl is there and nothing changed: skipped' in said
    assert files(torn, *STAGES[:6]) == files(calm, *STAGES[:6])
    assert paid(torn) == paid(calm)
    check_summary(calm, torn)
    assert finish(torn).count('skipped') == len(STAGES)               # and once more: nothing is left to do
    said = finish(torn, '--recipe', 'human', '--set', 'plan.human=40', '--set', 'grpo.steps=2')
    assert 'human     human.jsonl written' in said and said.count('skipped') == 1
    s = summary(torn)
    assert s['recipe'] == 'human' and s['counts']['scored'] == 40 and s['grpo']['steps'] == 2 and s['trained']


OURS = ('engines', *STAGES)

def stop_the_training(out):
    "Ctrl-C after the checkpoint of step 4, and kill -9 once it has gone on from there."
    p = start(out)
    assert waits_for(p, lambda: steps_done(out) > 4), 'it ended before step 5'
    p.send_signal(signal.SIGINT)
    said, err = p.communicate(timeout=60)
    assert p.returncode == 130
    assert err.strip().splitlines() == ['synthrl: stopped; the same command goes on from here']
    assert list(json.loads((out/'stages.json').read_text())) == STAGES[:6]
    p = start(out, '--until', 'model')
    assert waits_for(p, lambda: steps_done(out) == 4), 'it did not go back to the checkpoint'
    assert waits_for(p, lambda: steps_done(out) > 4), 'it ended before step 5'
    os.killpg(p.pid, signal.SIGKILL)
    said, _ = p.communicate()
    assert 'goes on after step 4 of 8' in said
    assert all(line.startswith(OURS) for line in said.splitlines()), said   # and no line of a library
    assert not (out/'model').exists()                     # it is there whole or not at all

def steps_done(out):
    "The last step in the log of a training under way."
    return max(log_of(out/'.model.partial'), default=0)

def log_of(folder):
    "The steps in a training's log; a last line may be half written."
    log = folder/'log.jsonl'
    if not log.exists(): return []
    return [json.loads(line)['step'] for line in log.read_text().splitlines() if line.endswith('}')]

def is_next(out, stage):
    "Is the stage before this one finished, so that this one is at work?"
    try: return STAGES[STAGES.index(stage) - 1] in json.loads((out/'stages.json').read_text())
    except (OSError, ValueError): return False


def check_summary(calm, torn):
    a, b = summary(calm), summary(torn)
    for k in ('counts', 'pass_rate', 'scoring', 'base', 'preset', 'recipe', 'task', 'seed', 'student'):
        assert a[k] == b[k], k
    assert set(a['counts']) == {'initial', 'adapted', 'scored', 'train', 'test'}
    assert a['counts']['initial'] == 60 and a['counts']['train'] == 24
    for name, n in (('initial', 60), ('synth', a['counts']['scored']), ('train', 24)):
        assert sum(a['pass_rate'][name]) == n
    assert {'calls', 'cached', 'prompt_tokens', 'completion_tokens', 'usd', 'agreement'} <= set(a['teacher'])
    told = {'steps', 'reward_first', 'reward_last', 'zero_variance', 'truncated', 'logprob_gap', 'seconds'}
    assert told <= set(a['grpo']) and a['grpo']['steps'] == 8
    assert {'accuracy', 'ci', 'k'} <= set(a['base']) & set(a['trained'])
    assert {'accuracy', 'ci', 'p'} <= set(a['difference'])
    assert set(a['seconds']) == set(STAGES)
    assert {'synthrl', 'torch', 'trl', 'unsloth', 'python'} <= set(a['versions'])
    assert len(a['stand_ins']) == 2
    page = (torn/'report.html').read_text()
    assert page.count('<figure>') == 5 and '<script' not in page
    assert len((torn/'eval.jsonl').read_text().splitlines()) == 40
