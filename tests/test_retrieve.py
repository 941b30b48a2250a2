"""Ranking quality against rank-bm25's figures on two public collections (../shared/eval; skipped without it)."""
import json, math
from pathlib import Path

import pytest

from synthrl.retrieve import BM25, Passage, build_library, open_library

EVAL = Path(__file__).parent.parent.parent/'shared'/'eval'/'retrieval'
needs_eval = pytest.mark.skipif(not EVAL.exists(), reason='../shared/eval/retrieval is not here')


def rows(path): return [json.loads(l) for l in path.open(encoding='utf-8')]


def ndcg(relevant, hits, k=10):
    gain = sum(1 / math.log2(i + 2) for i, h in enumerate(hits[:k]) if h in relevant)
    return gain / sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))


def mean_ndcg(library, name):
    relevant = {}
    for line in (EVAL/name/'qrels.tsv').read_text().splitlines()[1:]:
        query, doc, _ = line.split('\t'); relevant.setdefault(query, set()).add(doc)
    asked = [q for q in rows(EVAL/name/'queries.jsonl') if q['id'] in relevant]
    return sum(ndcg(relevant[q['id']], [p.id for p in library.search(q['text'], 10)]) for q in asked) / len(asked)


@needs_eval
@pytest.mark.parametrize('name', ['vaswani_npl', 'pubmedqa_l'])
def test_not_below_rank_bm25(name, tmp_path):
    bar = json.loads((EVAL/'bm25_baselines.json').read_text())['results'][name]['rank_bm25 BM25Okapi k1=1.5 b=0.75']['ndcg10']
    passages = [Passage(r['id'], r['title'], r['text']) for r in rows(EVAL/name/'corpus.jsonl')]
    assert round(mean_ndcg(BM25(passages), name), 4) >= bar
    assert round(mean_ndcg(open_library(build_library(passages, tmp_path/'index')), name), 4) >= bar


def test_both_engines_rank_alike(tmp_path):
    "Ties, repeated words, unknown words and words in nearly every passage included."
    import random
    rng = random.Random(0)
    words = [f'w{i}' for i in range(60)]
    passages = [Passage(str(i), '', ' '.join(rng.choices(words, weights=range(60, 0, -1), k=rng.randint(1, 30)))) for i in range(300)]
    listed, disk = BM25(passages), open_library(build_library(iter(passages), tmp_path/'index'))
    for _ in range(100):
        query = rng.choices(words + ['unknown'], k=rng.randint(1, 6))
        a, b = listed.search(query, 300), disk.search(query, 300)
        assert [p.score for p in a] == pytest.approx([p.score for p in b], abs=1e-4)
        clear = [i for i in range(1, 299) if a[i-1].score - a[i].score > 1e-4 and a[i].score - a[i+1].score > 1e-4]
        assert [a[i].id for i in clear] == [b[i].id for i in clear]


def test_a_killed_build_leaves_no_library(tmp_path):
    def breaks():
        yield Passage('a', '', 'one text')
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): build_library(breaks(), tmp_path/'index')
    assert not (tmp_path/'index').exists()
    build_library([Passage('a', '', 'one text')], tmp_path/'index')
    assert open_library(tmp_path/'index').search('text')[0].id == 'a'
