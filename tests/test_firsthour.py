"More of a newcomer's first hour: what was walked into with own tasks, settings and folders."
import json, os
import pytest
from synthrl.cli import main
from synthrl.run.folder import Job, Stage, fingerprint
from synthrl.teacher.ledger import Reply
from synthrl.run import choose
from synthrl.synthesize import Synthesis, first_readable
from synthrl.task import UserError
from synthrl.teacher import Teacher

PLAIN = 'name = "n"\ndescription = "d"\noutput_format = "After ####."\nanswer = "number"\n'


def a_task(folder, text='', plain=PLAIN, rows=None):
    "A task file, with a test set beside it where there are rows."
    if rows is not None:
        (folder/'test.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
        text += 'test = "test.jsonl"\n'
    (folder/'t.toml').write_text(plain + text)
    return str(folder/'t.toml')


def refused(capsys, *args):
    "The one line that a command is refused with."
    assert main(list(args)) == 2
    line, = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize('text, plain, words', [
    ('name = "again"\n', PLAIN, ['is there twice', 'line 5']),
    ('labels = ' + '['*3000 + ']'*3000 + '\n', PLAIN, ['not valid TOML', 'brackets']),
    ('[[demos]]\ninput = "a"\noutput = "#### 3"\nlabel = "4"\n', PLAIN, ['entry 1', 'unknown key `label`'])])
def test_task_files(tmp_path, capsys, text, plain, words):
    line = refused(capsys, 'check', a_task(tmp_path, text, plain))
    for w in words: assert w in line, line


def test_columns_that_no_row_has(tmp_path, capsys):
    "Such rows are taken as they are, and check says so."
    rows = [dict(input='What is 1+1?', answer='B', right='b', wrong='c')]
    plain = PLAIN.replace('"number"', '"choice"')
    for columns in ('{ input = "question" }', '{ answer = "gold" }', '{ input = "{story} {input}" }',
                    '{ options = ["right", "false"] }'):
        assert main(['check', a_task(tmp_path, f'columns = {columns}\n', plain, rows)]) == 0
        said = capsys.readouterr().out
        assert 'is in no row of `test`' in said and 'input, answer, right, wrong' in said
    rows = [dict(input='What is 1+1?', output='It is B.', answer='C')]
    assert main(['check', a_task(tmp_path, 'columns = { answer = "" }\n', plain, rows)]) == 0
    assert '`columns`' not in capsys.readouterr().out


def test_no_hub(tmp_path, capsys, monkeypatch):
    "A data set that cannot be had: one line, exit code 2, and no half minute of the hub's client."
    monkeypatch.setenv('HF_HOME', str(tmp_path))
    import datasets, huggingface_hub
    from huggingface_hub import constants
    class NoNetwork:
        def dataset_info(self, *a, timeout, **kw):
            assert timeout <= 10
            raise OSError('Name or service not known')
    offline = []
    def load_dataset(*a, **kw):
        offline.append((constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE))
        raise ConnectionError('not in the cache')
    monkeypatch.setattr(huggingface_hub, 'HfApi', NoNetwork)
    monkeypatch.setattr(datasets, 'load_dataset', load_dataset)
    line = refused(capsys, 'check', 'gsm8k')
    assert 'openai/gsm8k:main:test' in line and 'check the name and the network' in line
    assert offline[0] == (True, True) and not constants.HF_HUB_OFFLINE and not datasets.config.HF_HUB_OFFLINE


def test_check_says_what_a_task_without_questions_lacks(tmp_path, capsys):
    assert main(['check', a_task(tmp_path, '[[demos]]\ninput = "a"\noutput = "#### 3"\n')]) == 0
    assert 'no `test`' in capsys.readouterr().out
    assert main(['check', a_task(tmp_path)]) == 0
    assert 'neither `demos` nor `test`' in capsys.readouterr().out


@pytest.mark.parametrize('kind, labels, words', [
    ('label', ['one'], 'only "one"'), ('yes_no', ['yes', 'no'], 'not used'),
    ('label', ['a', 'b'], ''), ('choice', ['A', 'B'], '')])
def test_check_says_what_labels_are_for(tmp_path, capsys, kind, labels, words):
    plain = PLAIN.replace('"number"', f'"{kind}"')
    assert main(['check', a_task(tmp_path, f'labels = {json.dumps(labels)}\n', plain)]) == 0
    said = capsys.readouterr().out
    assert words in said and ('`labels`' in said) == bool(words)


def test_check_keeps_its_lines_short(tmp_path, capsys):
    assert main(['check', a_task(tmp_path, rows=[dict(input='q', answer='9'*400)])]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 200


@pytest.mark.parametrize('key, value', [
    ('plan.selected', 1.5), ('plan.selected', True), ('plan.selected', None), ('plan.selected', 'inf'),
    ('plan.refusals', '1.5'), ('plan.refusals', '"3"'), ('plan.refusals', '[1]'), ('plan.refusals', 'true'),
    ('plan.refusals', 'many'), ('score.n', 1.5), ('score.n', True), ('score.n', [1]), ('score.n', None),
    ('score.temperature', '1,2'), ('score.temperature', None), ('score.strict', 2), ('plan.student', ''),
    ('plan.teacher', ' '), ('score.n', 'inf'), ('score.n', float('nan'))])
def test_settings_of_a_wrong_type(key, value):
    with pytest.raises(UserError) as e: choose('laptop', **{key: value})
    assert key in str(e.value) and '=None' not in str(e.value)


def test_settings_of_the_right_type():
    cases = [('plan.refusals', '5', 5), ('plan.refusals', 'None', None), ('score.n', '1e2', 100),
             ('score.temperature', 1, 1.), ('score.strict', False, False), ('score.strict', 'no', False),
             ('plan.base_url', '', '')]
    for key, given, found in cases:
        part, _, name = key.partition('.')
        assert getattr(choose(**{key: given})[part], name) == found


def test_refused_before_a_folder_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)
    monkeypatch.delenv('OPENAI_BASE_URL', raising=False)
    task = a_task(tmp_path)
    for command in ('run', 'preview'):
        line = refused(capsys, command, task, '--teacher', 'gpt-4o-mini', '--student', 'tiny', '--out', 'out')
        assert 'OPENAI_API_KEY' in line and not (tmp_path/'out').exists()


def test_a_refused_teacher_leaves_no_file(tmp_path):
    for wrong in (dict(), dict(concurrency=0), dict(budget_usd=-1), dict(budget_tokens=0)):
        with pytest.raises(UserError): Teacher('gpt-4o-mini', cache=tmp_path/'a'/'t.sqlite', **wrong)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name, meant', [
    ('word_problem', 'word_problems'), ('{}/sum.toml', '{}/sums.toml'), ('zzz', 'bundled are')])
def test_a_task_file_that_is_not_there(tmp_path, capsys, name, meant):
    (tmp_path/'sums.toml').touch()
    line = refused(capsys, 'run', name.format(tmp_path))
    assert meant.format(tmp_path) in line and ('did you mean' in line) == ('bundled' not in meant)


def test_a_wrong_setting_is_told_with_the_presets_own(capsys, tmp_path):
    line = refused(capsys, 'run', 'word_problems', '--preset', 'laptop', '--set', 'score.n=ten')
    assert 'score.n = ten' in line and '16 is the default' in line
    assert '8 is the default' in refused(capsys, 'run', 'word_problems', '--preset', 'colab', '--set',
                                         'grpo.completions=ten')


@pytest.mark.parametrize('args', [['--budget-usd', '-1'], ['--budget-usd', 'nan'], ['--budget-tokens', '-3'],
                                  ['--prices', 'nope.toml']])
def test_money_is_looked_at_where_nothing_is_asked_too(tmp_path, capsys, monkeypatch, args):
    monkeypatch.chdir(tmp_path)
    small = ['run', 'word_problems', '--preset', 'laptop', '--set', 'synthesis.n=4', '--until', 'passages']
    assert main(small) == 0
    capsys.readouterr()
    line = refused(capsys, *small, *args)
    assert args[0].strip('-').replace('-', '_') in line or 'nope.toml' in line


def test_records_that_somebody_edited(tmp_path):
    (tmp_path/'a').write_text('x')
    stage = Stage('a', 'a', lambda job: None)
    for odd in (dict(inputs=3, seconds=0, facts={}), dict(inputs={}, seconds='a', facts={}),
                dict(inputs={}, seconds=0, facts=None), [], 'x'):
        (tmp_path/'stages.json').write_text(json.dumps(dict(a=odd)))
        assert Job(tmp_path).load().changed(stage) is None


def test_fingerprint_of_links_and_odd_names(tmp_path):
    library, elsewhere = tmp_path/'library', tmp_path/'elsewhere'
    library.mkdir()
    elsewhere.mkdir()
    (library/'linked').symlink_to(elsewhere, target_is_directory=True)
    (elsewhere/'back').symlink_to(library, target_is_directory=True)
    (elsewhere/'a.txt').write_text('one')
    first = fingerprint(library)
    (elsewhere/'a.txt').write_text('two')
    assert fingerprint(library) != first
    with open(os.path.join(os.fsencode(library), b'caf\xe9.txt'), 'w') as f: f.write('x')
    assert len(fingerprint(library)) == 12


def test_a_reply_that_was_cut_off_is_no_sample():
    from collections import Counter
    class Cut:
        def replies(self, prompts, n=1, **kw):
            cut = ['{"input": "q", "output": "#### 1', '{"input": "q", "output": "#### 1"}']
            given = [Reply(text, 'length') for text in cut]
            return [(given + [Reply('{"input": "q", "output": "#### 12"}')])[:n] for _ in prompts]
    report, read = Counter(), json.loads
    found, = first_readable(Cut(), ['p'], read, Synthesis(), report)
    assert found['output'] == '#### 12' and report == dict(cut_off=2)
