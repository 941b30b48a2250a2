"""The library-scale path at a million passages: index build and queries a second, on a made-up Zipf corpus.

    flock /tmp/heavy.lock nice -n 10 .venv/bin/python tests/bench_retrieve.py [passages]
"""
import os, sys, tempfile, time
from pathlib import Path

import numpy as np

from synthrl.retrieve import Passage, build_library, open_library


def corpus(n, words=100, vocabulary=500_000, seed=0):
    "`n` passages of about a hundred words, whose frequencies fall as those of English do (Zipf, s = 1.07)."
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, vocabulary + 1) ** 1.07
    cdf = np.cumsum(p / p.sum())
    for i in range(n):
        ids = np.searchsorted(cdf, rng.random(rng.integers(words // 2, words * 3 // 2)))
        yield Passage(f'p{i}', '', ' '.join(map('w{:x}'.format, ids.tolist())))


def queries(n, seed=1):
    "Five words each: between the 50th and the 50,000th by frequency, as keywords of a topic are."
    rng = np.random.default_rng(seed)
    return [[f'w{int(r):x}' for r in 50 * 1000 ** rng.random(5)] for _ in range(n)]


def bench(n=1_000_000, asked=500) -> list[tuple]:
    "Rows of (name, figure, bar); there is no bar for these, they are shown."
    folder = Path(tempfile.mkdtemp())
    try:
        start = time.perf_counter(); sum(1 for _ in corpus(n)); made = time.perf_counter() - start
        start = time.perf_counter(); build_library(corpus(n), folder/'index'); built = time.perf_counter() - start - made
        size = sum(f.stat().st_size for f in (folder/'index').iterdir()) / 2**30
        start = time.perf_counter(); library = open_library(folder/'index'); opened = time.perf_counter() - start
        asks = queries(asked)
        library.search(asks[0], 10)
        start = time.perf_counter()
        for q in asks: library.search(q, 10)
        rate = asked / (time.perf_counter() - start)
    finally:
        for f in (folder/'index').glob('*'): f.unlink()
    return [(f'BM25 at {n:,} passages: index built, s', round(built, 1), ''), ('… on disk, GiB', round(size, 2), ''),
            ('… opened, s', round(opened, 2), ''), ('… queries a second, k = 10', round(rate), '')]


if __name__ == '__main__':
    for row in bench(int((sys.argv[1:] or [1_000_000])[0])): print(*row, sep='\t')
