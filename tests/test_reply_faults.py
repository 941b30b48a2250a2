"""Faults put into real replies and samples like a teacher's, 400 of each kind: read right, or None.

An object that differs from what was meant is a silent loss, and there may be none. So that None is no
way out, each kind has a share that must be read. The real replies are those of ../shared/eval; where that
is absent, the samples alone are used."""

import json, random, re
from collections import Counter
from pathlib import Path
import pytest
from synthrl.teacher.reply import read_object

folder = Path(__file__).parents[2] / 'shared/eval'
sentences = [
    'Tom has 3 pears; he buys 4 more. How many has he?', 'The answer is 7.', "It's done", 'x = 3', 'yes',
    '12', '', 'Step 1: 3 + 4 = 7\nStep 2: done\n#### 7', 'Which is right?\nA: the "first"\nB: the second',
    'a, b, and c: [1, 2]', 'She said "no, never," and left {quietly}.', 'It\'s 5\'3", isn\'t it?',
    'He asked: "why?", and "how: so"?', r'Simplify \frac{3}{4} \times \sqrt{2}, with $x \in \{1, 2\}$.',
    r'\boxed{\text{yes}}', 'über 20 % — “quoted”…', 'Use f(x) = {"a": no} // not a comment',
    'C# and C++ // both', 'see https://a.b/c#d, "there"', '{1: "one", 2: "two"}',
    'def f(d):\n    # the "first" one\n    return {"a": d["x"], "b": f"{d}"}\n',
    'What does `print("a, b", "c")` show?', 'if (a == "b") { return "c"; }',
    'key: value\nname: "Bob"\nage: 3', 'a\nb\ni = 0\nu = 3\ne. last', '["x", "y"]',
]


def sample(rng):
    "An object like those that a teacher writes."

    def text():
        return ' '.join(rng.choice(sentences) for _ in range(rng.randint(1, 3))).strip()

    first = dict(input=text(), output=text())
    more = [
        {}, {}, dict(score=rng.randint(0, 9), ok=True), dict(tags=[text(), text()]),
        dict(meta=dict(level=1, note=text())),
    ]
    return first | rng.choice(more)


def real_objects():
    path = folder / 'json/real_replies.jsonl'
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else []
    return [r['expected'] for r in rows if r['expected']]


def dump(rng, o):
    return json.dumps(o, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2, 4]))


def tokens(s):
    return list(re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+', s))


def after_token(rng, s, more, kinds=''):
    m = rng.choice([m for m in tokens(s) if not kinds or m[0][0] in kinds])
    return s[: m.end()] + more + s[m.end() :]


def raw(s):
    return re.sub(r'(\\\\)|\\n', lambda m: m[1] or '\n', s)


# --- faults: from an object, a text, and the object that it then means -----------------------------------

notes = [
    'note', 'the question', "it's here", 'see "input"', '{x}', 'a, b', 'end }', 'http://a.b', 'key: value',
    '"output": no', '',
]


def comment(rng, o):
    kind = rng.choice(['# %s\n', ' // %s\n', '/* %s */', '  # %s\n  '])
    return after_token(rng, dump(rng, o), kind % rng.choice(notes)), o


def comment_without_a_line_end(rng, o):
    return after_token(rng, json.dumps(o), rng.choice([' # ', ' // ']) + rng.choice(notes) + ' ', '",'), o


inside = [
    '{"k": "v"}', '{"a": "b", "c": "d"}', '{"a": 1}', '{"x": {"y": "z"}}', '["x", "y"]',
    '{"n": "m", "output": "7"}', '{}', '{""}', '{1: "v", 2: "w"}', '{"k": ["v"]}',
    '[{"a": "b"}, {"c": "d"}]', '{"k": "v"', '"k": "v"', '{"k"}', '"k": "v", "l": "m"',
]


def inner_object(rng, o):
    key = rng.choice([k for k in o if isinstance(o[k], str)])
    at, part = rng.randint(0, len(o[key])), rng.choice(inside)
    before, after = o[key][:at], o[key][at:]
    text = dump(rng, o | {key: before + '\0' + after}).replace(r'\u0000', part)
    return text, o | {key: before + part + after}


def integer_keys(rng, o):
    steps = {str(i): rng.choice(sentences[:5]) for i in range(1, rng.randint(2, 5))}
    items = list((o | rng.choice([steps, dict(steps=steps)])).items())
    rng.shuffle(items)
    return re.sub(r'"(\d)":', r'\1:', dump(rng, dict(items))), dict(items)


def list_closed_by_a_brace(rng, o):
    items = list(o.items())
    items.insert(rng.randint(0, len(items)), ('list', rng.choice([['x'], ['x', 'y z'], [1, 2]])))
    return re.sub(r'("list": \[[^\]]*)\]', r'\1}', dump(rng, dict(items)), count=1), dict(items)


def wrong_bracket(rng, o):
    s = dump(rng, o)
    m = rng.choice([m for m in tokens(s) if m[0] in '}]'])
    return s[: m.start()] + '}]'[m[0] == '}'] + s[m.end() :], o


def early_brace(rng, o):
    s = dump(rng, o)
    m = rng.choice(tokens(s)[1:-1])
    return s[: m.end()] + rng.choice(['}', ' }', '},', '}\n', ']']) + s[m.end() :], o


def early_brace_of_an_inner_object(rng, o):
    whole = dict(meta=dict(a=1, b='x', c=2)) | {k: v for k, v in o.items() if k != 'meta'}
    return dump(rng, whole).replace('"a": 1', '"a": 1}', 1), whole


def lost_brace_of_an_inner_object(rng, o):
    whole = (
        {k: o[k] for k in list(o)[:1]}
        | dict(meta=dict(a=1, b=2))
        | {k: v for k, v in o.items() if k != 'meta'}
    )
    return re.sub(r'("b": 2)\s*\}', r'\1', dump(rng, whole), count=1), whole


def deleted(rng, o):
    s = dump(rng, o)
    m = rng.choice([m for m in tokens(s) if m[0][0] in '"{}[]:,'])
    i = rng.choice([m.start(), m.end() - 1])
    return s[:i] + s[i + 1 :], o


def key_twice(rng, o):
    return json.dumps(o)[:-1] + f', {json.dumps(rng.choice(list(o)))}: "other"' + '}', o


def two_objects(rng, o):
    return dump(rng, o) + rng.choice(['', ' ', '\n', ', ', '\n\n']) + dump(rng, o | dict(input='?')), o


def split_object(rng, o):
    n = rng.randint(1, len(o) - 1)
    parts = [dump(rng, dict(list(o.items())[a:b])) for a, b in ((0, n), (n, None))]
    return rng.choice(['', ' ', '\n', ', ', ',\n']).join(parts), o


def prose(rng, o):
    before = rng.choice(['', 'Here: ', 'So {x : x > 0} and \\frac{1}{2}:\n', 'Sure!\n```json\n'])
    return before + dump(rng, o) + rng.choice(
        ['', '\n```', '\n```\nI hope this helps!', ' That is "it".', '\n\n# Notes\nnone', '.']
    ), o


def quotes(rng, o):
    return dump(rng, o).replace('\\"', '"'), o


def newlines(rng, o):
    return raw(dump(rng, o)), o


def quotes_and_newlines(rng, o):
    return raw(quotes(rng, o)[0]), o


def missing_comma(rng, o):
    s = dump(rng, o)
    m = rng.choice([m for m in tokens(s) if m[0] == ','])
    return s[: m.start()] + s[m.end() :], o


def three_quotes(rng, o):
    texts = re.compile(r'"(input|output|answer_choice)": "((?:[^"\\]|\\.)*)"')
    return texts.sub(lambda m: f'"{m[1]}": """' + raw(m[2].replace('\\"', '"')) + '"""', dump(rng, o)), o


def twice_encoded(rng, o):
    return json.dumps(dump(rng, o))[slice(*rng.choice([(None, None), (1, -1)]))], o


def encoded_value(rng, o):
    return dump(rng, o | dict(output=json.dumps(o))), o | dict(output=json.dumps(o))


def python(rng, o):
    return repr(o), o


def curly(rng, o):
    return re.sub(r'"((?:[^"\\]|\\.)*)"', r'“\1”', dump(rng, o)), o


def backslashes(rng, o):
    return re.sub(r'\\\\(?=[a-zA-Z{}$])', r'\\', dump(rng, o)), o


def lost_quote(rng, o):
    s = dump(rng, o)
    m = rng.choice([m for m in tokens(s) if m[0][0] == '"'])
    i = rng.choice([m.start(), m.end() - 1])
    return s[:i] + s[i + 1 :], o


faults = {
    comment: 0.6, comment_without_a_line_end: 0, inner_object: 0.6, integer_keys: 0.9,
    list_closed_by_a_brace: 0, wrong_bracket: 0.6, early_brace: 0, early_brace_of_an_inner_object: 0,
    lost_brace_of_an_inner_object: 0, deleted: 0.3, key_twice: 0, two_objects: 0, split_object: 0,
    prose: 0.9, quotes: 0.6, newlines: 0.9, quotes_and_newlines: 0.6, missing_comma: 0.7, three_quotes: 0.7,
    twice_encoded: 0.9, encoded_value: 0.9, python: 0.9, curly: 0.8, backslashes: 0.9, lost_quote: 0.3,
}  # and the share that must be read


def outcomes(fault, objects, n=400):
    "How often the object was read right, was None, and was another; and the others."
    rng, seen, other = random.Random(fault.__name__), Counter(), []
    for _ in range(n):
        text, meant = fault(rng, objects(rng))
        got = read_object(text)
        seen['none' if got is None else 'right' if got == meant else 'other'] += 1
        if got not in (None, meant):
            other.append((text, got))
    return seen, other


@pytest.mark.parametrize('fault', faults, ids=lambda f: f.__name__)
@pytest.mark.parametrize('kind', ['real', 'sample'])
def test_right_or_none(fault, kind):
    real = real_objects()
    if kind == 'real' and not real:
        pytest.skip('../shared/eval is not there')
    seen, other = outcomes(fault, sample if kind == 'sample' else lambda rng: rng.choice(real))
    assert not other, (len(other), min(other, key=lambda x: len(x[0])))
    assert seen['right'] >= faults[fault] * 400 * (0.4 if kind == 'sample' else 1), seen


# --- backslashes -----------------------------------------------------------------------------------------

places = [
    r'Compute \%s x here.', r'Is $a \%s b$?', r'x \%s y', r'\%s', r'\%s{x}', r'and \%s(x)', r'a\%s b',
    r'\[ \%s x = 3 \]', r'x = \%s', r'\frac{1}{2} \%s 3', r'(\%s, 2)',
    r'\begin{matrix} a & \%s \\ b \end{matrix}',
]
commands = '''
    alpha beta bar binom begin boxed big bigcup bm bmod bot because fbox flat forall frac frown
    nabla ncong ne neg neq nearrow nexists ngeq ngtr ni nleq nless nmid not notin nparallel
    nRightarrow nsubseteq nu nolimits nonumber norm rangle rbrace rceil real ref renewcommand rfloor
    rho right rightarrow rm rtimes rule rvert rVert tag tan tanh tau tbinom text textbf textit tfrac
    therefore theta thickapprox tilde times tiny to top triangle triangleq twoheadrightarrow
    underline underset uparrow upsilon unicode sqrt sum
'''.split()


def with_text(rng, o, text):
    "An object with a text whose backslashes stand alone while all else is escaped, and what it means."
    meant = o | dict(input=f'So: {text}')
    return json.dumps(meant).replace(json.dumps(text)[1:-1], text), meant


def lost_commands(names):
    rng, seen, other = random.Random(0), Counter(), []
    for name in names:
        for place in places:
            text, meant = with_text(rng, sample(rng) | dict(output='7'), place.replace('%s', name))
            got = read_object(text)
            seen['none' if got is None else 'right' if got == meant else 'other'] += 1
            if got not in (None, meant):
                other.append((text, got))
    return seen, other


def test_commands():
    seen, other = lost_commands(commands)
    assert not other, other[:3]
    assert seen['right'] >= 0.8 * seen.total(), seen


def test_commands_of_matplotlib():
    "Every name that Matplotlib's mathematics knows, but for two that nobody else does."
    known = pytest.importorskip('matplotlib._mathtext_data').tex2uni
    seen, other = lost_commands(
        [c for c in known if c.isalpha() and len(c) > 1 and c not in ('notsmallowns', 'triangleeq')]
    )
    assert not other, other[:3]
    assert seen['right'] >= 0.8 * seen.total(), seen


@pytest.mark.parametrize(
    'text',
    [
        'one\next line', 'one\new', '\tabbed', '\nsuppose x', '\nsubject', '\nsimilar', '\textra',
        '\ttotal = 1', '\rThe', 'a\r\nb', 'a. 1\nb. 2\nc. 3\nd. 4\ne. 5',
        'for x in y:\n\tif x:\n\t\top = 1', 'u = 1\ni = 2\ne += 3', '\next\new\nought\never\nil',
        'a\tb\tc\n1\t2\t3',
    ],
)
def test_line_ends_and_tabs(text):
    "What JSON escapes right stays what it is, alone and beside doubled backslashes."
    for more in ('', r' \frac{1}{2} \\ \nu'):
        assert read_object(json.dumps(dict(input=text + more))) == dict(input=text + more)


@pytest.mark.skipif(not (folder / 'tasks').exists(), reason='../shared/eval is not there')
@pytest.mark.parametrize('name', ['humaneval_test', 'mbpp_all', 'gsm8k_test', 'medqa_test'])
def test_right_json_is_read_as_json(name):
    "Code, problems and questions, as they are and with tabs: no line end becomes a command."
    rows = map(json.loads, (folder / f'tasks/{name}.jsonl').read_text().splitlines())
    texts = [v for r in rows for v in r.values() if isinstance(v, str)][::3]
    wrong = [
        t
        for text in texts
        for t in (text, text.replace('    ', '\t'))
        if read_object(json.dumps(dict(input=t))) != dict(input=t)
    ]
    assert not wrong, (len(wrong), wrong[:2])
