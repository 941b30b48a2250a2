"The bundled library: readable, of a useful length, and no passage twice."
import re
from itertools import combinations
from synthrl.retrieve import read_passages
from synthrl.task import data_path, read_jsonl

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
