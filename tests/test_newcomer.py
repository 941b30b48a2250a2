"A newcomer's first hour: several right answers in every kind, a run with nothing to learn from, a test set that shows nothing, and what the messages say."
import json, logging, warnings
from pathlib import Path
from types import SimpleNamespace
import pytest
import synthrl.run
from synthrl.run.testset import least_gain, ordinary_gain, unequal
from synthrl.cli import main
from synthrl.evaluate import evaluate, to_evaluations, write_evaluations
from synthrl.run import PRESETS, choose
from synthrl.score import score
from synthrl.student import hush, quietly
from synthrl.adapt import find_solved
from synthrl.task import Sample, Task, accepted, read_samples, read_test, to_sample, write_samples
from synthrl.train import check_rewards, no_signal
from synthrl.verify import judge, reward

KINDS = [ # kind, labels, question, accepted answers, a right completion for each, a wrong one
    ('text', [], 'Where is the court?', ['The Hague', 'Den Haag'], ['<answer>the Hague</answer>', '<answer>Den Haag</answer>'], '<answer>Paris</answer>'),
    ('number', [], 'A root of x^2 = 9?', ['3', '-3'], ['#### 3', '#### -3'], '#### 9'),
    ('math', [], 'A factor of x^2 - 1?', ['x+1', 'x-1'], [r'\boxed{1+x}', r'\boxed{x-1}'], r'\boxed{x}'),
    ('choice', ['A', 'B', 'C'], 'Which is even? A: 2 B: 3 C: 4', ['A', 'C'], ['<answer>A</answer>', '<answer>C</answer>'], '<answer>B</answer>'),
    ('label', ['good', 'fair', 'bad'], 'How was it?', ['good', 'fair'], ['<answer>good</answer>', '<answer>fair</answer>'], '<answer>bad</answer>'),
    ('yes_no', [], 'Is it so?', ['yes', 'no'], ['<answer>yes</answer>', '<answer>No</answer>'], '<answer>perhaps</answer>')]
FORMAT = dict(number='After ####.', math=r'In \boxed{}.')
each_kind = pytest.mark.parametrize('kind, labels, question, answers, right, wrong', KINDS, ids=[k[0] for k in KINDS])


class Fake:
    "A student that gives these answers in turn."
    def __init__(self, *texts): self.texts, self.at = texts, 0
    def sample(self, prompts, n=1, **kw):
        def one():
            self.at += 1
            return SimpleNamespace(text=self.texts[(self.at - 1) % len(self.texts)], tokens=5, finished=True)
        return [[one() for _ in range(n)] for _ in prompts]
    def close(self): pass


def a_task(kind, labels, **kw): return Task('n', 'd', FORMAT.get(kind, 'Between <answer> and </answer>.'), kind, labels=labels, **kw)


@each_kind
def test_any_accepted_answer_is_right(kind, labels, question, answers, right, wrong, tmp_path):
    task, s = a_task(kind, labels), Sample(question, answer=answers)
    assert s.label == answers and len({s.id, Sample(question, answer=answers[0]).id, Sample(question, answer=answers[1]).id}) == 3
    for text in right: assert judge(kind, text, s.label, labels, question=question) == 'correct', text
    assert judge(kind, wrong, s.label, labels, question=question) != 'correct'
    assert reward(task)(completions=[*right, wrong], label=[answers]*3, input=[question]*3) == [1, 1, 0]
    assert score(task, Fake(*right, wrong), [s], n=6, partial=tmp_path/'partial.jsonl')[0].pass_rate == pytest.approx(4/6)
    assert [x.solved for x in find_solved(task, Fake(*right, wrong), [s, s, s])] == [True, True, False]
    base, trained = (evaluate(task, Fake(*texts), [s]*3) for texts in ((right[0], wrong, wrong), (*right, wrong)))
    assert base.accuracy == pytest.approx(1/3) and trained.accuracy == pytest.approx(2/3)
    write_evaluations(tmp_path/'eval.jsonl', base, trained)
    rows = [json.loads(l) for l in (tmp_path/'eval.jsonl').read_text().splitlines()]
    assert rows[0]['label'] == answers and to_evaluations(rows)[1].accuracy == trained.accuracy
    check_rewards(task, [s, Sample(question, right[1], answers)])
    assert unequal(task, [s]) == []


@each_kind
def test_lists_in_files(kind, labels, question, answers, right, wrong, tmp_path, capsys):
    "A list in .jsonl, in .parquet, under another column's name, and in the demonstrations; said by check."
    from pyarrow import parquet, table
    rows = [dict(question=question, gold=answers), dict(question='Another one?', gold=answers[:1])]
    (tmp_path/'t.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
    parquet.write_table(table({k: [r[k] for r in rows] for k in rows[0]}), tmp_path/'t.parquet')
    for name in ('t.jsonl', 't.parquet'):
        task = a_task(kind, labels, test=str(tmp_path/name), columns=dict(input='question', answer='gold'))
        assert [s.label for s in read_test(task)] == [answers, answers[0]]
    toml = f'name = "n"\ndescription = "d"\noutput_format = \'{task.output_format}\'\nanswer = "{kind}"\nlabels = {labels}\ntest = "t.jsonl"\n' \
           f'columns = {{ input = "question", answer = "gold" }}\ndemos = [{{ input = "Like this?", output = {json.dumps(answers)} }}]\n'
    (tmp_path/'t.toml').write_text(toml)
    assert main(['check', str(tmp_path/'t.toml')]) == 0
    said = capsys.readouterr().out
    assert 'several right answers, any of which counts: 1 row (row 1)' in said and ' or ' in said.splitlines()[0] and 'not found equal' not in said


def test_lists_on_disk_and_odd_values(tmp_path):
    import numpy as np
    samples = [Sample('q', answer=['a', 'b']), Sample('q', answer='["a", "b"]'), Sample('q', answer=np.array(['a', 'b']))]
    write_samples(tmp_path/'s.jsonl', samples)
    assert read_samples(tmp_path/'s.jsonl') == samples and samples[0].id == samples[2].id != samples[1].id
    for value, answer in ((None, ''), (3, '3'), (True, 'True'), ([None, 2, 2.5], ['2', '2.5']), (['a'], 'a'), (float('nan'), ''), (np.int64(4), '4')):
        assert to_sample(dict(input='q', answer=value)).answer == answer
    assert accepted('a') == ['a'] and accepted(['a', 'b']) == ['a', 'b']


def test_what_check_says_of_a_test_set(tmp_path, capsys):
    rows = [dict(input=f'Question {i}?', answer='yes') for i in range(10)]
    rows += [dict(input='Question 3?', answer='yes'), dict(input='question  4?', answer='no'), dict(input='Last?', answer='Yes')]
    (tmp_path/'test.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
    (tmp_path/'train.jsonl').write_text(json.dumps(rows[0]) + '\n')
    (tmp_path/'t.toml').write_text('name = "n"\ndescription = "d"\noutput_format = "One word."\nanswer = "yes_no"\ntest = "test.jsonl"\ntrain = "train.jsonl"\n')
    assert main(['check', str(tmp_path/'t.toml')]) == 0
    said = capsys.readouterr().out
    for words in ('13 rows: yes 92%, no 8%', 'row 11 is row 4', 'row 5 says "yes", row 12 "no"', "'yes', 'Yes'", 'in `train` too: row 1', 'can show is 46.2 points'): assert words in said, words


def test_smallest_gain():
    from synthrl.evaluate import compare, Evaluation
    def examined(right, n): return Evaluation([dict(id=i, verdicts=['correct' if i < right else 'wrong'], finished=[True]) for i in range(n)])
    for n in (6, 20, 500):
        won = round(least_gain(n)*n)
        assert compare(examined(0, n), examined(won, n)).p < .05 < compare(examined(0, n), examined(won - 1, n)).p
        assert ordinary_gain(n) > least_gain(n) or n == 6
    assert least_gain(5) is ordinary_gain(5) is None


def test_gold_that_no_model_can_meet(tmp_path, capsys):
    "A row whose gold answer is not found equal to itself is shown by check, and by run before anything is paid."
    rows = [dict(input=f'Half of {i}?', answer=f'{i}/2') for i in range(6)] + [dict(input='Half of 1?', answer=r'\frac{1}{2')]
    (tmp_path/'test.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
    (tmp_path/'t.toml').write_text('name = "n"\ndescription = "d"\noutput_format = "In a box: \\\\boxed{}."\nanswer = "math"\ntest = "test.jsonl"\n')
    assert main(['check', str(tmp_path/'t.toml')]) == 0
    line, = [l for l in capsys.readouterr().out.splitlines() if 'not found equal to itself' in l]
    assert r'row 7 "\frac{1}{2"' in line and 'row 6' not in line
    said = []
    synthrl.run._begin(str(tmp_path/'t.toml'), 'laptop', tmp_path/'out', 0, {}, said.append, student='tiny', teacher='gpt-4o-mini')
    assert said == [line]


@pytest.fixture
def with_student(monkeypatch, tmp_path):
    "The bundled task with a stand-in for the student, so that no engine is needed."
    monkeypatch.chdir(tmp_path)
    for name in ('check_packages', 'check_hub', 'find_backend'): monkeypatch.setattr(synthrl.run, name, lambda *a: None)
    def go(student, *args):
        monkeypatch.setattr(synthrl.run.stages, 'load_student', lambda *a, **kw: student)
        monkeypatch.setattr(synthrl.run.stages, 'train', lambda *a, **kw: pytest.fail('it was trained'))
        return main(['run', 'word_problems', '--preset', 'laptop', '--out', 'out', '--set', 'synthesis.n=12', '--set', 'plan.heldout=5', *args])
    return go


@pytest.mark.parametrize('text, words', [
    ('I cannot say.', ['got none of the', 'cannot be read', 'output_format']),
    ('#### 999', ['got none of the', 'can be read, and they are wrong', 'labels'])])
def test_nothing_to_learn_from(with_student, capsys, text, words, tmp_path):
    assert with_student(Fake(text)) == 2
    err, = capsys.readouterr().err.strip().splitlines()
    for w in (*words, 'nothing to learn from', 'scored.jsonl'): assert w in err, err
    assert not (tmp_path/'out'/'train.jsonl').exists() and not (tmp_path/'out'/'model').exists()
    summary = json.loads((tmp_path/'out'/'summary.json').read_text())
    assert 'Nothing was trained' in summary['warnings'][0] and summary['pass_rate']['synth'][0] == summary['counts']['scored']
    assert 'Nothing was trained' in (tmp_path/'out'/'report.html').read_text()


class Knows(Fake):
    "A student that is right on every question in the teacher's wording."
    def sample(self, prompts, n=1, **kw):
        from synthrl.tiny.problems import read
        answer = lambda p: next((str(q.answer) for part in p.split('\n') if (q := read(part.removeprefix('Q: ')))), '0')
        return [[SimpleNamespace(text=f'#### {answer(p)}', tokens=5, finished=True) for _ in range(n)] for p in prompts]


def test_nothing_left_to_learn(with_student, capsys, monkeypatch):
    monkeypatch.setattr('synthrl.tiny.teacher.ERRORS', dict(wrong=0, refusal=0, broken=0))
    assert with_student(Knows()) == 2
    err, = capsys.readouterr().err.strip().splitlines()
    assert 'got all of the' in err and 'harder questions' in err


def test_signal():
    assert [no_signal([Sample('q', answer='1', pass_rate=p) for p in rates]) == '' for rates in ([0, .5], [1, 0], [0, 0], [None, 0])] == [True, False, False, True]


def test_the_bundled_teacher_knows_one_task(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('mood.toml').write_text('name = "mood"\ndescription = "Say how it was."\noutput_format = "One word."\nanswer = "label"\nlabels = ["good", "bad"]\n')
    for command in ('run', 'preview'):
        assert main([command, 'mood.toml', '--preset', 'laptop']) == 2
        err = capsys.readouterr().err.strip().splitlines()[-1]
        assert 'mood.toml: the teacher "tiny" knows the task word_problems alone' in err and '--teacher gpt-4o-mini' in err and 'preview' not in err
    assert not Path('runs').exists()


@pytest.mark.parametrize('args, words', [
    (['--student', 'tinny'], ['`tinny`', 'did you mean `tiny`']),
    (['--student', 'tiny', '--teacher', 'tinny'], ['`tinny`', 'did you mean `tiny`']),
    (['--student', 'tiny', '--teacher', 'gpt-4o-mini', '--budget-usd', '0'], ['budget_usd = 0', '--budget-usd 5']),
    (['--student', 'tiny', '--teacher', 'gpt-4o-mini', '--budget-tokens', '0'], ['budget_tokens = 0', '--budget-tokens 5']),
    (['--student', 'tiny', '--teacher', 'mine', '--base-url', 'http://127.0.0.1:9/v1', '--budget-usd', '1'], ['price of mine', '--prices FILE', '"mine" = [0.15, 0.6]']),
    (['--student', 'tiny', '--teacher', 'mine', '--prices', '~/no-such-prices.toml'], [str(Path.home()), 'price table'])])
def test_messages(args, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path); monkeypatch.setenv('OPENAI_API_KEY', 'x'); monkeypatch.delenv('OPENAI_BASE_URL', raising=False)
    assert main(['run', 'word_problems', '--until', 'initial', *args]) == 2
    err, = capsys.readouterr().err.strip().splitlines()
    for w in words: assert w in err, err


def test_home_in_paths(tmp_path, capsys, monkeypatch):
    home = tmp_path/'home'; (home/'lib').mkdir(parents=True); monkeypatch.setenv('HOME', str(home)); monkeypatch.chdir(tmp_path)
    (home/'lib'/'a.txt').write_text('Jars stand on shelves, in rows of ten, above the counter of the shop.')
    (home/'test.jsonl').write_text('{"input": "q", "answer": "4"}\n'*7)
    own = Task.load('word_problems')
    (home/'t.toml').write_text(f'name = "mine"\ndescription = "{own.description}"\noutput_format = "After ####."\nanswer = "number"\ntest = "~/test.jsonl"\npassages = "~/lib"\n')
    assert main(['check', '~/t.toml']) == 0 and '7 rows' in capsys.readouterr().out
    assert main(['run', '~/t.toml', '--preset', 'laptop', '--until', 'initial', '--out', '~/out', '--set', 'synthesis.n=3']) == 0
    assert (home/'out'/'initial.jsonl').exists() and not (tmp_path/'~').exists()
    assert main(['report', '~/out']) == 0


def test_checkpoints_are_on_in_every_preset():
    for preset in PRESETS: assert 1 <= choose(preset)['grpo'].save_every <= 25, preset


def test_no_message_names_an_extra_that_cannot_be_installed():
    for p in Path(synthrl.run.__file__).parent.glob('*.py'): assert 'synthrl[cpu]' not in p.read_text(), p


def test_engines_are_hushed_and_nobody_else():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        hush()
        warnings.warn_explicit('an engine', UserWarning, 'x.py', 1, module='transformers.modeling')
        warnings.warn_explicit('the user', UserWarning, 'x.py', 2, module='my_script')
    assert [str(w.message) for w in seen] == ['the user'] and logging.getLogger('vllm').level == logging.ERROR


def test_what_engines_print_is_dropped_and_what_they_say_later_is_not(capsys):
    import sys
    with quietly():
        print('a banner'), print('a bar', file=sys.stderr)
        handler = logging.StreamHandler()                               # as vLLM makes one when it is imported
    handler.emit(logging.makeLogRecord(dict(msg='an error')))
    assert capsys.readouterr() == ('', 'an error\n')
    with pytest.raises(ValueError):
        with quietly(): raise ValueError
    print('heard')
    assert capsys.readouterr().out == 'heard\n'
