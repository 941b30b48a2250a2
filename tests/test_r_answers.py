"Cases that a fresh reading of 00b and 01 found: they failed before it."

import pytest
from synthrl.verify.algebra import equal
from synthrl.verify import judge


@pytest.mark.parametrize(
    'gold, answer',
    [
        (r'\frac{3}{4}', r'\frac{3}{4} \approx 0.75'),
        ('3.14', r'\frac{22}{7} \approx 3.14'),
        (r'\frac{3}{4}\text{ m}', r'x = \frac{3}{4}\text{ m} \approx 0.8\text{ m}'),
        ('2,3,5', '{2,3,5}'),
        (r'y=-\frac{2}{3}x+4', r'{y=-\frac{2}{3}x+4}'),
        (r'(2,7]', r'{(2,7]}'),
        (r'x\in(1,4)', r'\displaystyle x\in(1,4)'),
        (r'25^\circ\text{C}', r'25\degree\text{C}'),
        ('z^*', '$z^*$'),
    ],
)
def test_written_otherwise(gold, answer):
    assert equal(gold, answer)


@pytest.mark.parametrize(
    'gold, answer',
    [
        (r'\text{(C)}', r'\text{(C)}+1'),
        (r'45^\circ \text{N}', r'45 \text{N}\pi'),
        (r'64 \text{ square units}', r'64 \text{ cubic units}'),
        ('15', r'15 \approx 16'),
        ('16', r'15 \approx 16'),
    ],
)
def test_not_the_same(gold, answer):
    assert not equal(gold, answer)


def test_what_is_denied_in_brackets_is_no_second_choice():
    assert judge('choice', '<answer>B (not A)</answer>', 'B', 'ABCD') == 'correct'


SEVERAL = ['{} oder {}', '{} ou {}', '{} also {}', '{} otherwise {}', '{} alternatively {}', '{}或{}']


@pytest.mark.parametrize('how', [*SEVERAL, r'{} \lor {}', '{} und {}', '{} et {}', '{} else {}'])
def test_two_answers_are_none(how):
    for kind, pair, labels in (('number', ('15', '16'), ()), ('choice', ('B', 'C'), 'ABCD')):
        for mark in ('<answer>{}</answer>', r'\boxed{{{}}}'):
            said = mark.format(how.format(*pair))
            assert 'correct' not in [judge(kind, said, gold, labels) for gold in pair], said


@pytest.mark.parametrize(
    'said', ['A. B. C. D', 'A - B - C - D', 'A + B + C + D', 'A = B = C = D', 'A (or B)']
)
def test_all_options_are_none(said):
    assert 'correct' not in [judge('choice', f'<answer>{said}</answer>', gold, 'ABCD') for gold in 'ABCD']
