"Scoring: what it costs, what is kept, and that a killed one asks for a portion again at most."
import errno, json, os, random, signal, subprocess, sys, time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthrl.score import Score, read_rollouts, rollouts, score
from synthrl.score.sequential import sequential
from synthrl.select import select
from synthrl.select.chances import for_select
from synthrl.student import Completion
from synthrl.task import Sample, Task, UserError

ROOT = Path(__file__).parent.parent

CHILD = '''
import random, sys, time
from types import SimpleNamespace
from synthrl.score import Score, score
from synthrl.select.chances import for_select
from synthrl.task import Sample, Task, write_samples

folder, method = sys.argv[1:]
log = open(f'{folder}/asked.txt', 'a')

class Slow:
    def sample(self, prompts, n=1, seed=0, **how):
        time.sleep(.02)
        print(len(prompts)*n, file=log, flush=True)
        rng = random.Random(f'{seed}{prompts}')
        def answer(): return SimpleNamespace(text=f'#### {rng.randrange(3)}', tokens=3, finished=True)
        return [[answer() for _ in range(n)] for _ in prompts]

samples = [Sample(f'question {i}', '#### 1') for i in range(200)]
task = Task('t', 'd', 'o', 'number', prompt='{input}')
cfg = Score(n=16, method=method, chunk=80, full=100)
kept = f'{folder}/rollouts.jsonl.gz'
scored = score(task, Slow(), samples, use=for_select(30), settings=cfg, rollouts=kept)
write_samples(f'{folder}/scored.jsonl', scored)
'''


def start(folder, method):
    folder.mkdir(exist_ok=True)
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, '-c', CHILD, str(folder), method]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def finish(folder, method):
    p = start(folder, method)
    _, err = p.communicate(timeout=250)
    assert p.returncode == 0, err
    assert not err    # the progress bar is quiet where there is no terminal
    return (folder/'scored.jsonl').read_text()


def asked(folder):
    log = folder/'asked.txt'
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def kill(folder, method, goal):
    "Start, and kill it when so many answers were asked for."
    p, since = start(folder, method), time.time()
    while p.poll() is None and time.time() - since < 30 and asked(folder) < goal: time.sleep(.002)
    p.send_signal(signal.SIGKILL)
    p.wait()
    p.stderr.close()


@pytest.mark.parametrize('method', ['fixed', 'sequential'])
@pytest.mark.timeout(900)
def test_killed_and_resumed(tmp_path, method):
    whole, cut, rng = finish(tmp_path/'whole', method), tmp_path/'cut', random.Random(0)
    for _ in range(3): kill(cut, method, asked(cut) + rng.randint(160, 800))
    assert finish(cut, method) == whole
    assert asked(tmp_path/'whole') == sum(json.loads(line)['rollouts'] for line in whole.splitlines())
    assert asked(cut) <= asked(tmp_path/'whole') + 3*80
    kept = read_rollouts(cut/'rollouts.jsonl.gz')
    assert sum(map(len, kept.values())) == asked(tmp_path/'whole')     # each answer once
    for row in map(json.loads, whole.splitlines()):
        assert row['pass_rate'] == sum(r['right'] for r in kept[row['id']])/row['rollouts']


class Dice:
    "Right as often as the question says; the answers depend on the question and the call's seed alone."
    asked = 0
    def sample(self, prompts, n=1, seed=0, **how):
        self.asked += n*len(prompts)
        return [[self.one(p, f'{seed}:{p}:{i}') for i in range(n)] for p in prompts]

    def one(self, prompt, seed):
        right = random.Random(seed).random() < float(prompt.split()[-1])
        return Completion(f'#### {int(right)}', 3, True)


def questions(rates): return [Sample(f'question {i} {p}', '#### 1') for i, p in enumerate(rates)]


TASK = Task('t', 'd', 'o', 'number', prompt='{input}')


@pytest.fixture(scope='module')
def pool():
    rng = random.Random(0)
    return questions([round(rng.betavariate(.5, .6), 4) for _ in range(120)])


def test_the_budget_and_the_cap_hold(pool):
    student = Dice()
    scored = score(TASK, student, pool, settings=Score(n=32, mean=9, full=1))
    counts = [s.rollouts for s in scored]
    assert student.asked == sum(counts) <= 9*len(pool)
    assert min(counts) >= 2 and max(counts) <= 32 and len(set(counts)) > 1
    assert len({s.rollouts for s in score(TASK, Dice(), pool, settings=Score(n=2))}) == 1


def of(counts, asked):
    return [Sample(f'q{i}', 'a', pass_rate=r/k, rollouts=k) for i, (r, k) in enumerate(zip(counts, asked))]


def test_a_selection_costs_a_fraction_and_chooses_as_well():
    "It has as much in common with a second scoring of 64 as a first one, less three points; over ten pools."
    def chosen(counts, asked): return {s.id for s in select(of(counts, asked), 200)}
    apart, cost = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        said = rng.random((600, 3, 64)) < rng.beta(.5, .6, (600, 1, 1))
        one, two = (chosen(said[:, i].sum(1).tolist(), [64]*600) for i in (0, 1))
        def ask(who, until): return [said[i, 2, :n].sum() for i, n in zip(who, until)]
        right, asked = sequential(ask, 600, Score(), for_select(200))
        mine = chosen(right.tolist(), asked.tolist())
        apart.append((len(mine & two) - len(one & two))/200)
        cost.append(asked.mean())
    assert np.mean(cost) < 24 and np.mean(apart) > -.03, (cost, apart)


def test_others_change_nothing(pool):
    "Asked alike, a question gets the same answers whoever is asked beside it."
    some = score(TASK, Dice(), pool[:50], n=8, method='fixed')
    assert score(TASK, Dice(), pool, n=8, method='fixed')[:50] == some
    assert score(TASK, Dice(), pool[:50][::-1], n=8, method='fixed')[::-1] == some


def test_more_answers_are_new_ones(pool, tmp_path):
    kept, student = tmp_path/'rollouts.jsonl.gz', Dice()
    four = score(TASK, student, pool[:20], n=4, method='fixed', rollouts=kept)
    eight = score(TASK, student, pool[:20], n=8, method='fixed', rollouts=kept)
    assert student.asked == 8*20
    gained = [e.pass_rate*8 - f.pass_rate*4 for e, f in zip(eight, four)]
    assert gained != [f.pass_rate*4 for f in four] and all(0 <= g <= 4 for g in gained)
    assert score(TASK, student, pool[:20], n=4, method='fixed', rollouts=kept) == four
    assert student.asked == 8*20


def test_a_question_with_another_label_is_another(tmp_path):
    kept, student = tmp_path/'rollouts.jsonl.gz', Dice()
    one = Sample('q 1.0', '#### 1', id='same')
    right, wrong = one, replace(one, output='#### 7')
    assert score(TASK, student, [right], n=4, method='fixed', rollouts=kept)[0].pass_rate == 1
    assert score(TASK, student, [wrong], n=4, method='fixed', rollouts=kept)[0].pass_rate == 0
    assert score(TASK, student, [right, right], n=4, method='fixed', rollouts=kept)[1].pass_rate == 1
    assert student.asked == 8


def test_no_answers_is_a_mistake():
    with pytest.raises(UserError, match='score.n = 0'): score(TASK, Dice(), [], n=0)
    with pytest.raises(UserError, match='score.method = quick'): score(TASK, Dice(), [], method='quick')


def test_the_file_is_read_once_a_scoring(monkeypatch, pool, tmp_path):
    "A torn tail is cut when the file is opened; each portion after that is added and nothing is read."
    kept, read = tmp_path/'rollouts.jsonl.gz', []
    def whole(data, by=rollouts._whole):
        read.append(len(data))
        return by(data)
    monkeypatch.setattr(rollouts, '_whole', whole)
    score(TASK, Dice(), pool[:60], n=4, method='fixed', rollouts=kept)
    assert read == []
    size = kept.stat().st_size
    kept.write_bytes(kept.read_bytes() + rollouts.gzip.compress(b'torn')[:-3])
    student, small = Dice(), Score(n=8, method='fixed', chunk=80)      # in three portions
    scored = score(TASK, student, pool[:60], settings=small, rollouts=kept)
    assert student.asked == 4*60 and len(read) == 1 and read[0] > size
    assert sum(map(len, read_rollouts(kept).values())) == 8*60
    assert score(TASK, Dice(), pool[:60], settings=small, rollouts=kept) == scored


def test_a_full_disk_is_said_in_one_line(monkeypatch, tmp_path):
    def full(*a, **kw): raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(UserError, match='rollouts.jsonl.gz: the disk is full'):
        score(TASK, Dice(), questions([1]), n=2, rollouts=tmp_path/'rollouts.jsonl.gz')
