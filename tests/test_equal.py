"Answers that are one step from right, right ones in other words, and text made to hold the reader up."
import json, time
from collections import Counter
from pathlib import Path
import pytest
from equal_wrong import golds, wrong
from synthrl.verify import algebra as eq, formula
from synthrl.verify.algebra import equal, equal_all

here = Path(__file__).parent
shared = here.parent/'../shared/eval'
needs_eval = pytest.mark.skipif(not shared.exists(), reason='../shared/eval is not there')
answers = [a for _, a in golds()]

def passed(negatives):
    "Those wrong answers that are called right."
    verdicts = equal_all([(gold, answer) for _, gold, answer in negatives], 4)
    return [n for n, v in zip(negatives, verdicts) if v]

# ---- wrong answers

@pytest.mark.timeout(600)
def test_one_step_wrong():
    negatives = wrong(answers, 3000)
    assert len(negatives) == 3000 and len({kind for kind, *_ in negatives}) > 40
    bad = passed(negatives)
    assert len(bad) <= 0.002*len(negatives), (Counter(kind for kind, *_ in bad), bad)

def rows(name): return [json.loads(line) for line in (shared/name).open()]

@needs_eval
def test_one_step_wrong_of_real_answers():
    found = [d['answer'] for d in rows('tasks/gsm8k_test.jsonl')]
    found += [d['gold'] for d in rows('verify/answer_cases.jsonl') if d['kind'] in ('math',
    'list') and 0 < len(d['gold']) < 60]
    found = sorted({f.replace('\\boxed{', '')[:-1] if f.startswith('\\boxed{') else f for f in found})
    negatives = wrong(found, 3000)
    bad = passed(negatives)
    assert len(negatives) == 3000 and len(bad) <= 0.002*len(negatives), bad

# the issue's own, and others that math-verify or this page took for right
known = [('x^2+60=0', 'x^2+50=0'), (r'30\text{ mph}', r'30\text{ mph}, 40\text{ mph}'), ('52_6', '52_8'),
    ('dt/dx', 'dx/dt'), ('I(0)e^{t}', 'I(0)e^{-t}'), (r'12\text{ cm}^3', r'12\text{ cm}^2'),
    ('1/1000001', '1/1000000'), ('11a+c', '7=11a+c'), (r'4\text{ min}', r'4\text{ s}'), ('HT', 'TH'),
    ('cat', 'act'), (r'\frac{dy}{dx}=2x', r'\frac{dy}{dx}=26x'), (r'2\mathbf{i}-3\mathbf{j}',
    r'2\mathbf{i}+3\mathbf{j}'),
    ('321_4', '321'), ('1.6e-19', '1.6e-18'), (r'\frac{1}{2^{98}}', r'-\frac{1}{2^{98}}'),
    (r'\frac{mv_0}{M+m}', r'\frac{mv_0}{m+m}'), ("f'(2)", 'f(2)'), (r'm\ddot{x}', r'm\dot{x}'),
    ('(1,2,3)', r'\{1,2,3\}'),
    (r'[-\infty,2)\cup(3,4)', r'(-\infty,2)\cup(3,4)'), (r'7\mod 12', r'7\mod 17'), ('2x-y=0', '8x-y=0'),
    (r'\frac{3}{4}', r'\frac{3}{0}'), (r'\ln 2', r'\ln 0'), (r'm = \frac{3}{4}', r'm = \frac{3}{0}'),
    ('minus 5 degrees', '5'), ('3:30 pm', '30'),
    ('3:30 pm', '3:30 am'), ('36,00', '36000'), (r'\text{(D)}', r'\text{(D) or (E)}'), ('PV = nRT',
    'pV = nRT'), ('a > b', 't > b'), (r'\log_{12} 5', r'\log_{2} 5'), ('x_{11}', 'x_1'), ('5 apples',
    '5 pears'),
    (r'\binom{n}{2}', r'\binom{2}{n}'), ('(x+1)^2', 'x+1^2'), (r'2\,\mathrm{m/s}', r'2\,\mathrm{m/s^2}'),
    ('2^{2004}', '2^{2004}-3'), ('p_1V_1=p_2V_2', 'p_2V_2'), (r'\frac{270}7', r'\frac{270}71'),
    ('0.1234567', '0.1234568')]

@pytest.mark.parametrize('gold, answer', known)
def test_known_wrong(gold, answer):
    assert equal(gold, answer, 4) is False and equal(answer, gold, 4) is False

# ---- right answers

alike = (here/'equal_alike.txt').read_text().splitlines()
pairs = [line.split(' === ') for line in alike if ' === ' in line]

def test_right_in_other_words():
    assert len(pairs) > 350
    for ps in (pairs, [(b, a) for a, b in pairs]):
        assert [p for p, v in zip(ps, equal_all(ps, 4)) if not v] == []

def test_the_same_is_equal_before_any_reading():
    odd = ['{', '\\frac', '??', 'the circle is tangent to the line', r'e^{i\pi} = -1', '答案',
    'x'*3000, *answers]
    assert [o for o in odd if not equal(o, o)] == [] and equal('', '') is False

def test_around_a_number():
    assert equal('5', '5个苹果') and equal('5 أمتار', '5') and not equal('5', '6个苹果')

# ---- growth

units = [' ', '1', ',', '1,111', 'a', '\\', '{', '(', '[', '\\frac{', '\\text{', '\\text{ a}',
    '\\text{and}', '-', '+', '^', '_', '=', '|', '$', '*', '.', '~', '<', '√', 'd', 'dx/', 'f(', 'f((x)',
    "'",
    'x_{', '\\begin{', '^\\circ', '1 ', '12 ', '1/', '1.1', 'e', '°', '个', 'or ', '\\pm', '\\mathrm{',
    '\\{ ', '\\frac{a}', '[ -', 'sq', 'm/', '½', '⁻', 'a.', '\\alpha', '1e', '5 \\text{ ', '- ', '\x00']
readers = [formula.tidy, formula.rational, formula.arithmetic, formula.opaque, formula.split, eq._measured,
    eq._bare, eq._words, lambda s: eq.look(s, s + 'x'), lambda s: eq.settle(s, s + 'x'),
    lambda s: equal(s, s + 'x')]

def least(read, text):
    "The least seconds of three tries."
    def once():
        start = time.process_time()
        read(text)
        return time.process_time() - start
    return min(once() for _ in range(3))

@pytest.mark.parametrize('read', readers)
def test_grows_with_its_text(read):
    for unit in units:
        for end in ('', '\x00', '1'):
            few, many = (least(read, unit*(n//len(unit)) + end) for n in (3000, 30_000))
            assert many < 0.1 or many < 30*few, (unit, end, few, many)
