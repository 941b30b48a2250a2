"""Synthesis in a process of its own, killed at random moments: the same samples in the end."""
import json, os, random, signal, subprocess, sys, time
from collections import Counter
from pathlib import Path

import pytest

from synthrl.retrieve import Passage
from synthrl.synthesize import HeldOut, Synthesis, decide, synthesize
from synthrl.task import Sample, Task, UserError
from synthrl.teacher import Reply
from synthrl.verify import judge

ROOT = Path(__file__).parent.parent

# a teacher over the real client whose replies differ from call to call, as a paid one's do;
# each call is noted in a file
CHILD = '''
import asyncio, json, os, random, sys
import httpx2
from synthrl.tiny.teacher import answer_request
from synthrl import teacher
from synthrl.task import Task, write_samples
from synthrl.retrieve import read_passages
from synthrl.synthesize import Synthesis, find_keywords, synthesize

folder, dice, n = sys.argv[1], sys.argv[2] == 'dice', int(sys.argv[3])
log = open(f'{folder}/calls.jsonl', 'a')

async def handle(request):
    body = json.loads(request.content)
    await asyncio.sleep(.005)
    if dice: body['seed'] = random.SystemRandom().randrange(2**30)
    reply = answer_request(body)
    log.write(json.dumps([body['messages'][0]['content'], body.get('n', 1)]) + '\\n')
    log.flush()
    return httpx2.Response(200, json=reply)

teacher.TRANSPORTS['noted'] = lambda: httpx2.MockTransport(handle)
task = Task.load('word_problems')
with teacher.Teacher('noted', cache=f'{folder}/teacher.sqlite', seed=0, concurrency=8) as t:
    find_keywords(task, t)
    samples = synthesize(task, t, read_passages(limit=2*n), n, Synthesis(votes=8))
write_samples(f'{folder}/initial.jsonl', samples)
'''


def start(folder, how='seeded', n=60):
    folder.mkdir(exist_ok=True)
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, '-c', CHILD, str(folder), how, str(n)], env=env, **pipes)


def finish(folder, *args):
    process = start(folder, *args)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return (folder/'initial.jsonl').read_text()


def calls(folder):
    path = folder/'calls.jsonl'
    if not path.exists(): return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith(']')]


def kill_after(folder, goal, seconds=60):
    "A process that is killed once there are so many calls."
    process, since = start(folder), time.time()
    while process.poll() is None and len(calls(folder)) < goal and time.time() - since < seconds:
        time.sleep(.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.timeout(300)
def test_killed_and_resumed(tmp_path):
    rng, whole, cut = random.Random(0), tmp_path/'whole', tmp_path/'cut'
    samples = finish(whole)
    for _ in range(3):
        kill_after(cut, goal=len(calls(cut)) + rng.randint(5, 25))
        assert not (cut/'initial.jsonl').exists()
    assert finish(cut) == samples
    in_flight = 3 * 8   # when it died
    assert len(calls(whole)) <= len(calls(cut)) <= len(calls(whole)) + in_flight


@pytest.mark.timeout(300)
def test_what_was_paid_settles_the_samples(tmp_path):
    "A teacher that never says the same thing twice: a rerun on its cache calls nobody."
    first = finish(tmp_path, 'dice')
    paid = len(calls(tmp_path))
    (tmp_path/'initial.jsonl').unlink()
    assert finish(tmp_path, 'dice') == first
    assert len(calls(tmp_path)) == paid


WORDS = ('amber birch cedar delta ember fjord grove heath inlet jetty knoll lagoon marsh north ocean prairie '
         'quarry ridge shore tundra').split()
COW = 'How many legs has a cow in the meadow?'
COPY = 'The question that every one of these prompts gets, word for word'


def a_sample(question, answer): return json.dumps(dict(input=question, output=f'#### {answer}'))


def sum_of(question):
    "What is asked for; None where it is no sum."
    if 'plus' not in question: return None
    a, _, b = question.rpartition('what is ')[2].strip('?').split()
    return int(a) + int(b)


class Wild:
    "A teacher that gives every kind of bad reply, and keeps what it said, as a cache does."
    def __init__(self): self.rng, self.said = random.Random(1), {}

    def write(self):
        a, b = self.rng.randrange(50), self.rng.randrange(50)
        story = ' '.join(self.rng.choices(WORDS, k=14))
        error = self.rng.random() < .2
        good = a_sample(f'{story}: what is {a} plus {b}?', a + b + error)
        replies = {good: 50, "I'm sorry, I can't help with that.": 6, good[:25]: 6, '{}': 4,
                   f'Here it is:\n```json\n{good}\n```': 14, a_sample(COPY, 1): 10, a_sample(COW, 4): 10}
        return self.rng.choices(list(replies), replies.values())[0]

    def solve(self, prompt):
        right = sum_of(prompt.split('<question>\n')[1].split('\n</question>')[0])
        if right is None: return '#### 1'
        return self.rng.choices([f'#### {right}', f'#### {right - 77}', 'I am not sure.'], (70, 15, 15))[0]

    def ask(self, prompts, n=1, **how):
        for p in prompts:
            said = self.said.setdefault(p, [])
            while len(said) < n: said.append(self.write() if '<passage' in p else self.solve(p))
        return [self.said[p][:n] for p in prompts]

    def replies(self, prompts, n=1, **how):
        return [list(map(Reply, texts)) for texts in self.ask(prompts, n)]


@pytest.mark.parametrize('held', [[COW], HeldOut([COW])], ids=['questions', 'HeldOut'])
def test_exactly_n_with_every_kind_of_bad_reply(held):
    "Refusals, prose, torn and empty objects, wrong answers, copies, test questions: 40 are 40."
    task, lost = Task('sums', 'Add up.', 'The result after ####.', 'number'), Counter()
    passages = [Passage(str(i), WORDS[i], ' '.join(WORDS[i:])) for i in range(20)]
    samples = synthesize(task, Wild(), passages, 40, Synthesis(votes=6), held=held, lost=lost)
    assert len(samples) == 40 and len({s.input for s in samples}) == 40
    dropped = ('unusable', 'duplicates', 'contaminated', 'unanswered', 'tied', 'low_agreement')
    assert lost['attempts'] == 40 + sum(lost[k] for k in dropped)
    for why in ('contaminated', 'duplicates', 'unreadable', 'refused'): assert lost[why] > 0
    assert not any('cow' in s.input for s in samples)
    wrong = [s for s in samples if sum_of(s.input) not in (None, int(s.answer))]
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize('wrong', [dict(n=0), dict(votes=-1), dict(min_agreement=0), dict(min_agreement=1.5),
                                   dict(duplicate=1), dict(temperature=-.1), dict(extra=-1), dict(seed=.5)])
def test_a_setting_out_of_its_range_is_one_line(wrong):
    (name, value), = wrong.items()
    said = f'synthesis.{name} = {value} — give .* is the default'
    with pytest.raises(UserError, match=said): Synthesis(**wrong)


KINDS = [
    ('number', [], 'How many?', ['18', '#### 18', 'The answer is 18.', '#### 17'], '18'),
    ('math', [], 'Solve.',
     [r'\boxed{\frac{1}{2}}', r'so \boxed{0.5}', r'\boxed{1/2}', r'\boxed{2}'], r'\boxed{0.5}'),
    ('choice', [], 'Which?\nA) iron\nB) gold\nC) lead',
     ['B', 'The answer is (B).', 'It is gold.\n#### gold', 'Answer: C'], 'B'),
    ('label', ['entailment', 'neutral'], 'Premise and hypothesis.',
     ['neutral', '#### Neutral', 'The answer is neutral.', '#### entailment'], 'neutral'),
    ('yes_no', [], 'Is it?', ['#### yes', 'The answer is yes.', 'Yes.', 'No.'], 'yes'),
    ('text', [], 'Who?',
     ['#### Ada Lovelace', 'The answer is Ada Lovelace.', '#### ada  lovelace', '#### Babbage'],
     'Ada Lovelace')]


@pytest.mark.parametrize('kind, labels, question, answers, label', KINDS, ids=[k[0] for k in KINDS])
def test_the_vote_reads_every_kind_of_answer(kind, labels, question, answers, label):
    task = Task('t', 'd', 'o', kind, labels=labels)
    kept = decide(task, Sample(question, answers[3]), answers[:3])   # the written answer is the odd one out
    assert (kept.agreement, kept.votes) == (.75, 4) and kept.output == answers[0]
    for answer in (label, kept.output): assert judge(kind, answer, kept.answer, labels, question) == 'correct'
    assert decide(task, Sample(question, answers[0]), answers[3:]) == 'tied'
