"What a policy could say to every question: all the options, the template, many boxes, nothing. None is paid."

import itertools, json, random, re
from pathlib import Path
import pytest
from synthrl.task import Task, data_path
from synthrl.verify import Verdict, extract, judge, judge_all, reward

root = Path(__file__).parent.parent
shared = root / '../shared/eval'
needs_eval = pytest.mark.skipif(not shared.exists(), reason='../shared/eval is not there')
labels = dict(choice='ABCD', label=('entailment', 'neutral', 'contradiction'))
golds = dict(
    number=['18', '7', '-5', '0', '1', '2', '15', '100', '3/4', '1234', '-2007', '30'],
    choice=['A', 'B', 'C', 'D'],
    label=['entailment', 'neutral', 'contradiction'],
    yes_no=['yes', 'no'],
    text=['Paris', '42', 'yes', 'the elephant', 'number'],
    math=[
        '7',
        'x=8',
        r'\frac12',
        '(1,2)',
        r'\{3,4\}',
        'x^2+1',
        'y=2x+1',
        '[0,1]',
        r'\emptyset',
        'all real numbers',
        '-5',
        'x>3',
        '1',
        '6',
        r'\sqrt{2}',
        r'\frac{\pi}{3}',
        r'\text{(B)}',
    ],
)
kinds = list(golds)
frames = [
    '<answer>{}</answer>',
    '<answer> {} here </answer>',
    r'so \boxed{{{}}}.',
    r'\boxed{{\text{{{}}}}}',
    '#### {}',
    'The answer is {}.',
    'Answer: {}',
    '**Final answer:** {}',
    'So I say {}.',
    '{}',
    '<think>Hard to say.</think>\n{}',
    '<answer>either {}</answer>',
    'The correct option is {}',
]


def correct(kind, completion, question=''):
    "The golds of a kind for which a completion is judged correct."
    n = len(golds[kind])
    verdicts = judge_all(kind, [completion] * n, golds[kind], labels.get(kind, ()), [question] * n)
    return [g for g, v in zip(golds[kind], verdicts) if v == Verdict.correct]


def paid(kind, completions, question=''):
    "Those of the completions that are right for some gold, with what was read."
    rows = [(c, correct(kind, c, question)) for c in dict.fromkeys(completions)]
    return [(c, g, extract(kind, c, labels.get(kind, ()), question)) for c, g in rows if g]


# ---- several options

separators = [
    ', ',
    ' or ',
    ' and ',
    '/',
    ' / ',
    '|',
    ' | ',
    '; ',
    ' & ',
    ', or ',
    ', and ',
    ',',
    ' ',
    ' vs ',
    ' or maybe ',
    ', maybe ',
    ' and/or ',
]
orders = {
    k: [o for n in (2, 3, 4) for o in itertools.permutations(golds[k], n)]
    for k in ('choice', 'label', 'yes_no')
}


@pytest.mark.parametrize('kind', list(orders))
def test_several_options_are_no_answer(kind):
    said = [
        f.format(s.join(o)) for f in frames for s in separators for o in orders[kind][:6] + orders[kind][-2:]
    ]
    assert paid(kind, said) == []


def test_several_letters_in_other_dresses():
    lists = [
        '(A)(B)(C)(D)',
        '(A), (B), (C), (D)',
        '[A/B/C/D]',
        '{A, B, C, D}',
        'A-D',
        'A–D',
        'A to D',
        'A through D',
        'one of A, B, C, D',
        'A) x B) y C) z D) w',
        'A. Liver B. Pancreas C. Kidney',
        'ABCD',
        'A，B',
        'A、B或C',
        'a, b, c, d',
        'A...D',
        'Both A and B',
        'A & B',
        'A + B',
        'D, C, B, A',
        'C | B',
        'A or B or C or D',
        'any of A, B, C and D',
        '**A**, **B**',
        '`A` or `B`',
        'Option A or Option B',
        'option A, option B',
    ]
    question = 'Which organ?\nA) Liver\nB) Pancreas\nC) Kidney\nD) Adrenal gland'
    tags = [f.format(l) for f in frames[:7] for l in lists]
    assert paid('choice', tags) == [] and paid('choice', tags, question) == []
    assert (
        paid(
            'choice',
            [
                question,
                'A) Liver\nB) Pancreas\nC) Kidney\nD) Adrenal gland',
                'A\nB\nC\nD',
                '<answer>A\nB\nC\nD</answer>',
                'Liver, Pancreas, Kidney, Adrenal gland',
            ],
            question,
        )
        == []
    )


def test_several_numbers_are_no_answer():
    pairs = [
        ('15', '7'),
        ('7', '15'),
        ('1', '2'),
        ('0', '1'),
        ('18', '30'),
        ('30', '18', '7'),
        ('2', '1', '0'),
    ]
    joints = [s for s in separators if '/' not in s] + [
        ' to ',
        '-',
        ' - ',
        '–',
        ':',
        ' through ',
        '~',
        r' \text{ or } ',
        r' \quad ',
        ' dollars or ',
    ]
    rising = lambda p: p == tuple(sorted(p, key=int))  # 7-15 is a range, 15-7 is 8
    said = [f.format(j.join(p)) for f in frames for j in joints for p in pairs if '-' not in j or rising(p)]
    said += [
        f.format(s)
        for f in frames
        for s in (
            'between 1 and 2',
            'x = 7, y = 15',
            'x=7 or x=15',
            '$7-$15',
            '3:30 pm',
            '7:15',
            '1 : 2',
            '12/25/2024',
            '2024-05-12',
            '15, 7, 2, 1 or 0',
        )
    ]
    said = [s for s in said if not re.search(r'\d,\d', s)]  # 1,2 is a decimal comma
    assert paid('number', said) == []


def test_marks_side_by_side_are_one_list():
    for kind in ('choice', 'label', 'yes_no', 'number'):
        for order in itertools.islice(itertools.permutations(golds[kind], 2), 30):
            for mark in (r'\boxed{{{}}}', '<answer>{}</answer>') + ('#### {}\n',) * (
                kind in ('choice', 'number')
            ):  # a word after #### is a heading
                for s in ('', ' ', ' and ', ', ', '\n', ' or '):
                    assert correct(kind, s.join(mark.format(o) for o in order)) == [], (kind, order, mark, s)


def test_many_boxes_are_one_guess():
    r = random.Random(0)
    for kind in ('number', 'math', 'choice'):
        for _ in range(6 if kind == 'math' else 40):
            some = r.sample(golds[kind], 4)
            text = ' Wait, it could also be this. '.join(rf'\boxed{{{g}}}' for g in some)
            assert set(correct(kind, text)) <= {some[-1]}


# ---- the prompt's own template

echoes = [
    '<answer> Yes or No here </answer>',
    '<answer> the correct option here </answer>',
    '<answer> a single option here </answer>',
    '<answer> entailment, neutral or contradiction here </answer>',
    '<think> thinking process here </think>',
    '<think> thinking process here </think> <answer> answer here </answer>',
    r'\boxed{answer}',
    r'\boxed{your answer}',
    r'\boxed{\text{final answer}}',
    r'\boxed{}',
    r'\boxed{...}',
    r'\boxed{\ldots}',
    '#### <number>',
    '#### [number]',
    '#### N',
    '#### ####',
    '####',
    '#### the number',
    'Answer: $ANSWER',
    'Answer: $LETTER',
    'The answer is [Yes/No].',
    'The answer is ...',
    'The answer is (X).',
    '<answer>[A-D]</answer>',
    '<answer>A|B|C|D</answer>',
    '<answer>yes|no</answer>',
    '<answer></answer>',
    '<answer>',
    '<answer>...</answer>',
    '{"answer": "A, B, C or D"}',
    'The last line of your response should be of the form Answer: $ANSWER (without quotes) '
    'where $ANSWER is the answer to the problem.',
    r'Put your final answer within \boxed{}.',
    'Answer with A, B, C or D.',
    'Please answer yes or no.',
    'End with "#### " and the number.',
    'Output the final answer after "####".',
    'Answer: (A), (B), (C) or (D)',
    'Label: entailment, neutral, contradiction',
    'Choose one of: entailment, neutral, contradiction.',
    'Answer Yes or No.',
    '(Yes/No)',
    '<answer>Yes/No</answer>',
    '<answer>{}</answer>'.format('{answer}'),
]


@pytest.mark.parametrize('kind', kinds)
def test_templates_are_no_answer(kind):
    tasks = [Task.load(p.stem) for p in sorted(data_path('tasks').glob('*.toml'))]
    formats = [f for t in tasks for f in (t.output_format, t.description, t.input_format) if f]
    told = [*echoes, *formats, *(f'{a}\n{a}' for a in echoes), *(f'Sure. {f}' for f in formats)]
    assert [p for p in paid(kind, told) if p[1] != ['number']] == []


@pytest.mark.parametrize('kind', kinds)
def test_nothing_is_no_answer(kind):
    assert (
        paid(
            kind,
            [
                '',
                ' ',
                '\n\n',
                '...',
                '?',
                'I do not know.',
                'None',
                'nan',
                '-',
                '<think>',
                '</think>',
                '<think>Hm',
                r'\boxed{',
                '<answer>',
                '#### ',
                '$$',
                '<|im_end|>',
                'The answer is',
                'The answer is:',
            ],
        )
        == []
    )


# ---- nothing that does not look at the question is right for two answers


def said_by_chance(r, kind):
    "Pieces of answers, marks and templates, in any order."
    g = lambda: r.choice(golds[kind])
    piece = lambda: r.choice(
        [
            g(),
            g(),
            g(),
            r.choice(frames).format(g()),
            r.choice(frames).format(f'{g()}{r.choice(separators)}{g()}'),
            r.choice(echoes),
            'not ',
            'is wrong',
            'because ',
            'I choose ',
            '\n',
            '\n\n',
            'maybe ',
            ', ',
            '. ',
            ' or ',
            '= ',
            'option ',
            ':',
        ]
    )
    return r.choice(['', ' ', '\n']).join(piece() for _ in range(r.randint(1, 7)))


@pytest.mark.parametrize('kind', kinds)
def test_no_completion_is_right_for_two_golds(kind):
    r = random.Random(1)
    said = [said_by_chance(r, kind) for _ in range(60 if kind == 'math' else 300)]
    assert [(s, g) for s in said if len(g := correct(kind, s)) > 1] == []


@pytest.mark.parametrize('kind', kinds)
def test_one_honest_guess_is_read(kind):
    "The other side: each gold, said in each way, is right for itself and for nothing else."
    for f in ['<answer>{}</answer>', r'so \boxed{{{}}}.', '#### {}', 'The answer is {}.', '{}']:
        for g in golds[kind]:
            assert correct(kind, f.format(g)) == [g], (f, g)


# ---- real golds


@needs_eval
def test_real_golds_are_hit_by_no_degenerate_answer():
    rows = lambda name: [json.loads(l) for l in (shared / f'tasks/{name}.jsonl').open()]
    medqa, pubmed, gsm = rows('medqa_test'), rows('pubmedqa_test'), rows('gsm8k_test')
    count = lambda kind, said, data, labels: sum(
        v == 'correct'
        for v in judge_all(kind, said, [d['answer'] for d in data], labels, [d['input'] for d in data])
    )
    for said in (
        '<answer>A, B, C, D</answer>',
        '<answer> the correct option here </answer>',
        'A or B',
        '',
        '<answer>A) B) C) D)</answer>',
        'I choose option F.',
    ):
        assert count('choice', [said] * len(medqa), medqa, 'ABCD') == 0, said
    assert count('choice', [d['input'] for d in medqa], medqa, 'ABCD') == 0
    for said in (
        '<answer>yes/no/maybe</answer>',
        'yes, no or maybe',
        '<answer> Yes or No here </answer>',
        '',
    ):
        assert count('label', [said] * len(pubmed), pubmed, ('yes', 'no', 'maybe')) == 0, said
    for said in (
        '#### ' + ' or '.join(map(str, range(100))),
        '#### <number>',
        '',
        r'\boxed{0} \boxed{1} \boxed{2} \boxed{3}',
    ):
        assert count('number', [said] * len(gsm), gsm, ()) == 0, said


# ---- what was misread

read = [
    ('number', 'minus 5 degrees', '-5'),
    ('number', 'It is negative 5.', '-5'),
    ('number', '10 minus 5 is 5', '5'),
    ('number', '5 and 1/2', '11/2'),
    ('number', '#### 3:30 pm', None),
    ('number', 'at 3:30 pm', None),
    ('number', '18, not 25', '18'),
    ('number', '18 dollars for 3 days', '3'),
    ('number', '#### 18 dollars for 3 days', '18'),
    ('number', '所以一共有12个苹果', '12'),
    ('number', '15 or 15.0', '15'),
    ('number', r'\boxed{18} and \boxed{18}', '18'),
    ('number', '5th', '5'),
    ('yes_no', 'yes, no doubt', 'yes'),
    ('yes_no', '<answer>Yes, no question.</answer>', 'yes'),
    ('yes_no', 'No, no, no.', 'no'),
    ('choice', 'A is wrong, B is right', 'B'),
    ('choice', '<answer>B, not A</answer>', 'B'),
    ('choice', 'Consider (A). I choose option E.', None),
    ('choice', '(A) is tempting. The answer is E.', None),
    ('choice', '<answer>C. A is for the liver</answer>', 'C'),
]


@pytest.mark.parametrize('kind, text, expected', read)
def test_read(kind, text, expected):
    assert extract(kind, text, labels.get(kind, ())) == expected


def test_a_cut_reply_is_no_short_option():
    question = 'What is low?\nA) Iron\nB) Zinc\nC) Iodine\nD) 5'
    for text in (
        'The patient is pale, which points to iron',
        'First we look at zinc in the',
        'There are 5',
        'Her thyroid needs iodine and',
    ):
        assert extract('choice', text, 'ABCD', question) is None
    for text in ('It is iron.', 'Iron', 'Pale skin: what is low is the iron.'):
        assert extract('choice', text, 'ABCD', question) == 'A'
    bugs = 'Which one?\nA) E. coli\nB) S. aureus\nC) C. difficile'
    assert extract('choice', '<answer>E. coli</answer>', 'ABC', bugs) == 'A'


other_scripts = [
    '所以一共有12个苹果。',
    '答案是12个苹果。',
    '因此,x的值为12。',
    '<answer>12个</answer>',
    'الجواب هو 12 تفاحة',
    'إذن لدينا 12 تفاحة.',
    'Ответ: 12 яблок',
    'Всего 12 яблок.',
    '답은 12개입니다.',
    '答えは12個です。',
    'उत्तर 12 है',
    r'\boxed{12个}',
    'ดังนั้นคำตอบคือ 12',
]
prose = [
    r'\boxed{The answer is $12$}',
    '<answer>If $x>0$ the answer is $12$.</answer>',
    '<answer>$x$ is equal to $12$</answer>',
    'The answer: $x$ equals $12$',
    '#### There are $12$ of them.',
]


@pytest.mark.parametrize('text', other_scripts + prose)
def test_prose_around_an_expression(text):
    assert judge('math', text, '12') == 'correct' and judge('math', text, '13') == 'wrong'


@pytest.mark.parametrize(
    'joint',
    [
        ' and ',
        ' as well as ',
        ', and $y$ is ',
        ' for the first and ',
        ' 和 ',
        r'\text{ or }',
        ' et ',
        ' or x equals ',
    ],
)
def test_boxes_joined_by_words(joint):
    assert judge('math', rf'$\boxed{{2}}${joint}$\boxed{{3}}$'.replace('$$', '$ $'), '2, 3') == 'correct'


def test_boxes_that_correct_themselves():
    for text in (
        r'\boxed{2}. Wait, \boxed{3}',
        r'\boxed{2}? No: \boxed{3}',
        r'First \boxed{2}, but then \boxed{3}',
    ):
        assert judge('math', text, '3') == 'correct'


as_written = [
    ('math', 'They are the same.'),
    ('number', '3:30 pm'),
    ('number', '15 or 16'),
    ('yes_no', 'maybe'),
    ('choice', 'A and B'),
    ('label', 'entailment or neutral'),
    ('math', 'The graph is a circle, and it has no tangents.'),
    ('math', 'x is 5 in the first case; 6 in the second'),
]


@pytest.mark.parametrize('kind, label', as_written)
def test_equal_as_written(kind, label):
    for f in ('{}', '<answer>{}</answer>', r'\boxed{{{}}}', r'\boxed{{\text{{{}}}}}', '#### {}'):
        assert judge(kind, f.format(label), label, labels.get(kind, ())) == 'correct', f
    assert judge(kind, '<answer>something else</answer>', label, labels.get(kind, ())) != 'correct'


# ---- the strict reading

strict_cases = [
    ('number', '18', '18'),
    ('math', r'x^2', 'x^2'),
    ('choice', 'B', 'B'),
    ('label', 'neutral', 'neutral'),
    ('yes_no', 'yes', 'yes'),
    ('text', 'Paris', 'paris'),
]


@pytest.mark.parametrize('kind, gold, value', strict_cases)
def test_strict_reads_marks_alone(kind, gold, value):
    for f in (
        '{}',
        'The answer is {}.',
        'Answer: {}',
        '**{}**',
        'A: {}',
        'so {}',
        '<think>{}</think> {}',
        r'$x = {}$',
        '<think>It is {} and',
    ):
        assert extract(kind, f.format(gold, gold), labels.get(kind, ()), strict=True) is None, f
        assert judge(kind, f.format(gold, gold), gold, labels.get(kind, ()), strict=True) == 'unparseable'
    for f in (
        '#### {}',
        r'\boxed{{{}}}',
        r'\fbox{{{}}}',
        '<answer>{}</answer>',
        '<think>Hm.</think> <answer> {} </answer>',
    ):
        assert extract(kind, f.format(gold), labels.get(kind, ()), strict=True) == value, f
        assert judge(kind, f.format(gold), gold, labels.get(kind, ()), strict=True) == 'correct'


def test_strict_rewards():
    task = Task('sums', 'Add.', 'Answer after ####.', 'number')
    said = ['#### 4', 'It is 4.', '4']
    assert reward(task)(completions=said, label=['4'] * 3) == [1, 1, 1]
    assert reward(task, strict=True)(completions=said, label=['4'] * 3) == [1, 0, 0]
    assert judge_all('number', said, '4', strict=True) == ['correct', 'unparseable', 'unparseable']


# ---- several accepted answers

several = [
    ('number', ['18', '18.5'], '#### 18.5', '#### 19'),
    ('math', [r'\frac12', 'x=3'], r'\boxed{3}', r'\boxed{4}'),
    ('choice', ['A', 'C'], '<answer>C</answer>', '<answer>B</answer>'),
    ('label', ['neutral', 'entailment'], 'It is neutral.', 'contradiction'),
    ('yes_no', ['yes', 'no'], 'No.', 'Perhaps.'),
    ('text', ['The Hague', 'Den Haag'], 'Den Haag', 'Amsterdam'),
]


@pytest.mark.parametrize('kind, accepted, right, wrong', several)
def test_any_accepted_answer_is_right(kind, accepted, right, wrong):
    known = labels.get(kind, ())
    assert (
        judge(kind, right, accepted, known)
        == judge(kind, right, tuple(accepted), known)
        == judge(kind, right, accepted[::-1], known)
        == 'correct'
    )
    assert judge(kind, wrong, accepted, known) in ('wrong', 'unparseable')
    assert judge(kind, right, [], known) == 'unparseable'
    assert judge_all(kind, [right, wrong, right], [accepted, accepted, accepted[:1]], known)[:2] == [
        judge(kind, right, accepted, known),
        judge(kind, wrong, accepted, known),
    ]
    assert judge_all(kind, [right] * 2, accepted, known) == [
        judge(kind, right, a, known) for a in accepted
    ]  # a flat list: one for each
    task = Task('t', 'Do it.', 'In a mark.', kind, labels=list(known))
    for column in ('label', 'answer'):
        assert reward(task)(completions=[right, wrong], **{column: [accepted, accepted]}) == [1, 0]


def test_accepting_several_is_not_accepting_a_list():
    assert judge('choice', '<answer>A, C</answer>', ['A', 'C'], 'ABCD') == 'unparseable'
    assert judge('number', '18 or 18.5', ['18', '18.5']) == 'unparseable'


# ---- remarks after an answer are no second one

remarks = [
    ('number', 'The answer is 2/3 or 0.667.', '2/3'),
    ('number', '#### 1/3, approximately 0.333', '1/3'),
    ('choice', 'The answer is C; D would worsen it.', 'C'),
    ('choice', 'The answer is D. B and C are incorrect.', 'D'),
    ('choice', 'The answer is C, B is wrong because it is rare.', 'C'),
    ('choice', '<answer>B. C. difficile</answer>', 'B'),
    ('choice', 'The answer is (B) C-peptide.', 'B'),
    ('label', '<answer>neutral. Entailment would need more.</answer>', 'neutral'),
    ('label', 'Between entailment and neutral, I choose neutral.', 'neutral'),
    ('yes_no', 'The answer is yes, no further proof is needed.', 'yes'),
]


@pytest.mark.parametrize('kind, text, expected', remarks)
def test_remarks(kind, text, expected):
    assert extract(kind, text, labels.get(kind, ())) == expected
