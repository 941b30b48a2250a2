"""No reader and no pattern is worse than linear: each is fed hostile text that grows.

Patterns are found by themselves: objects in modules, and whatever is written in a call of `re`. Each is
attacked with the characters that texts are made of, and with strings made from its own parts. A short look at
small sizes finds the suspects; these are measured at 10,000 and 100,000 characters, by the processor's time,
with a limit, so that an exponential one fails."""

import ast, importlib, inspect, json, pkgutil, random, re, signal, time, types
from collections import defaultdict
from itertools import product
from pathlib import Path
import synthrl
from synthrl import retrieve, synthesize, task, verify
from synthrl.teacher import wire
from synthrl.tiny import teacher as tiny_teacher

modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(synthrl.__path__, 'synthrl.')]
methods = 'search match fullmatch findall finditer sub subn split'.split()
# a tenfold text may take 12 times as long, a text of 100,000 characters half a second; .15 s is noise
growth, most, floor = 12, 0.5, 0.15

# --- clocks ----------------------------------------------------------------------------------------------


class TooLong(BaseException):
    "The limit was reached."


def _ring(*_):
    raise TooLong


def seconds(call, text, limit=1.5 * most):
    "Processor time of a call; infinite where it takes more than the limit."
    before = signal.signal(signal.SIGVTALRM, _ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    start = time.process_time()
    try:
        call(text)
    except TooLong:
        return float('inf')
    except Exception:
        pass  # what is refused is read as well
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return time.process_time() - start


def fault(call, make):
    """What is wrong with the growth of `call(make(n))`, None if nothing is. It is measured again before it is
    said: a busy machine adds to a time now and then, a quadratic reader is a hundredfold each time."""
    for _ in range(9):
        small = seconds(call, make(10_000))
        large = seconds(call, make(100_000)) if small < most else small
        if large <= floor or large <= most and large <= growth * small:
            return None
        if small == float('inf') or large == float('inf'):
            break
    return f'{small:.3f} s at 10,000 and {large:.3f} s at 100,000 characters'


def suspect(call, make, small=500, large=4000, much=0.02):
    "Does it grow faster than its text, at sizes that are quickly tried?"
    second = seconds(call, make(large))
    if second <= much / 50 or second > much:  # most of them: the larger size says it alone
        return second > much
    return second > 2.2 * large / small * max(seconds(call, make(small)), 1e-6)


# --- patterns --------------------------------------------------------------------------------------------


def inside(value, depth=0):
    "The patterns in a module's value."
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 4 and isinstance(value, dict):
        for k, v in value.items():
            yield from (*inside(k, depth + 1), *inside(v, depth + 1))
    elif depth < 4 and isinstance(value, (list, tuple, set, frozenset)):
        for v in value:
            yield from inside(v, depth + 1)
    elif isinstance(value, type) and value.__module__.startswith('synthrl'):
        for v in vars(value).values():
            yield from inside(v, depth + 1)


def is_re(node, names):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and getattr(node.func.value, 'id', '') == 're'
        and node.func.attr in names
    )


def compiled(node, module):
    "The pattern that a call of `re` has; None where it needs a local value."
    try:
        return re.compile(
            *[
                eval(compile(ast.Expression(a), '', 'eval'), dict(vars(module)))
                for a in node.args[: 1 + (node.func.attr == 'compile')]
            ]
        )
    except Exception:
        return None


def written(module):
    "What a module gives to `re`, with its use: `re.sub(…)`, `re.compile(…).match(…)`, or one unseen."
    then = {}
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(node, ast.Attribute) and is_re(node.value, ['compile']):
            then[node.value] = node.attr
        if is_re(node, [*methods, 'compile']) and (p := compiled(node, module)):
            yield p, then.get(node, '' if node.func.attr == 'compile' else node.func.attr)


def uses(module):
    "The methods called on each name, as in `_word.match`, `_after[place].match` or `for p in _all: p.match`."
    found, also = defaultdict(set), defaultdict(set)
    names = lambda tree: [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(node, (ast.For, ast.comprehension)):
            for name in names(node.iter):
                also[name] |= set(names(node.target))
        if not (isinstance(node, ast.Attribute) and node.attr in methods):
            continue
        value = node.value
        while isinstance(value, ast.Subscript):
            value = value.value
        if isinstance(value, ast.Name):
            found[value.id].add(node.attr)
    return {name: found[name].union(*(found[x] for x in also[name])) for name in {*found, *also}}


def all_patterns():
    "Each pattern with where it is and the methods that are called on it."
    found = {}
    for module in modules:
        used = uses(module)
        for name, value in vars(module).items():
            for p in inside(value):
                found.setdefault(p, (f'{module.__name__}.{name}', set()))[1].update(
                    used.get(name) or {'search'}
                )
    for module in modules:
        for p, method in written(module):
            if p in found and not method:
                continue
            found.setdefault(p, (f'{module.__name__}: {p.pattern[:60]}', set()))[1].add(method or 'search')
    return found


# --- attacks ---------------------------------------------------------------------------------------------

runs = [
    *' \n\t1aA{}()[]"\'\\$*#,.-:<>/=^_~`|漢é', 'a ', '1,', '1 ', ' \n', '\\{', '\\\\', '{"a":', '"x", ',
    '$ ', '$1', '\\boxed{',
    '<answer>', '####', '#### ', 'the answer is ', 'not ', ' or ', 'A, ', 'A or ', '(A) ', '/*', '//',
    '/*"', '# "', '```',
    '{{', '[{', '", "', "it's ", '\\text{', '\\frac{', '<think>', '</think>', '1/', '1.', '-1', '\\n', '\\u',
    '{1: "', 'x = ',
    '= ', 'Q: ', '**', 'A\n', '. ', '? ', 'yes ', 'so ', '\\$', '\\(', '\\ne ',
]
starts = ['', '{"a": "', '{', '\\boxed{', 'the answer is ']
ends = ['', '!', '\n"', '} x']


def texts(starts, runs, ends):
    for i, (start, run) in enumerate(product(starts, runs)):
        for end in ends if len(starts) == 1 else [ends[i % len(ends)]]:
            yield (
                f'{start!r} + {run!r}… + {end!r}',
                lambda n, s=start, r=run, e=end: (s + r * (n // len(r)))[:n] + e,
            )


parser = re._parser
classes = {
    'CATEGORY_DIGIT': r'\d', 'CATEGORY_NOT_DIGIT': r'\D', 'CATEGORY_SPACE': r'\s',
    'CATEGORY_NOT_SPACE': r'\S',
    'CATEGORY_WORD': r'\w', 'CATEGORY_NOT_WORD': r'\W',
}
usual = 'a1 "\\.,;{}()<\n'


def accepts(op, arg, c):
    "Is `c` in one part of a class?"
    if str(op) == 'LITERAL':
        return chr(arg) == c
    if str(op) == 'RANGE':
        return arg[0] <= ord(c) <= arg[1]
    return bool(re.match(classes[str(arg)], c))


def member(op, arg):
    "A character that one part of a class accepts."
    if str(op) == 'LITERAL':
        return chr(arg)
    if str(op) == 'RANGE':
        return chr(arg[0])
    return next(c for c in usual if accepts(op, arg, c))


def members(op, arg):
    "Some characters that one place of a pattern accepts."
    name = str(op)
    if name == 'LITERAL':
        return [chr(arg)]
    if name == 'ANY':
        return ['a', '"']
    if name == 'NOT_LITERAL':
        return [c for c in usual if c != chr(arg)][:2]
    if name != 'IN':
        return []
    if str(arg[0][0]) == 'NEGATE':
        return [c for c in usual if not any(accepts(*x, c) for x in arg[1:])][:3] or ['漢']
    return list(dict.fromkeys(member(*x) for x in arg))[:4]


def alternatives(op, arg):
    "The texts that one part of a repeated part may be."
    if str(op) == 'SUBPATTERN' and len(arg[-1]) == 1:
        op, arg = arg[-1][0]
    return [some(branch) for branch in arg[1]] if str(op) == 'BRANCH' else members(op, arg)


def some(sequence):
    "A text that a part of a pattern accepts, or nearly."
    out = ''
    for op, arg in sequence:
        name = str(op)
        if name == 'BRANCH':
            out += some(arg[1][0])
        elif name == 'SUBPATTERN':
            out += some(arg[-1])
        elif name == 'ATOMIC_GROUP':
            out += some(arg)
        elif 'REPEAT' in name:
            out += some(arg[2]) * max(1, min(arg[0], 3))
        elif found := members(op, arg):
            out += found[0]
    return out


def pumps(sequence, before=''):
    "Each repeated part: what comes before it, and what can be repeated."
    for op, arg in sequence:
        name = str(op)
        if 'REPEAT' in name and arg[1] > 9:
            yield before, some(arg[2])
            yield from ((before, text) for part in arg[2] for text in alternatives(*part))
        if 'REPEAT' in name:
            yield from pumps(arg[2], before)
        elif name in ('SUBPATTERN', 'ATOMIC_GROUP'):
            yield from pumps(arg[-1] if name == 'SUBPATTERN' else arg, before)
        elif name == 'BRANCH':
            for branch in arg[1]:
                yield from pumps(branch, before)
        elif name in ('ASSERT', 'ASSERT_NOT'):
            yield from pumps(arg[1], before)
        before += some([(op, arg)])


def attacks(pattern):
    "Texts made from the pattern's own repeated parts, and from the characters that all texts have."
    pairs = dict.fromkeys(
        (before, run) for before, run in pumps(parser.parse(pattern.pattern, pattern.flags)) if run
    )
    whole = some(parser.parse(pattern.pattern, pattern.flags))
    made = dict.fromkeys(
        x
        for before, run in pairs
        for x in ((before, run), ('', run), ('', before + run), ('', before))
        if x[1]
    )
    for start, run in [*made, ('', whole)] if whole else made:
        yield from texts([start], [run], ['', '\x00', '\n', ' a', '"'])
    yield from texts([''], runs, ['', '\x00'])


def use(pattern, method):
    "A call of a pattern's method that looks at the whole text."
    f = getattr(pattern, method)
    if method in ('sub', 'subn'):
        return lambda text: f('', text)
    if method == 'finditer':
        return lambda text: sum(1 for _ in f(text))
    return f


def pattern_faults():
    for p, (where, used) in all_patterns().items():
        if isinstance(p.pattern, bytes):
            continue
        for method in used:
            call = use(p, method)
            bad = next(
                (
                    f'{name}: {said}'
                    for name, make in attacks(p)
                    if suspect(call, make) and (said := fault(call, make))
                ),
                None,
            )
            if bad:
                yield f'{where} .{method}: {bad}   {p.pattern[:100]!r}'


def test_patterns_are_found():
    "Objects, literals, and those in containers; a nested quantifier and a quadratic search are noticed."
    found = all_patterns()
    assert len(found) > 100
    for bad in (r'(?:\s*|a)*b', r'\s+$', r'(a+)+c', r'/\*.*?\*/'):
        assert any(
            suspect(re.compile(bad).search, make) and fault(re.compile(bad).search, make)
            for _, make in attacks(re.compile(bad))
        ), bad


def test_no_pattern_is_worse_than_linear():
    bad = list(pattern_faults())
    assert not bad, '\n' + '\n'.join(bad)


# --- readers ---------------------------------------------------------------------------------------------


def public_readers():
    "Every public function of the package that wants texts alone."
    wanted = {
        'text', 's', 'a', 'b', 'gold', 'answer', 'raw', 'question', 'completion', 'keywords', 'reply',
        'body', 'said', 'sentence', 'passage',
    }
    for module in modules:
        for name in getattr(module, '__all__', []):
            f = getattr(module, name, None)
            if not isinstance(f, types.FunctionType) or f.__module__ != module.__name__:
                continue
            needed = [p for p in inspect.signature(f).parameters.values() if p.default is p.empty]
            texts = all(p.name in wanted and p.annotation in (str, 'str', p.empty) for p in needed)
            if needed and texts:
                yield f'{module.__name__}.{name}', lambda text, f=f, n=len(needed): f(*[text] * n)


labels = dict(choice=('A', 'B', 'C', 'D'), label=('yes', 'no', 'maybe'), yes_no=('yes', 'no'))
golds = dict(choice='B', label='maybe', yes_no='yes', number='7', math='\\frac{1}{2}')
question = 'Which is it? A: red B: blue C: green D: none'


def kind_readers():
    "Reading, judging and comparing in every kind, with a hostile reply, label, question and answer."
    for name, kind in verify.REGISTRY.items():
        words, gold = labels.get(name, ()), golds.get(name, 'some words')
        yield f'{name}.read, question', lambda text, k=kind, w=words: k.read('The answer is B.', w, text)
        yield f'{name}.judge', lambda text, n=name, w=words, g=gold: verify.judge(n, text, g, w)
        yield (
            f'{name}.judge, label',
            lambda text, n=name, w=words, g=gold: verify.judge(n, f'<answer>{g}</answer>', text, w),
        )
        yield f'{name}.same', lambda text, n=name, g=gold: verify.same(n, g, text)


class Error(Exception):
    "What the openai client raises, as far as the wire looks at it."

    def __init__(self, text):
        self.status_code, self.body, self.response, self.message = (
            400, dict(error=dict(message=text, code=text)), None, text,
        )

    def __str__(self):
        return self.message


own_task = task.Task(name='t', description='d', input_format='i', output_format='o', answer='number')
library = retrieve.BM25(
    [
        retrieve.Passage(id=str(i), title=t, text=t)
        for i, t in enumerate(('pears and apples', 'boats', 'planes', 'trains'))
    ]
)


def other_readers():
    "Prompts, libraries, and what comes over the wire."
    yield 'task.ask', own_task.ask
    yield 'task._fill', lambda text: task._fill(text, dict(question=text))
    yield 'synthesize.fill', lambda text: synthesize.fill(text + '\n{task}', task=text)
    yield 'synthesize._note', synthesize._note
    yield 'library.search', lambda text: library.search(text[: len(text) // 2], 2)
    yield (
        'wire.read_body',
        lambda text: wire.read_body(
            json.dumps(
                dict(
                    choices=[dict(message=dict(content=text), finish_reason=text)],
                    usage=dict(prompt_tokens=1, completion_tokens=1),
                )
            ).encode()
        ),
    )
    yield 'wire.read_body, raw', lambda text: wire.read_body(text.encode())
    yield (
        'wire.read_status',
        lambda text: wire.read_status(400, dict(error=dict(message=text, code=text)), {}, 'http://a', 'm'),
    )
    yield (
        'wire.read_status, raw',
        lambda text: wire.read_status(429, text, {'retry-after': text}, 'http://a', 'm'),
    )
    yield 'wire.read_exception', lambda text: wire.read_exception(Error(text), 'http://a', 'm')
    yield 'tiny.tag', lambda text: tiny_teacher.tag(text, 'question')
    yield 'tiny.reply', lambda text: tiny_teacher.reply(f'<question>{text}</question>', random.Random(0))


def all_readers():
    "By name; the same function is asked once."
    return dict([*public_readers(), *kind_readers(), *other_readers()])


def test_readers_can_be_called():
    "A call that its function does not know would be no test: what a hostile text raises is let pass above."
    for name, read in all_readers().items():
        try:
            read('The answer is 7.')
        except (TypeError, NameError) as e:
            raise AssertionError(f'{name}: {e}') from e
        except Exception:
            pass


def reader_faults(names=()):
    for name, read in all_readers().items():
        if names and name not in names:
            continue
        bad = []
        for what, make in texts(starts, runs, ends):
            if suspect(read, make, 300, 2000, 0.015) and (said := fault(read, make)):
                bad.append(f'{what}: {said}')
            if len(bad) > 2:
                break
        if bad:
            yield f'{name}: ' + '\n        '.join(bad)


def test_no_reader_is_worse_than_linear():
    bad = list(reader_faults())
    assert not bad, '\n' + '\n'.join(bad)
