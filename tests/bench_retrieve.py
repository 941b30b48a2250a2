"""The search: how well it ranks (../shared/eval), rank-bm25 beside ours, and a million passages on disk.
Seconds are the processor's, so that neighbours do not count.

    .venv/bin/python tests/bench_retrieve.py [passages on disk]
"""
import resource, shutil, sys, tempfile, time
from pathlib import Path

import numpy as np

import test_retrieve as t
from synthrl.retrieve import BM25, Passage, _best, build_library, open_library, tokens


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


class RankBM25:
    "A library searched by rank-bm25."
    def __init__(self, passages, engine):
        self.passages, self.engine = passages, engine

    def search(self, keywords, k):
        best = _best(self.engine.get_scores(tokens(keywords)), k)
        return [self.passages[i] for i in best]


def quality() -> list[tuple]:
    "nDCG@10 with rank-bm25's word weights and with Lucene's, same words, same k1 and b."
    from rank_bm25 import BM25Okapi
    if not t.EVAL.exists(): return [('nDCG@10: ../shared/eval/retrieval is not here', '', '')]
    out = []
    for name in t.NAMES:
        passages = t.collection(name)
        words = [tokens(f'{p.title} {p.text}', stored=True) for p in passages]
        theirs = t.mean_ndcg(RankBM25(passages, BM25Okapi(words)), name)
        ours = t.mean_ndcg(BM25(passages), name)
        out.append((f'{name}: nDCG@10, weights of rank-bm25', f'{theirs:.4f}', ''))
        out.append((f'{name}: nDCG@10, weights of Lucene (the default)', f'{ours:.4f}', t.bar(name)))
    return out


def engines(n=20_000, asked=20) -> list[tuple]:
    "The same scores by rank-bm25, which looks at each passage for each word: sixteen words, as a run asks."
    passages, asks = list(corpus(n)), queries(asked, 16)
    theirs, their_index = seconds(lambda: t.rank_bm25(passages))
    ours, our_index = seconds(lambda: BM25(passages))
    a, their_search = seconds(lambda: [theirs.get_scores(q).tolist() for q in asks])
    b, our_search = seconds(lambda: [t.scores(ours, q) for q in asks])
    assert a == b
    return [(f'{n:,} passages in memory: rank-bm25 indexes in, s', round(their_index, 1), ''),
            ('… ours, s', round(our_index, 1), ''),
            ('… rank-bm25, one search, ms', round(1000 * their_search / asked, 1), ''),
            ('… ours, ms', round(1000 * our_search / asked, 2), ''),
            ('… rank-bm25 / ours', round(their_search / our_search), '')]


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
    return [(f'{n:,} passages on disk: index built, s', round(built, 1), ''),
            ('… on disk, GiB', round(size, 2), ''),
            ('… most memory while it is built, GiB', round(peak, 1), ''),
            ('… opened, s', round(opened, 2), ''),
            ('… searches a second, k = 10', round(asked / took), '')]


def bench(n=1_000_000) -> list[tuple]:
    "Rows of (name, figure, bar); what has no bar is shown."
    return quality() + on_disk(n) + engines()


if __name__ == '__main__':
    for row in bench(int((sys.argv[1:] or [1_000_000])[0])): print(*row, sep='\t')
