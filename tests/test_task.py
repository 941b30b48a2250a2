"Task files as a newcomer's command meets them: a core install, other encodings, what cannot be read."

import os, subprocess, sys
import pytest
from synthrl.cli import main

TASK = '''name = "mood"
description = "Say how it was."
output_format = "One word."
answer = "label"
labels = ["good", "bad"]
'''


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    "Write the files, check the task, give the exit code and what was printed."
    monkeypatch.chdir(tmp_path)

    def go(more='', *args, **files):
        for name, data in dict(task=TASK + more, **files).items():
            (tmp_path / (name + ('.toml' if name == 'task' else '.jsonl'))).write_bytes(
                data if isinstance(data, bytes) else data.encode()
            )
        code = main([*(args or ['check']), 'task.toml'])
        out, err = capsys.readouterr()
        assert code == 0 or len(err.strip().splitlines()) == 1, err
        return code, out + err

    return go


def test_without_the_datasets_package(said, monkeypatch):
    "What a core install says: check has a note, run refuses."
    monkeypatch.setitem(sys.modules, 'datasets', None)
    more = 'test = "openai/gsm8k:main:test"\n'
    code, text = said(more)
    assert code == 0 and 'pip install datasets' in text
    code, text = said(more, 'run', '--preset', 'laptop')
    assert code == 2 and text.startswith('synthrl: task.toml: `test`: ') and 'pip install datasets' in text


def test_encodings(said):
    row = '{"input": "Café?", "answer": "good"}\n'
    assert (
        said(
            'test = "test.jsonl"\npassages = "lib.jsonl"\n',
            test='\ufeff' + row,
            lib='\ufeff{"text": "A café."}\n',
        )[0]
        == 0
    )
    for bad in ('test', 'lib'):
        files = dict(test=row, lib='{"text": "A café."}\n')
        files[bad] = files[bad].replace('a', 'é').encode('latin-1')
        code, text = said('test = "test.jsonl"\npassages = "lib.jsonl"\n', **files)
        assert (
            code == 2
            and f'{bad}.jsonl: not UTF-8 — save it as UTF-8' in text
            and text.startswith('synthrl: task.toml: `')
        )


@pytest.mark.parametrize(
    'more, files, words',
    [
        ('passages = "nope"', {}, ['`passages`', 'nope: cannot be read']),
        ('passages = "lib.jsonl"', dict(lib='\n'), ['`passages`', 'lib.jsonl: no passages']),
        ('test = "."', {}, ['`test`', 'is a folder']),
        ('test = "test.jsonl"', dict(test=''), ['`test`', 'no questions']),
        (
            'test = "test.jsonl"',
            dict(test='{"input": "q", "answer": "good"}\n' * 20 + '{"input": "q", "answer": "nope"}\n'),
            ['`test`, row 21', '"nope"', 'good, bad'],
        ),
        ('columns = { input = 3 }', {}, ['`columns.input`']),
    ],
)
def test_check_refuses(said, more, files, words):
    code, text = said(more, **files)
    assert code == 2 and text.startswith('synthrl: task.toml: '), text
    for w in words:
        assert w in text, text


def test_import_is_light():
    heavy = ('numpy', 'datasets', 'pyarrow', 'openai', 'torch', 'tqdm', 'genai_prices')
    code = f'import sys, synthrl.task; print([m for m in {heavy} if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout.strip() == '[]'


@pytest.mark.parametrize('switch, shown', [('', True), ('1', False)])
def test_the_panel_has_tqdms_switch(switch, shown):
    code = '''
from synthrl.task.progress import Panel
with Panel('asked', 10, on=True) as panel:
    panel.show(4)
    panel.bar.start_t -= 10
    panel.bar.last_print_t -= 10
    panel.show(9, ' · $0.10')
'''
    env = {k: v for k, v in os.environ.items() if k != 'TQDM_DISABLE'}
    if switch: env['TQDM_DISABLE'] = switch
    said = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True).stderr
    assert ('9 of 10' in said) == shown and ('0.50it/s' in said or '2.00s/it' in said) == shown, said
