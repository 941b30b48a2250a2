"""The bundled library: readable, of a useful length, and no passage twice.
Libraries of users: what is read, and what is said of the rest."""
import json, os, re, time
from dataclasses import replace
from itertools import combinations

import pytest

from synthrl.retrieve import SHOWN, check_library, describe_library, iter_passages, library_of, read_passages
from synthrl.task import Task, UserError, data_path, read_jsonl

files = sorted(data_path('passages').glob('*.jsonl'))
rows = [r for f in files for r in read_jsonl(f)]

def shingles(text, n=5):
    w = re.findall(r'\w+', text.lower())
    return {' '.join(w[i:i+n]) for i in range(len(w)-n+1)}

def test_every_row_is_read():
    assert len(files) >= 7 and len(rows) >= 240
    assert [set(r) for r in rows if set(r) != {'id', 'title', 'text'}] == []
    assert {p.id for p in read_passages()} == {r['id'] for r in rows}

def test_ids_and_titles_are_unique():
    for key in ('id', 'title', 'text'): assert len({r[key] for r in rows}) == len(rows)

def test_length():
    assert [r['id'] for r in rows if not 50 <= len(r['text'].split()) <= 140] == []
    assert sum(f.stat().st_size for f in files) < 400_000

def test_no_near_duplicates():
    "No two passages share two runs of five words."
    sets = [(r['id'], shingles(r['text'])) for r in rows]
    assert [(a, b) for (a, s), (b, t) in combinations(sets, 2) if len(s & t) > 1] == []


# folders of users

ABOUT = json.dumps(Task.load('word_problems').description)           # what the teacher "tiny" can write about
HERE = f'''
name = "own"
description = {ABOUT}
output_format = "#### number"
answer = "number"
passages = "lib"
'''


@pytest.fixture
def lib(tmp_path):
    "A folder named by a task; call it with texts or bytes by file name."
    (tmp_path/'lib').mkdir()
    (tmp_path/'task.toml').write_text(HERE)
    def fill(files):
        for name, content in files.items():
            path = tmp_path/'lib'/name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Task.load(tmp_path/'task.toml')
    fill.path = tmp_path/'lib'
    return fill


MIXED = {
    'a.md': '# Bees\nA hive.\n', 'b.txt': 'A mill.', 'deep/er/c.jsonl': '{"text": "A coin."}\n',
    'D.TXT': 'A wheel.', 'x.pdf': b'%PDF', 'y.PDF': b'%PDF', 'z.docx': b'PK', 'deep/page.html': '<p>',
    'LICENSE': 'Free.', 'new.md': '', '.hidden.txt': 'No.', '.git/e.txt': 'No.'}
SAID = ('4 files read (2 .txt, 1 .jsonl, 1 .md); left out: 2 .pdf (x.pdf, y.PDF), 1 .docx (z.docx), '
        '1 .html (page.html), 1 empty (new.md), 1 without an ending (LICENSE); '
        '.jsonl, .txt and .md files are read')


def test_what_is_read_and_what_is_left_out(lib):
    task = lib(MIXED)
    assert describe_library(task) == f'passages: lib: {SAID}'
    assert [(p.id, p.title, p.text) for p in library_of(task).passages] == [
        ('D.TXT:1', 'D', 'A wheel.'), ('a.md:1', 'Bees', 'A hive.'),
        ('b.txt:1', 'b', 'A mill.'), ('deep/er/c.jsonl:1', '', 'A coin.')]


def test_check_preview_and_run_say_it(lib, tmp_path, monkeypatch):
    monkeypatch.setattr("synthrl.run._check_teacher", lambda *a: None) # a task that is not the stand-in's own
    from synthrl.run.gold import check, table
    from synthrl.run import preview, run
    task = lib(MIXED)
    assert table(check(task)).split() == f'`passages` lib: {SAID}'.split()
    small = {'synthesis.n': 2, 'synthesis.votes': 1}
    for f, more in ((run, dict(until='passages')), (preview, dict(n=1))):
        said = []
        f(tmp_path/'task.toml', preset='laptop', out=tmp_path/f.__name__, say=said.append, **small, **more)
        assert f'passages: lib: {SAID}' in said
        assert any('none of the keywords' in line for line in said)


def test_a_folder_of_which_nothing_is_read(lib):
    task = lib({'x.pdf': b'%PDF', 'deep/y.pdf': b'%PDF', 'z.docx': b'PK'})
    for f in (library_of, check_library, describe_library):
        with pytest.raises(UserError) as e: f(task)
        said = str(e.value)
        assert '2 .pdf (y.pdf, x.pdf), 1 .docx (z.docx)' in said
        assert '.jsonl, .txt or .md' in said and '\n' not in said


@pytest.mark.parametrize('name, content, said', [
    ('a.txt', 'Café'.encode('cp1252'), 'a.txt: not UTF-8'),
    ('a.md', '# Café'.encode('cp1252'), 'a.md: not UTF-8'),
    ('a.jsonl', '{"text": "Café"}'.encode('cp1252'), 'a.jsonl: not UTF-8'),
    ('a.txt', 'Café'.encode('utf-16'), 'a.txt: not UTF-8'),
    ('a.jsonl', b'{"text": 3}\n', 'a.jsonl:1: `text`'),
    ('a.jsonl', b'\x00', 'a.jsonl:1: not a JSON'),
    ('a.txt', b' \n\n \t', 'no passages'),
    ('a.md', b'# \n---\n', 'no passages'),
    ('a.txt', b'', 'no passages in it: 1 empty (a.txt)'),
    ('a.pdf', b'%PDF', 'nothing in it can be read: 1 .pdf')])
def test_what_is_wrong_is_one_line_that_names_the_file(lib, name, content, said):
    task = lib({name: content})
    for named in ('lib', f'lib/{name}'):
        with pytest.raises(UserError) as e: library_of(replace(task, passages=named))
        assert said in str(e.value) and '`passages`' in str(e.value) and '\n' not in str(e.value)


def test_only_an_empty_library_holds_no_passages(lib):
    "Words of any script are words."
    for i, text in enumerate(('Η θάλασσα', 'Море', '海は青い', 'ทะเล', 'البحر', 'समुद्र', '\ufeffA café.')):
        assert [p.text for p in library_of(lib({'a.txt': text})).passages] == [text.lstrip('\ufeff')]


def test_an_empty_folder(lib):
    for f in (library_of, check_library, describe_library):
        with pytest.raises(UserError, match='lib: no passages in it — give'): f(lib({}))


def test_links(lib):
    "A link is followed, also to a folder elsewhere, but never round in a circle."
    task = lib({'a.txt': 'A mill.', 'sub/b.txt': 'A hive.'})
    (lib.path.parent/'other').mkdir()
    (lib.path.parent/'other'/'c.txt').write_text('A coin.')
    (lib.path/'sub'/'up').symlink_to(lib.path)
    (lib.path/'linked').symlink_to(lib.path.parent/'other')
    (lib.path/'gone.txt').symlink_to(lib.path/'nowhere')
    assert [p.id for p in library_of(task).passages] == ['a.txt:1', 'linked/c.txt:1', 'sub/b.txt:1']
    assert 'left out: 1 broken link (gone.txt)' in describe_library(task)


def test_a_name_in_no_encoding(lib):
    task = lib({})
    (lib.path/os.fsdecode(b'caf\xe9.txt')).write_text('A mill.')
    (lib.path/os.fsdecode(b'caf\xe9.pdf')).write_text('%PDF')
    passage = library_of(task).passages[0]
    for text in (passage.id, passage.title, describe_library(task)): text.encode()


def test_huge_lines(lib):
    line, heading = json.dumps(dict(text='word ' * 10**6)), '# ' + 'x' * 10**6
    task = lib({'a.jsonl': line, 'b.txt': 'word ' * 10**5, 'c.md': f'{heading}\ntext'})
    assert max(len(p.text) for p in library_of(task).passages) == SHOWN


LINES = ['#', '# ', '# a #', '`', '```\n', '~', '=', '=\n', '-', '---\n', 'a\n---\n', ' ', '\n', '\t#']

def took(call, n):
    "Processor seconds of a call."
    start = time.process_time()
    call(n)
    return time.process_time() - start

def tenfold(call, n):
    """How many times as long as `call(n)` takes `call(10*n)`? 10 where it is linear, 100 where quadratic.
    Other processes only add to a time, so of several the least counts, short and long in turn."""
    short = long = float('inf')
    for i in range(12):
        short, long = min(short, took(call, n)), min(long, took(call, 10*n))
        if i > 1 and long < 30*short: break
    return long/short

@pytest.mark.parametrize('line', LINES)
def test_markdown_in_linear_time(tmp_path, line):
    for n in (10_000, 100_000): (tmp_path/f'{n}.md').write_text((line * n)[:n] + '\nend')
    def call(n): return list(iter_passages(tmp_path/f'{n}.md'))
    assert tenfold(call, 10_000) < 30
    assert min(took(call, 100_000) for _ in range(3)) < .5

def test_a_quadratic_reader_is_noticed():
    def call(n): re.search(r'\s+$', ' '*n + 'x')
    assert tenfold(call, 400) > 50


def test_the_seed_of_the_run_draws_the_passages(lib, tmp_path, monkeypatch):
    "One seed, one draw, in a run and in its preview; another seed, another draw."
    monkeypatch.setattr("synthrl.run._check_teacher", lambda *a: None)
    from synthrl.run import preview, run
    rows = [json.dumps(dict(text=f'A market with {i} stalls.')) for i in range(200)]
    lib({'a.jsonl': '\n'.join(rows)})
    small, drawn = {'synthesis.n': 8, 'synthesis.votes': 1}, []
    for i, seed in enumerate((0, 0, 1)):
        out = tmp_path/f'out{i}'
        how = dict(preset='laptop', seed=seed, until='passages', say=lambda _: None)
        run(tmp_path/'task.toml', out=out, **how, **small)
        drawn.append([r['id'] for r in read_jsonl(out/'passages.jsonl')])
    assert drawn[0] == drawn[1] != drawn[2] and len(set(drawn[0])) == 16
    how = dict(preset='laptop', seed=1, say=lambda _: None)
    shown = preview(tmp_path/'task.toml', out=tmp_path/'shown', **how, **small)
    assert shown['passage'].id == drawn[2][0]
