"Objects like a teacher's, broken in the ways that models break them: what is read must be what was meant."

import json, random, re
from itertools import product
from pathlib import Path
import pytest
from synthrl.teacher.reply import read_object

folder = Path(__file__).parents[2] / 'shared/eval/json'
texts = [
    'Tom has 3 pears; he buys 4 more. How many has he?',
    r'Simplify \frac{3}{4} \times \sqrt{2}, with $x \in \{1, 2\}$.',
    'Which is right?\nA: the "first"\nB: the second',
    'She said "no, never," and left {quietly}.',
    'It\'s 5\'3", isn\'t it?',
    'Step 1: 3 + 4 = 7\nStep 2: done\n#### 7',
    r'\boxed{\text{yes}}',
    'Use f(x) = {"a": no} // not a comment',
    'über 20 % — “quoted”…',
    'a, b, and c: [1, 2]',
]


def make(rng):
    return dict(input=rng.choice(texts), output=rng.choice(texts))


def strict(o):
    return json.dumps(o, ensure_ascii=False, indent=rng_indent(o))


def rng_indent(o):
    return 2 if len(o['input']) % 2 else None


def tex(s):
    return re.sub(r'\\\\(?=[a-zA-Z{}$])', r'\\', s)  # backslashes that nobody doubled


def quotes(s):
    return s.replace('\\"', '"')


def newlines(s):
    return s.replace('\\n', '\n')


def comma(s):
    return re.sub(r'"(\s*)\}$', r'",\1}', s)


def no_comma(s):
    return re.sub(r'",(\s*)"output"', r'"\1"output"', s)


def fence(s):
    return f'Sure, here it is:\n```json\n{s}\n```\nI hope this helps!'


def prose(s):
    return r'With \frac{1}{2} of {x : x > 0} in mind: ' + s + ' This is "it".'


def think(s):
    return '<think>{"input": "a draft"}</think>\n' + s


def unclosed(s):
    return s.rstrip()[:-1]


def bare(s):
    return s.replace('"input":', 'input:').replace('"output":', 'output:')


def curly(s):
    return s.replace('"input"', '“input”').replace('"output"', '“output”')


def comment(s):
    return s.replace('"output":', '/* worked */ "output":')


inner = [tex, quotes, newlines, comma, no_comma, bare, curly, comment]
outer = [fence, prose, think, unclosed]


@pytest.mark.parametrize('break_it', inner + outer, ids=lambda f: f.__name__)
def test_one_fault(break_it):
    wrong = []
    for a, b in product(texts, texts):
        if break_it is quotes and '{"' in a + b: continue
        o = dict(input=a, output=b)
        s = break_it(strict(o))
        if read_object(s) != o: wrong.append((o, s))
    assert len(wrong) <= 2, (len(wrong), wrong[:3])  # of 100


def test_several_faults():
    rng, right = random.Random(0), 0
    for i in range(500):
        o = make(rng)
        s = strict(o)
        for f in rng.sample([tex, newlines, comma, comment, bare], 2) + [rng.choice(outer)]:
            s = f(s)
        right += read_object(s) == o
    assert right >= 475, right


def test_cut_off_anywhere():
    "What is read from a reply that was cut off is a beginning of what was meant, and nothing else."
    for a in texts:
        o = dict(input=a, output='#### 7')
        s = json.dumps(o)
        for i in range(len(s)):
            got = read_object(s[:i])
            if got is None: continue
            for key, value in got.items():
                assert any(whole.startswith(key) for whole in o), (s[:i], got)
                if key != 'input' or not value: continue
                assert a.startswith(value.rstrip('…')) or value in a, (s[:i], got)


@pytest.mark.parametrize(
    'text',
    [
        'I am sorry, I cannot do that.',
        r'The answer is \boxed{42}.',
        'The set {1, 2, 3} has three elements.',
        'Let S = {x : x > 0} and T = {"a", "b"}.',
        r'\frac{1}{2} \text{ of } \{a\}',
        'def f(x): return {x}',
        'f"{name}: {value}"',
        'Ratio {a:b}',
        '{{placeholder}}',
        '[1, 2, 3]',
        '"just a string"',
        '12',
        'null',
        '',
        '   ',
        'while (true) { i++; }',
        'CSS: p { color: red; }',
        '{x | x in R}',
        'if (a) { return b; }',
        '#### 7',
    ],
)
def test_nothing_is_invented(text):
    assert not read_object(text)


@pytest.mark.skipif(not folder.exists(), reason='../shared/eval is not there')
@pytest.mark.parametrize('name, bar', [('real_replies', 0.99), ('malformed_cases', 0.95)])
def test_shared_cases(name, bar):
    rows = [json.loads(l) for l in (folder / f'{name}.jsonl').read_text().splitlines()]
    rows = [r for r in rows if r['status'] == 'object' and isinstance(r['expected'], dict)]
    assert sum(read_object(r['raw']) == r['expected'] for r in rows) >= bar * len(rows)
