"What needs processes, faults and a clock: hostile text, killed workers, threads, the suites of real cases."

import json, os, random, subprocess, sys, threading, time
from contextlib import suppress
from pathlib import Path
import pytest
from synthrl.verify import algebra as eq
from synthrl.verify import REGISTRY, Verdict, judge, judge_all

root = Path(__file__).parent.parent
shared = root / '../shared/eval'
needs_eval = pytest.mark.skipif(not shared.exists(), reason='../shared/eval is not there')
labels = dict(label=('entailment', 'neutral', 'contradiction'))


def rows(name):
    return [json.loads(l) for l in (shared / name).open()]


frames = [
    '{}',
    '\\boxed{{}}',
    '<answer>{}</answer>',
    '#### {}',
    'The answer is {}',
    '${}$',
    '<think>{}</think> so {}',
    '\\[ {} \\]',
    '(A) {}\n(B) 1',
    '1 + {}',
    '```python\n{}\n```',
]


# ---- hostile text


def hostile(n=1000, seed=0):
    "Strings made to hang, crash or bloat a checker."
    r = random.Random(seed)
    size = lambda: int(10 ** r.uniform(1, 6))
    deep = lambda a, b: a * (k := min(size(), 10**5)) + 'x' + b * k
    unit = lambda: r.choice(
        [
            ' ',
            '\n',
            '(',
            '{',
            '\\',
            '$',
            '####',
            '\\boxed{',
            '<answer>',
            '<think>',
            'a',
            '1',
            '1,111',
            ',',
            '-',
            '- ',
            '.',
            '*',
            '\t',
            'A. ',
            '(A) ',
            'answer ',
            'the answer is ',
            'no ',
            'not ',
            '\\frac{',
            '\\text{ ',
            '\\sqrt',
            '^',
            '^{',
            '9^',
            '\\(',
            '\\[',
            '=',
            'x=',
            '$$',
            '\u2009',
            '１',
            '½',
            'İ',
            '\x00',
            '\ud7ff',
            '🙂',
            '√(',
            '100\\',
            '\\left(',
            '%',
            ': ',
            ' A',
            '|',
            'and ',
        ]
    )
    tower = lambda: '{'.join(['9^'] * r.randint(2, 30)) + '9' + '}' * 30
    makers = [
        lambda: deep('(', ')'),
        lambda: deep('\\frac{1}{', '}'),
        lambda: deep('\\sqrt{', '}'),
        lambda: deep('{', '}'),
        lambda: deep('\\boxed{', '}'),
        lambda: deep('[', ']'),
        lambda: deep('-', ''),
        tower,
        lambda: f'{r.randint(2, 9)}^{{{r.randint(10**3, 10**12)}}}',
        lambda: f'10^{{10^{{{r.randint(2, 99)}}}}}',
        lambda: f'{r.randint(10**4, 10**9)}!',
        lambda: f'1e{r.randint(10**3, 10**15)}',
        lambda: '9' * size(),
        lambda: '1,' * size(),
        lambda: f'\\binom{{{r.randint(10**5, 10**8)}}}{{{r.randint(10**4, 10**5)}}}',
        lambda: f'(x+y+z)^{{{r.randint(20, 500)}}}',
        lambda: f'\\sum_{{k=1}}^{{{10 ** r.randint(3, 12)}}} \\frac{{1}}{{k^{{k}}}}',
        lambda: '\\int_0^1 ' + 'x^{' * r.randint(2, 20) + 'x' + '}' * r.randint(0, 20) + ' dx',
        lambda: f'\\prod_{{k=1}}^{{{10 ** r.randint(3, 9)}}} k^k',
        lambda: '+'.join(f'x^{{{i}}}' for i in range(r.randint(10, 300))),
        lambda: '\\begin{pmatrix}' + '1 & ' * r.randint(5, 2000) + '1\\end{pmatrix}',
        lambda: f'\\log_{{{tower()}}} {tower()}',
        lambda: '\\sin(' * r.randint(2, 60) + 'x' + ')' * 60,
        lambda: f'x^{{{r.randint(50, 9999)}}} - 1 = 0',
        lambda: f'2^{{2^{{2^{{{r.randint(3, 9)}}}}}}} \\mod 7',
        lambda: unit() * size(),
        lambda: (unit() + unit()) * size(),
        lambda: ''.join(unit() for _ in range(min(size(), 20000))),
        lambda: ' ' * size() + unit() + ' ' * size(),
        lambda: chr(r.randrange(1, 0xD800)) * size(),
    ]
    for i in range(n):
        core = makers[i % len(makers)]()
        yield r.choice(frames).replace('{}', core)[:1_200_000]


def busy():
    "How many times slower than an idle one this machine is now: other processes share its cores."
    return max(1, os.getloadavg()[0] + 1 - len(os.sched_getaffinity(0)))


def rss(pid):
    "Megabytes of memory that a process holds."
    try:
        return next(int(l.split()[1]) for l in open(f'/proc/{pid}/status') if l.startswith('VmRSS')) / 1024
    except (OSError, StopIteration):
        return 0


@pytest.mark.timeout(1500)
def test_hostile():
    judge('math', 'x + \\int y', '1')  # workers are up
    before, slow, most = rss('self'), [], 0
    kinds = ['math', 'math', 'number', 'choice', 'label', 'yes_no', 'text']
    golds = dict(math='x^2 - \\int x', number='18', choice='B', label='neutral', yes_no='no', text='Paris')

    limit = 0.5  # seconds for the comparison; the reading of a million characters has one beside it

    def is_slow(k, text):
        question, start = text if k == 'choice' else '', time.monotonic()
        assert judge(k, text, golds[k], labels.get(k, ()), limit, question) in Verdict
        return time.monotonic() - start >= (limit + 1) * busy()

    for i, text in enumerate(hostile()):
        k = kinds[i % len(kinds)]
        if is_slow(k, text):
            slow.append((k, text))
        if i % 20 == 0:
            most = max([most, *[rss(w.proc.pid) for w in list(eq._workers.idle.queue)]])
    # what another process's moment made slow is not slow twice
    assert [(k, text[:60]) for k, text in slow if is_slow(k, text)] == []
    assert rss('self') - before < 500 and most < 1100


@pytest.mark.parametrize('k', ['math', 'number', 'choice', 'text'])
def test_hostile_labels(k):
    judge('math', 'x + \\int y', '1')  # workers are up

    def is_slow(text):
        start = time.monotonic()
        judge(k, 'The answer is 5', text, seconds=0.5)
        return time.monotonic() - start >= 1.5 * busy()

    slow = [text for text in hostile(30, seed=7) if is_slow(text)]
    assert [text[:80] for text in slow if is_slow(text)] == []


# ---- nothing of it is run

payloads = [
    '__import__("os").system("touch {}")',
    'exec("open(\'{}\', \'w\')")',
    'eval("open(\'{}\',\'w\').close()")',
    '().__class__.__base__.__subclasses__()',
    'open("{}", "w").write("x")',
    'lambda: open("{}","w")',
    'sympify("__import__(\'os\').system(\'touch {}\')")',
    'Symbol("x").__class__.__init__.__globals__["__builtins__"]["open"]("{}","w")',
    '\\operatorname{{open}}("{}","w")',
    '\\text{{__import__("os").system("touch {}")}}',
    '$(touch {})',
    '`touch {}`',
    '\\input{{|touch {}}}',
    '\\write18{{touch {}}}',
    "'; import os; os.system('touch {}'); '",
    '{{{{open("{}","w")}}}}',
    '[open("{}","w") for _ in [1]]',
    'f"{{open(\'{}\',\'w\')}}"',
    '1 if open("{}","w") else 2',
    'x=open("{}","w")',
    '!touch {}',
    'os.system("touch {}")',
]


def test_payloads(tmp_path):
    canary = tmp_path / 'executed'
    texts = [f.replace('{}', p.format(canary)) for p in payloads for f in frames]
    for k in REGISTRY:
        judge_all(k, texts, '1', labels.get(k, ()))
        judge_all(k, ['1'] * len(texts), texts, labels.get(k, ()))
    for t in texts:
        eq._workers.equal(t[:1000], '1', 1)
        eq._workers.equal('1', t[:1000], 1)  # past every filter
    assert not canary.exists()


# ---- workers


def test_a_dead_worker_costs_nothing_else():
    judge('math', '\\int a', 'b')
    for w in list(eq._workers.idle.queue):
        w.proc.kill()
        w.proc.wait()
    assert judge('math', '\\int_0^1 x dx', '\\int_0^1 y dy') == Verdict.correct


def test_a_worker_killed_at_work():
    for _ in range(eq._workers.n):
        eq._workers.equal('x+1', '1+x', 20)  # each of them has started
    done = []
    t = threading.Thread(target=lambda: done.append(eq._workers.equal('\\int_0^1 x^{x^{x^{x}}} dx', '3', 20)))
    t.start()
    time.sleep(busy())
    for pid in children():
        os.kill(pid, 9)
        with suppress(ChildProcessError):  # its thread may have waited for it already
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    t.join(10 * busy())
    assert done == [None]
    assert judge('math', '\\int_0^1 x dx', '\\frac{1}{2}', seconds=busy()) == Verdict.correct


def children():
    "The workers' process ids."
    out = subprocess.run(
        ['pgrep', '-P', str(os.getpid()), '-f', '_serve'], capture_output=True, text=True
    ).stdout
    return [int(p) for p in out.split()]


def test_off_the_main_thread():
    found = []
    jobs = [
        threading.Thread(target=lambda: found.append(judge('math', '\\int_0^1 x dx', '1/2')))
        for _ in range(8)
    ]
    for j in jobs:
        j.start()
    for j in jobs:
        j.join(30)
    assert found == [Verdict.correct] * 8


def test_a_slow_pair_does_not_hold_up_the_others():
    slow, quick = '\\int_0^1 x^{x^{x^{x}}} dx', '\\{1, 2\\}'
    judge('math', quick, '\\{3, 2\\}')
    start = time.monotonic()
    verdicts = judge_all('math', [slow, quick, slow + '+1', quick], ['77', '\\{2,1\\}', '77', '\\{2, 3\\}'])
    assert verdicts == [Verdict.timed_out, Verdict.correct, Verdict.timed_out, Verdict.wrong]
    assert time.monotonic() - start < 4 * busy()


script = '''
from synthrl.verify import judge
print("run", flush=True)
print(judge("math", r"\\int_0^1 x dx", "1/2"))
'''


def test_an_unguarded_script_is_run_once_and_ends(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/train.py').write_text(script)
    (tmp_path / 'random.py').write_text('raise SystemExit("the user has a file of this name")')
    env = os.environ | dict(PYTHONPATH=str(root))
    r = subprocess.run(
        [sys.executable, 'a/train.py'], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert r.stdout.split() == ['run', 'correct'] and not r.stderr, r.stderr


def test_workers_end_with_a_killed_parent(tmp_path):
    (tmp_path / 'train.py').write_text(
        script
        + 'import time; from synthrl.verify.algebra import _workers; '
        + 'print(_workers.idle.queue[0].proc.pid, flush=True); time.sleep(60)'
    )
    p = subprocess.Popen(
        [sys.executable, 'train.py'],
        cwd=tmp_path,
        env=os.environ | dict(PYTHONPATH=str(root)),
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = [p.stdout.readline() for _ in range(3)][-1].strip()
    p.kill()
    p.wait()
    until = time.monotonic() + 10
    while Path(f'/proc/{pid}').exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert (
        not Path(f'/proc/{pid}').exists() or 'Z' in Path(f'/proc/{pid}/stat').read_text().rsplit(')')[1][:3]
    )


def test_after_a_fork():
    judge('math', '\\int a', 'b')
    if not (pid := os.fork()):
        os._exit(0 if judge('math', '\\int_0^1 x dx', '\\frac{2}{4}') == 'correct' else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert judge('math', '\\int_0^1 x dx', '\\frac{4}{8}') == Verdict.correct


# ---- the calculator agrees with sympy wherever it has an opinion


def formula(r, depth=3):
    "A random formula."
    if not depth or r.random() < 0.2:
        return r.choice([str(r.randint(0, 12)), 'x', 'y', '\\pi'])
    a, b = formula(r, depth - 1), formula(r, depth - 1)
    return r.choice(
        [
            f'{a} + {b}',
            f'({a})({b})',
            f'{a} - ({b})',
            f'\\frac{{{a}}}{{{b}}}',
            f'\\sqrt{{{a}}}',
            f'({a})^{{{r.randint(0, 3)}}}',
            f'-{a}',
            f'\\sin({a})',
        ]
    )


def test_calculator_against_sympy():
    r, opinions = random.Random(3), []
    while len(opinions) < 150:
        a = formula(r)
        b = r.choice([a + ' + x - x', f'\\frac{{2 \\cdot ({a})}}{{2}}', f'0 + {a}', formula(r)])
        if (seen := eq.settle(a, b)) is None:
            continue
        algebra = eq._workers.equal(a, b, 2)
        if algebra is not None:
            opinions.append((seen, algebra, a, b))
    assert all(algebra == seen for seen, algebra, *_ in opinions if not seen)
    assert not [o for o in opinions if o[0] and not o[1]]
    assert sum(o[0] for o in opinions) > 30


# ---- from the completion to the verdict: what is read is tidied twice

alike = [
    ('The answer is **1/2**.', '0.5'),
    (r'\boxed{\text{No}}', 'no'),
    (r'\boxed{\text{Area}=12\text{ cm}^2}', '12'),
    (r'\boxed{5^\circ\text{C}}', '5'),
    (r'\boxed{10\,000}', '10000'),
    (r'\boxed{60^\circ, 120^\circ}', '60,120'),
    (r'\boxed{x \geq 2}', r'[2,\infty)'),
    (r'\boxed{0 < a < 1}', '1>a>0'),
    (r'\boxed{0.\overline{3}}', r'\frac13'),
    (r'\boxed{x = \frac{-1 \pm \sqrt{5}}{2}}', r'\frac{-1\pm\sqrt{5}}{2}'),
    (r'\boxed{x \le -1 \text{ or } x \ge 3}', r'(-\infty,-1]\cup[3,\infty)'),
    (r'\boxed{P(X = 2) = 0.25}', r'\frac14'),
    (r'\boxed{300,200,100}', '100,200,300'),
]
unlike = [
    (r'\boxed{\text{HHT}}', r'\text{HTH}'),
    (r'\boxed{\text{no}}', r'\text{on}'),
    (r'\boxed{\frac{1}{23}}', r'\frac{12}{3}'),
    (r'\boxed{2x=6}', '6'),
    (r'\boxed{x = 2 \quad x = 3}', '3'),
    (r'\boxed{5\text{ thousand}}', '5'),
    (r'\boxed{\text{5 and a half}}', '5'),
    (r'\boxed{5^\circ\text{C}}', r'5^\circ\text{F}'),
    (r'\boxed{10\text{ m}}', r'10\text{ cm}'),
    (r'\boxed{2\;3}', '23'),
    (r'\boxed{2x > 4}', r'(2,\infty)'),
    (r'\boxed{\sin 30^\circ}', r'\sin 30'),
    (r'\boxed{-1<x<3}', '(1,3)'),
]


@pytest.mark.parametrize('verdict, cases', [(Verdict.correct, alike), (Verdict.wrong, unlike)])
def test_pairs(verdict, cases):
    assert [c for c in cases if judge('math', *c) != verdict] == []


# ---- real cases


@needs_eval
@pytest.mark.parametrize('name', ['gsm8k_test', 'gsm8k_train'])
def test_gsm8k(name):
    data = rows(f'tasks/{name}.jsonl')
    assert set(judge_all('number', [d['output'] for d in data], [d['answer'] for d in data])) == {
        Verdict.correct
    }
    assert set(judge_all('math', [d['output'] for d in data], [d['answer'] for d in data])) == {
        Verdict.correct
    }


@needs_eval
def test_medqa_and_pubmedqa():
    data = rows('tasks/medqa_test.jsonl')
    assert set(
        judge_all(
            'choice',
            [d['output'] for d in data],
            [d['answer'] for d in data],
            'ABCD',
            [d['input'] for d in data],
        )
    ) == {Verdict.correct}
    data = rows('tasks/pubmedqa_test.jsonl')
    assert set(
        judge_all(
            'label',
            [f'<answer>{d["answer"]}</answer>' for d in data],
            [d['answer'] for d in data],
            ('yes', 'no', 'maybe'),
        )
    ) == {Verdict.correct}


@needs_eval
def test_real_model_outputs():
    data = rows('verify/gsm8k_model_outputs.jsonl')
    verdicts = judge_all('number', [d['pred'] for d in data], [d['gold'] for d in data])
    assert sum((v == 'correct') == d['expected'] for v, d in zip(verdicts, data)) / len(data) >= 0.995


@needs_eval
def test_answer_cases():
    to = dict(
        math='math', list='math', numeric='number', text='text', mcq='choice', mcq_multilingual='choice'
    )
    data = [d for d in rows('verify/answer_cases.jsonl') if d['scope'] == 'general' and d['kind'] in to]
    agree = [(judge(to[d['kind']], d['pred'], d['gold']) == 'correct') == d['expected'] for d in data]
    assert sum(agree) / len(agree) >= 0.98
