"Scoring, killed in the middle: a chunk at most is done again, and the rates are those of an undisturbed run."
import errno, os, random, signal, subprocess, sys, tempfile, time
from pathlib import Path
from types import SimpleNamespace

import pytest

from synthrl.score import Score, score
from synthrl.task import Sample, Task, UserError

ROOT = Path(__file__).parent.parent

CHILD = '''
import random, sys, time
from types import SimpleNamespace
from synthrl.score import Score, score
from synthrl.task import Sample, Task, write_samples

folder = sys.argv[1]
log = open(f'{folder}/asked.txt', 'a')

class Slow:
    def sample(self, prompts, n=1, seed=0, **how):
        time.sleep(.02)
        print(len(prompts), file=log, flush=True)
        rng = random.Random(f'{seed}{prompts}')
        def answer(): return SimpleNamespace(text=f'#### {rng.randrange(3)}', tokens=3, finished=True)
        return [[answer() for _ in range(n)] for _ in prompts]

samples = [Sample(f'question {i}', '#### 1') for i in range(200)]
task = Task('t', 'd', 'o', 'number', prompt='{input}')
scored = score(task, Slow(), samples, settings=Score(n=16, chunk=5), partial=f'{folder}/partial.jsonl')
write_samples(f'{folder}/scored.jsonl', scored)
'''


def start(folder):
    folder.mkdir(exist_ok=True)
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, '-c', CHILD, str(folder)]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def finish(folder):
    p = start(folder)
    _, err = p.communicate(timeout=120)
    assert p.returncode == 0, err
    assert not err    # the progress bar is quiet where there is no terminal
    return (folder/'scored.jsonl').read_text()


def asked(folder):
    log = folder/'asked.txt'
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def kill(folder, goal):
    "Start, and kill it when so many questions were asked."
    p, since = start(folder), time.time()
    while p.poll() is None and time.time() - since < 30 and asked(folder) < goal: time.sleep(.002)
    p.send_signal(signal.SIGKILL)
    p.wait()
    p.stderr.close()


@pytest.mark.timeout(120)
def test_killed_and_resumed(tmp_path):
    whole, cut, rng = finish(tmp_path/'whole'), tmp_path/'cut', random.Random(0)
    for _ in range(3): kill(cut, asked(cut) + rng.randint(10, 50))
    assert finish(cut) == whole
    assert asked(tmp_path/'whole') == 200 and asked(cut) <= 200 + 3*5


def test_a_full_disk_is_said_in_one_line(monkeypatch, tmp_path):
    def full(*a, **kw): raise OSError(errno.ENOSPC, 'No space left on device')
    def sample(prompts, n, **kw): return [[SimpleNamespace(text='#### 1')]*n for _ in prompts]
    student, task = SimpleNamespace(sample=sample), Task('t', 'd', 'o', 'number')
    monkeypatch.setattr(tempfile, 'NamedTemporaryFile', full)
    with pytest.raises(UserError, match='partial.jsonl: the disk is full'):
        score(task, student, [Sample('q', '#### 1')], settings=Score(n=2), partial=tmp_path/'partial.jsonl')
