"""The search: how well it ranks (../shared/eval), rank-bm25 beside bm25s, and a million passages on disk.
Seconds are the processor's, so that neighbours do not count.

    .venv/bin/python tests/bench_retrieve.py [passages on disk]
"""
import json, resource, shutil, sys, tempfile, time
from pathlib import Path

import numpy as np

from synthrl.retrieve import BM25, Passage, _index, _large, _numbers, _small, build_library, open_library, tokens


def corpus(n, words=100, vocabulary=500_000, seed=0):
    "`n` passages of about a hundred words, whose frequencies fall as those of English do (Zipf, s = 1.07)."
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, vocabulary + 1) ** 1.07
    cdf = np.cumsum(p / p.sum())
    for i in range(n):
        ids = np.searchsorted(cdf, rng.random(rng.integers(words // 2, words * 3 // 2)))
        yield Passage(f'p{i}', '', ' '.join(map('w{:x}'.format, ids.tolist())))


def queries(n, words=5, seed=1):
    "Some words each: between the 50th and the 50,000th by frequency, as keywords of a topic are."
    rng = np.random.default_rng(seed)
    return [[f'w{int(r):x}' for r in 50 * 1000 ** rng.random(words)] for _ in range(n)]


def seconds(f):
    "What a call gives, and how long the processor was at it."
    start = time.process_time()
    return f(), time.process_time() - start


def quality() -> list[tuple]:
    "nDCG@10 with rank-bm25's word weights and with Lucene's, same words, same k1 and b."
    import test_retrieve as t
    from rank_bm25 import BM25Okapi
    if not t.EVAL.exists(): return [('nDCG@10: ../shared/eval/retrieval is not here', '', '')]
    out = []
    for name in t.NAMES:
        passages = t.collection(name)
        docs = [tokens(f'{p.title} {p.text}', stored=True) for p in passages]
        theirs = BM25(passages, (BM25Okapi(docs).get_scores, _small(docs)[1]))
        out += [(f'{name}: nDCG@10, weights of rank-bm25', f'{t.mean_ndcg(theirs, name):.4f}', ''),
                (f'{name}: nDCG@10, weights of Lucene (the default)', f'{t.mean_ndcg(BM25(passages), name):.4f}', t.bar(name))]
    return out


def engines(n=100_000, asked=20) -> list[tuple]:
    "The two engines on one corpus in memory: the best 10,000 for sixteen words, as a run asks for them."
    passages, asks, vocab = list(corpus(n)), queries(asked, 16), {}
    docs = [tokens(p.text, stored=True) for p in passages]
    small, small_built = seconds(lambda: BM25(passages, _small(docs)))
    large, large_built = seconds(lambda: BM25(passages, _large(_index(list(_numbers(docs, vocab)), vocab))))
    a, small_took = seconds(lambda: [small.rank(q, 10_000) for q in asks])
    b, large_took = seconds(lambda: [large.rank(q, 10_000) for q in asks])
    assert a == b
    return [(f'{n:,} passages in memory: rank-bm25 indexes in, s', round(small_built, 1), ''),
            ('… bm25s indexes in, s', round(large_built, 1), ''),
            ('… rank-bm25, one search, ms', round(1000 * small_took / asked, 1), ''),
            ('… bm25s, one search, ms', round(1000 * large_took / asked, 2), ''),
            ('… rank-bm25 / bm25s', round(small_took / large_took), '')]


def on_disk(n=1_000_000, asked=500) -> list[tuple]:
    "An index on disk: built, opened, searched."
    folder = Path(tempfile.mkdtemp())
    try:
        made = seconds(lambda: sum(1 for _ in corpus(n)))[1]
        built = seconds(lambda: build_library(corpus(n), folder/'index'))[1] - made
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        size = sum(f.stat().st_size for f in (folder/'index').iterdir()) / 2**30
        library, opened = seconds(lambda: open_library(folder/'index'))
        asks = queries(asked)
        library.search(asks[0], 10)
        took = seconds(lambda: [library.search(q, 10) for q in asks])[1]
    finally: shutil.rmtree(folder)
    return [(f'{n:,} passages on disk: index built, s', round(built, 1), ''), ('… on disk, GiB', round(size, 2), ''),
            ('… most memory while it is built, GiB', round(peak, 1), ''), ('… opened, s', round(opened, 2), ''),
            ('… searches a second, k = 10', round(asked / took), '')]


def bench(n=1_000_000) -> list[tuple]:
    "Rows of (name, figure, bar); what has no bar is shown."
    return quality() + on_disk(n) + engines()


if __name__ == '__main__':
    for row in bench(int((sys.argv[1:] or [1_000_000])[0])): print(*row, sep='\t')
