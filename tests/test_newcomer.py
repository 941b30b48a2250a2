"A newcomer's first hour: several right answers in every kind, runs with nothing to learn, what is said."
import json, logging, sys, warnings
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import pytest
import synthrl.run
from synthrl.adapt import find_solved
from synthrl.cli import main
from synthrl.evaluate import Evaluation, difference, evaluate, to_evaluations, write_evaluations
from synthrl.run import PRESETS, choose
from synthrl.run.testset import least_gain, ordinary_gain, unequal
from synthrl.score import score
from synthrl.student import hush, quietly
from synthrl.task import Sample, Task, accepted, to_sample
from synthrl.task import read_samples, read_test, write_jsonl, write_samples
from synthrl.tiny.problems import read
from synthrl.train import check_rewards, no_signal
from synthrl.verify import judge, reward

def tagged(text): return f'<answer>{text}</answer>'

KINDS = [ # kind, labels, question, accepted answers, a right completion for each, a wrong one
    ('text', [], 'Where is the court?', ['The Hague', 'Den Haag'],
     [tagged('the Hague'), tagged('Den Haag')], tagged('Paris')),
    ('number', [], 'A root of x^2 = 9?', ['3', '-3'], ['#### 3', '#### -3'], '#### 9'),
    ('math', [], 'A factor of x^2 - 1?', ['x+1', 'x-1'], [r'\boxed{1+x}', r'\boxed{x-1}'], r'\boxed{x}'),
    ('choice', ['A', 'B', 'C'], 'Which is even? A: 2 B: 3 C: 4', ['A', 'C'],
     [tagged('A'), tagged('C')], tagged('B')),
    ('label', ['good', 'fair', 'bad'], 'How was it?', ['good', 'fair'],
     [tagged('good'), tagged('fair')], tagged('bad')),
    ('yes_no', [], 'Is it so?', ['yes', 'no'], [tagged('yes'), tagged('No')], tagged('perhaps'))]
FORMAT = dict(number='After ####.', math=r'In \boxed{}.')
names = [k[0] for k in KINDS]
each_kind = pytest.mark.parametrize('kind, labels, question, answers, right, wrong', KINDS, ids=names)


class Fake:
    "A student that gives these answers in turn."
    def __init__(self, *texts): self.texts, self.at = texts, 0
    def close(self): pass

    def sample(self, prompts, n=1, **kw): return [[self._next() for _ in range(n)] for _ in prompts]

    def _next(self):
        self.at += 1
        return SimpleNamespace(text=self.texts[(self.at - 1) % len(self.texts)], tokens=5, finished=True)


def a_task(kind, labels, **kw):
    return Task('n', 'd', FORMAT.get(kind, 'Between <answer> and </answer>.'), kind, labels=labels, **kw)


@each_kind
def test_any_accepted_answer_is_right(kind, labels, question, answers, right, wrong, tmp_path):
    task, s = a_task(kind, labels), Sample(question, answer=answers)
    assert s.label == answers
    assert len({s.id, Sample(question, answer=answers[0]).id, Sample(question, answer=answers[1]).id}) == 3
    for text in right: assert judge(kind, text, s.label, labels, question=question) == 'correct', text
    assert judge(kind, wrong, s.label, labels, question=question) != 'correct'
    assert reward(task)(completions=[*right, wrong], label=[answers]*3, input=[question]*3) == [1, 1, 0]
    kept = tmp_path/'rollouts.jsonl.gz'
    scored, = score(task, Fake(*right, wrong), [s], n=6, method='fixed', rollouts=kept)
    assert scored.pass_rate == pytest.approx(4/6)
    assert [x.solved for x in find_solved(task, Fake(*right, wrong), [s, s, s])] == [True, True, False]
    base = evaluate(task, Fake(right[0], wrong, wrong), [s]*3)
    trained = evaluate(task, Fake(*right, wrong), [s]*3)
    assert base.accuracy == pytest.approx(1/3) and trained.accuracy == pytest.approx(2/3)
    write_evaluations(tmp_path/'eval.jsonl', base, trained)
    rows = [json.loads(line) for line in (tmp_path/'eval.jsonl').read_text().splitlines()]
    assert rows[0]['label'] == answers and to_evaluations(rows)[1].accuracy == trained.accuracy
    check_rewards(task, [s, Sample(question, right[1], answers)])
    assert unequal(task, [s]) == []


@each_kind
def test_lists_in_files(kind, labels, question, answers, right, wrong, tmp_path, capsys):
    "A list in .jsonl, in .parquet, under another column's name, and in the demonstrations; said by check."
    from pyarrow import parquet, table
    rows = [dict(question=question, gold=answers), dict(question='Another one?', gold=answers[:1])]
    write_jsonl(tmp_path/'t.jsonl', rows)
    parquet.write_table(table({k: [r[k] for r in rows] for k in rows[0]}), tmp_path/'t.parquet')
    columns = dict(input='question', answer='gold')
    for name in ('t.jsonl', 't.parquet'):
        task = a_task(kind, labels, test=str(tmp_path/name), columns=columns)
        assert [s.label for s in read_test(task)] == [answers, answers[0]]
    (tmp_path/'t.toml').write_text(f'''
name = "n"
description = "d"
output_format = '{task.output_format}'
answer = "{kind}"
labels = {labels}
test = "t.jsonl"
columns = {{ input = "question", answer = "gold" }}
demos = [{{ input = "Like this?", output = {json.dumps(answers)} }}]
''')
    assert main(['check', str(tmp_path/'t.toml')]) == 0
    said = capsys.readouterr().out
    assert 'several right answers, any of which counts: 1 row (row 1)' in said
    assert ' or ' in said.splitlines()[0] and 'not found equal' not in said


def test_lists_on_disk(tmp_path):
    answers = ['a', 'b'], '["a", "b"]', np.array(['a', 'b'])
    samples = [Sample('q', answer=answer) for answer in answers]
    write_samples(tmp_path/'s.jsonl', samples)
    assert read_samples(tmp_path/'s.jsonl') == samples
    assert samples[0].id == samples[2].id != samples[1].id


@pytest.mark.parametrize('value, answer', [
    (None, ''), (3, '3'), (True, 'True'), ([None, 2, 2.5], ['2', '2.5']), (['a'], 'a'), (float('nan'), ''),
    (np.int64(4), '4')])
def test_odd_values(value, answer):
    assert to_sample(dict(input='q', answer=value)).answer == answer
    assert accepted('a') == ['a'] and accepted(['a', 'b']) == ['a', 'b']


def write_task(folder, rows, **more):
    "A task file beside its test set."
    write_jsonl(folder/'test.jsonl', rows)
    keys = dict(name='n', description='d', test='test.jsonl') | more
    (folder/'t.toml').write_text(''.join(f'{key} = {json.dumps(value)}\n' for key, value in keys.items()))
    return str(folder/'t.toml')


def test_what_check_says_of_a_test_set(tmp_path, capsys):
    rows = [dict(input=f'Question {i}?', answer='yes') for i in range(10)]
    more = ('Question 3?', 'yes'), ('question  4?', 'no'), ('Last?', 'Yes')
    rows += [dict(input=question, answer=answer) for question, answer in more]
    write_jsonl(tmp_path/'train.jsonl', rows[:1])
    path = write_task(tmp_path, rows, output_format='One word.', answer='yes_no', train='train.jsonl')
    assert main(['check', path]) == 0
    said = capsys.readouterr().out
    for words in ('13 rows: yes 92%, no 8%', 'row 11 is row 4', 'row 5 says "yes", row 12 "no"',
                  "'yes', 'Yes'", 'in `train` too: row 1', 'can show is 46.2 points'):
        assert words in said, words


def examined(right, n):
    rows = [dict(id=i, verdicts=['wrong'], finished=[True]) for i in range(n)]
    for row in rows[:right]: row['verdicts'] = ['correct']
    return Evaluation(rows)


@pytest.mark.parametrize('n', [6, 20, 500])
def test_smallest_gain(n):
    won = round(least_gain(n)*n)
    none = examined(0, n)
    assert difference(none, examined(won, n)).p < .05 < difference(none, examined(won - 1, n)).p
    assert ordinary_gain(n) > least_gain(n) or n == 6
    assert least_gain(5) is ordinary_gain(5) is None


def test_gold_that_no_model_can_meet(tmp_path, capsys):
    "A row whose gold answer is not found equal to itself is shown by check, and by run before it pays."
    rows = [dict(input=f'Half of {i}?', answer=f'{i}/2') for i in range(6)]
    rows.append(dict(input='Half of 1?', answer=r'\frac{1}{2'))
    path = write_task(tmp_path, rows, output_format=r'In a box: \boxed{}.', answer='math')
    assert main(['check', path]) == 0
    line, = [l for l in capsys.readouterr().out.splitlines() if 'not found equal to itself' in l]
    assert r'row 7 "\frac{1}{2"' in line and 'row 6' not in line
    said, who = [], dict(student='tiny', teacher='gpt-4o-mini')
    synthrl.run._begin(path, 'laptop', tmp_path/'out', 0, {}, said.append, **who)
    assert said == [line]


@pytest.fixture
def with_student(monkeypatch, tmp_path):
    "The bundled task with a stand-in for the student, so that no engine is needed."
    monkeypatch.chdir(tmp_path)
    for name in ('check_packages', 'check_hub', 'find_backend'):
        monkeypatch.setattr(synthrl.run, name, lambda *a: None)
    small = '--preset laptop --out out --set synthesis.n=12 --set plan.heldout=5'.split()
    def go(student, *args):
        monkeypatch.setattr(synthrl.run.stages, 'load_student', lambda *a, **kw: student)
        monkeypatch.setattr(synthrl.run.stages, 'train', lambda *a, **kw: pytest.fail('it was trained'))
        return main(['run', 'word_problems', *small, *args])
    return go


@pytest.mark.parametrize('text, words', [
    ('I cannot say.', ['got none of the', 'cannot be read', 'output_format']),
    ('#### 999', ['got none of the', 'can be read, and they are wrong', 'labels'])])
def test_nothing_to_learn_from(with_student, capsys, text, words, tmp_path):
    assert with_student(Fake(text)) == 2
    err, = capsys.readouterr().err.strip().splitlines()
    for w in (*words, 'nothing to learn from', 'scored.jsonl'): assert w in err, err
    out = tmp_path/'out'
    assert not (out/'train.jsonl').exists() and not (out/'model').exists()
    summary = json.loads((out/'summary.json').read_text())
    assert 'Nothing was trained' in summary['warnings'][0]
    assert summary['pass_rate']['synth'][0] == summary['counts']['scored']
    assert 'Nothing was trained' in (out/'report.html').read_text()


class Knows(Fake):
    "A student that is right on every question in the teacher's wording."
    def sample(self, prompts, n=1, **kw):
        found = []
        for p in prompts:
            question = read(p.split('\n')[-2].removeprefix('Q: '))
            text = f'#### {question.answer if question else 0}'
            found.append([SimpleNamespace(text=text, tokens=5, finished=True)]*n)
        return found


def test_nothing_left_to_learn(with_student, capsys, monkeypatch):
    monkeypatch.setattr('synthrl.tiny.teacher.ERRORS', dict(wrong=0, refusal=0, broken=0))
    assert with_student(Knows()) == 2
    err, = capsys.readouterr().err.strip().splitlines()
    assert 'got all of the' in err and 'harder questions' in err


signal = ([0, .5], True), ([1, 0], False), ([0, 0], False), ([None, 0], True)
@pytest.mark.parametrize('rates, learns', signal)
def test_signal(rates, learns):
    assert (no_signal([Sample('q', answer='1', pass_rate=p) for p in rates]) == '') == learns


@pytest.mark.parametrize('command', ['run', 'preview'])
def test_the_bundled_teacher_knows_one_task(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [dict(input=f'Day {i}?', answer='good') for i in range(7)]
    write_task(tmp_path, rows, output_format='One word.', answer='label', labels=['good', 'bad'])
    assert main([command, 't.toml', '--preset', 'laptop']) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert 't.toml: the teacher "tiny" knows the task word_problems alone' in err
    assert '--teacher gpt-4o-mini' in err and 'preview' not in err
    assert not Path('runs').exists()


PAID = '--student', 'tiny', '--teacher', 'gpt-4o-mini'
MINE = '--student', 'tiny', '--teacher', 'mine'
@pytest.mark.parametrize('args, words', [
    (['--student', 'tinny'], ['`tinny`', 'did you mean `tiny`']),
    (['--student', 'tiny', '--teacher', 'tinny'], ['`tinny`', 'did you mean `tiny`']),
    ([*PAID, '--budget-usd', '0'], ['budget_usd = 0', '--budget-usd 5']),
    ([*PAID, '--budget-tokens', '0'], ['budget_tokens = 0', '--budget-tokens 5']),
    ([*MINE, '--base-url', 'http://127.0.0.1:9/v1', '--budget-usd', '1'],
     ['price of mine', '--prices FILE', '"mine" = [0.15, 0.6]']),
    ([*MINE, '--prices', '~/no-such-prices.toml'], [str(Path.home()), 'price table'])])
def test_messages(args, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('OPENAI_API_KEY', 'x')
    monkeypatch.delenv('OPENAI_BASE_URL', raising=False)
    assert main(['run', 'word_problems', '--until', 'initial', *args]) == 2
    err, = capsys.readouterr().err.strip().splitlines()
    for w in words: assert w in err, err


def test_home_in_paths(tmp_path, capsys, monkeypatch):
    home, own = tmp_path/'home', Task.load('word_problems')
    (home/'lib').mkdir(parents=True)
    monkeypatch.setenv('HOME', str(home))
    monkeypatch.chdir(tmp_path)
    (home/'lib'/'a.txt').write_text('Jars stand on shelves, in rows of ten, above the counter of the shop.')
    rows = [dict(input='q', answer='4')]*7
    paths = dict(test='~/test.jsonl', passages='~/lib')
    about = dict(description=own.description, output_format='After ####.', answer='number')
    write_task(home, rows, **about, **paths)
    assert main(['check', '~/t.toml']) == 0 and '7 rows' in capsys.readouterr().out
    small = '--preset laptop --until initial --set synthesis.n=3'.split()
    assert main(['run', '~/t.toml', *small, '--out', '~/out']) == 0
    assert (home/'out'/'initial.jsonl').exists() and not (tmp_path/'~').exists()
    assert main(['report', '~/out']) == 0


@pytest.mark.parametrize('preset', PRESETS)
def test_checkpoints_are_on_in_every_preset(preset): assert 1 <= choose(preset)['grpo'].save_every <= 25


def test_engines_are_hushed_and_nobody_else():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        hush()
        warnings.warn_explicit('an engine', UserWarning, 'x.py', 1, module='transformers.modeling')
        warnings.warn_explicit('the user', UserWarning, 'x.py', 2, module='my_script')
    assert [str(w.message) for w in seen] == ['the user'] and logging.getLogger('vllm').level == logging.ERROR


def test_what_engines_print_is_dropped_and_what_they_say_later_is_not(capsys):
    with quietly():
        print('a banner')
        print('a bar', file=sys.stderr)
        handler = logging.StreamHandler()          # as vLLM makes one when it is imported
    handler.emit(logging.makeLogRecord(dict(msg='an error')))
    assert capsys.readouterr() == ('', 'an error\n')
    with pytest.raises(ValueError):
        with quietly(): raise ValueError
    print('heard')
    assert capsys.readouterr().out == 'heard\n'
