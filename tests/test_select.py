"""Selection and curricula on many random pools: the definitions, and that nothing depends on the order of a file."""
import random
from collections import Counter

import pytest

from synthrl.select import BINS, CURRICULA, POLICIES, bin_of, curriculum, select
from synthrl.task import Sample, UserError


def pool(rng, n=None):
    n = n or rng.randrange(1, 120)
    return [Sample(f'question {i}', '#### 1', pass_rate=rng.choice((0, 1, rng.randrange(17)/16)), rollouts=16) for i in range(n)]


@pytest.mark.parametrize('seed', range(20))
def test_policies(seed):
    rng = random.Random(seed); samples = pool(rng); m = rng.randrange(0, 130)
    rates = sorted(s.pass_rate for s in samples)
    paper = sorted(rates, key=lambda r: (r or 1, r == 0))   # ascending; a score of 0 counts as 1
    got = {p: [s.pass_rate for s in select(samples, m, p)] for p in POLICIES}
    assert got['lowest_positive'] == paper[:m] and got['lowest'] == rates[:m] and got['highest'] == rates[::-1][:m]
    assert sorted(got['band']) == sorted(r for r in rates if .26 <= r <= .61)[:m] or len(got['band']) == m
    assert all(.26 <= r <= .61 for r in got['band']) and len(got['random']) == min(m, len(samples)) and got['all'] == [s.pass_rate for s in select(samples, None, 'all')]
    for p in POLICIES:
        shuffled = rng.sample(samples, len(samples))
        assert select(shuffled, m, p, seed=3) == select(samples, m, p, seed=3)
        assert len({s.id for s in select(samples, m, p)}) == len(select(samples, m, p))


def test_ties_are_fair():
    "Of 40 equal samples each is chosen about as often as any other, over seeds."
    samples = [Sample(f'q{i}', 'a', pass_rate=.5) for i in range(40)]
    times = Counter(s.id for seed in range(1000) for s in select(samples, 10, seed=seed))
    assert len(times) == 40 and 200 < min(times.values()) and max(times.values()) < 300   # 250 each, standard deviation 14


@pytest.mark.parametrize('name', CURRICULA)
def test_shares_come_out(name):
    "Over a long training each bin gets what the schedule says, within one batch."
    samples = [s for s in pool(random.Random(0), 2000)]
    steps, batch = 400, 16
    order = curriculum(samples, name, steps, batch)
    assert len(order) == steps and all(len(b) == batch for b in order)
    got, want, last = Counter(s.bin for b in order for s in b), Counter(), 0
    for until, share in CURRICULA[name]:
        for b, w in share.items(): want[b] += w / sum(share.values()) * (until - last) * steps * batch
        last = until
    assert all(abs(got[b] - want[b]) <= batch for b in want | got), (got, want)
    assert all(bin_of(s.pass_rate) == s.bin for b in order for s in b)


def test_narrow_bins_lack_one():
    assert set(BINS['broad']) - set(BINS['narrow']) == {'easy_medium'}
    with pytest.raises(UserError, match='`medium_start` wants easy_medium samples'): curriculum(pool(random.Random(0), 500), 'medium_start', 20, 8, bins='narrow')
