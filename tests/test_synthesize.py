"""Synthesis in a process of its own, killed at random moments: the same samples in the end, and no reply paid for twice."""
import json, os, random, signal, sqlite3, subprocess, sys, time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# a teacher over the real client whose replies differ from call to call, as a paid one's do; each call is noted in a file
CHILD = '''
import asyncio, json, os, random, sys
import httpx2
from synthrl.tiny.teacher import answer_request
from synthrl import teacher
from synthrl.task import Task, write_samples
from synthrl.retrieve import open_library
from synthrl.synthesize import Synthesis, find_passages, synthesize

folder, dice, n = sys.argv[1], sys.argv[2] == 'dice', int(sys.argv[3])
log = open(f'{folder}/calls.jsonl', 'a')

async def handle(request):
    body = json.loads(request.content)
    await asyncio.sleep(.005)
    if dice: body['seed'] = random.SystemRandom().randrange(2**30)
    reply = answer_request(body)
    log.write(json.dumps([body['messages'][0]['content'], body.get('n', 1)]) + '\\n'); log.flush()
    return httpx2.Response(200, json=reply)

teacher.TRANSPORTS['noted'] = lambda: httpx2.MockTransport(handle)
task = Task.load('word_problems')
with teacher.Teacher('noted', cache=f'{folder}/teacher.sqlite', seed=0, concurrency=8) as t:
    passages = find_passages(task, t, open_library(), n)
    samples = synthesize(task, t, passages, n, Synthesis(votes=8))
write_samples(f'{folder}/initial.jsonl', samples)
'''


def start(folder, how='seeded', n=60):
    folder.mkdir(exist_ok=True)
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.Popen([sys.executable, '-c', CHILD, str(folder), how, str(n)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(folder, *args):
    out, err = (p := start(folder, *args)).communicate(timeout=180)
    assert p.returncode == 0, err
    return (folder/'initial.jsonl').read_text(), out


def calls(folder): return [json.loads(l) for l in (folder/'calls.jsonl').read_text().splitlines() if l.endswith(']')]


@pytest.mark.timeout(300)
def test_killed_and_resumed(tmp_path):
    whole, _ = finish(tmp_path/'whole')
    rng, cut = random.Random(0), tmp_path/'cut'
    for _ in range(4):
        p = start(cut); before = len(calls(cut)) if (cut/'calls.jsonl').exists() else 0
        goal, since = before + rng.randint(5, 25), time.time()
        while p.poll() is None and time.time() - since < 60 and not ((cut/'calls.jsonl').exists() and len(calls(cut)) >= goal): time.sleep(.002)
        p.send_signal(signal.SIGKILL); p.wait()
        assert not (cut/'initial.jsonl').exists()
    assert finish(cut)[0] == whole
    assert len(calls(tmp_path/'whole')) <= len(calls(cut)) <= len(calls(tmp_path/'whole')) + 4 * 8   # what was in flight when it died


@pytest.mark.timeout(300)
def test_what_was_paid_settles_the_samples(tmp_path):
    "A teacher that never says the same thing twice: a rerun on its cache gives the same samples without a call."
    first, _ = finish(tmp_path, 'dice')
    paid = len(calls(tmp_path))
    (tmp_path/'initial.jsonl').unlink()
    assert finish(tmp_path, 'dice')[0] == first
    assert len(calls(tmp_path)) == paid


def test_exactly_n_with_every_kind_of_bad_reply():
    "Refusals, prose, torn and empty objects, wrong answers, copies, test questions: 40 samples are 40 samples, and the report adds up."
    from collections import Counter
    from synthrl.teacher.ledger import Reply
    from synthrl.retrieve import Passage
    from synthrl.synthesize import Synthesis, synthesize
    from synthrl.task import Task
    rng = random.Random(1)
    words = 'amber birch cedar delta ember fjord grove heath inlet jetty knoll lagoon marsh north ocean prairie quarry ridge shore tundra'.split()

    def write(prompt):
        a, b, story = rng.randrange(50), rng.randrange(50), ' '.join(rng.choices(words, k=14))
        good = json.dumps(dict(input=f'{story}: what is {a} plus {b}?', output=f'#### {a + b + (rng.random() < .2)}'))
        return rng.choices([good, "I'm sorry, I can't help with that.", good[:25], '{}', 'Here it is:\n```json\n' + good + '\n```',
                            json.dumps(dict(input='The question that every one of these prompts gets, word for word', output='#### 1')),
                            json.dumps(dict(input='How many legs has a cow in the meadow?', output='#### 4'))], (50, 6, 6, 4, 14, 10, 10))[0]

    def solve(prompt):
        asked = prompt.split('<question>')[1].split('</question>')[0]
        if 'plus' not in asked: return '#### 1'
        a, b = (int(w.strip('?')) for w in asked.split('what is')[1].split() if w.strip('?').isdigit())
        return rng.choices([f'#### {a + b}', f'#### {a - b - 1}', 'I am not sure.'], (70, 15, 15))[0]

    class Wild:
        "Keeps what it said, as a cache does."
        said = {}
        def ask(self, prompts, n=1, **kw):
            for p in prompts:
                while len(self.said.setdefault(p, [])) < n: self.said[p].append((write if '<passage' in p else solve)(p))
            return [self.said[p][:n] for p in prompts]
        def replies(self, prompts, n=1, **kw): return [[Reply(t) for t in texts] for texts in self.ask(prompts, n)]

    task = Task('sums', 'Add up.', 'The result after ####.', 'number')
    passages, report = [Passage(str(i), words[i], ' '.join(words[i:])) for i in range(20)], Counter()
    samples = synthesize(task, Wild(), passages, 40, Synthesis(votes=6), held=['How many legs has a cow in the meadow?'], report=report)
    assert len(samples) == 40 and len({s.input for s in samples}) == 40
    dropped = ('unusable', 'duplicates', 'contaminated', 'unanswered', 'tied', 'low_agreement')
    assert report['attempts'] == 40 + sum(report[k] for k in dropped)
    assert report['contaminated'] > 0 and report['duplicates'] > 0 and report['unreadable'] > 0 and report['refused'] > 0
    assert not any('cow' in s.input for s in samples)
    wrong = sum(int(s.answer) != sum(int(w.strip('?')) for w in s.input.split('what is')[1].split() if w.strip('?').isdigit()) for s in samples if 'plus' in s.input)
    assert wrong <= 1, wrong


KINDS = [('number', [], 'How many?', ['18', '#### 18', 'The answer is 18.', '#### 17'], '18'),
         ('math', [], 'Solve.', [r'\boxed{\frac{1}{2}}', r'so \boxed{0.5}', r'\boxed{1/2}', r'\boxed{2}'], r'\boxed{0.5}'),
         ('choice', [], 'Which?\nA) iron\nB) gold\nC) lead', ['B', 'The answer is (B).', 'It is gold.\n#### gold', 'Answer: C'], 'B'),
         ('label', ['entailment', 'neutral'], 'Premise and hypothesis.', ['neutral', '#### Neutral', 'The answer is neutral.', '#### entailment'], 'neutral'),
         ('yes_no', [], 'Is it?', ['#### yes', 'The answer is yes.', 'Yes.', 'No.'], 'yes'),
         ('text', [], 'Who?', ['#### Ada Lovelace', 'The answer is Ada Lovelace.', '#### ada  lovelace', '#### Babbage'], 'Ada Lovelace')]


@pytest.mark.parametrize('kind, labels, question, answers, label', KINDS, ids=[k[0] for k in KINDS])
def test_the_vote_reads_every_kind_of_answer(kind, labels, question, answers, label):
    from synthrl.synthesize import decide
    from synthrl.task import Sample, Task
    from synthrl.verify import judge
    task = Task('t', 'd', 'o', kind, labels=labels)
    kept = decide(task, Sample(question, answers[3]), answers[:3])   # the written answer is the odd one out
    assert (kept.agreement, kept.votes) == (.75, 4) and kept.output == answers[0]
    assert judge(kind, label, kept.answer, labels, question) == judge(kind, kept.output, kept.answer, labels, question) == 'correct'
    assert decide(task, Sample(question, answers[0]), answers[3:]) == 'tied'
