"Selection and curricula on many random pools: the definitions, and that no order of a file matters."
import hashlib, random
from collections import Counter
from dataclasses import replace

import pytest

from synthrl.select import BINS, CURRICULA, POLICIES, TRIED_ON, bin_of, curriculum, select
from synthrl.task import Sample, UserError


def pool(rng, n=None):
    def rate(): return rng.choice((0, 1, rng.randrange(17)/16))
    n = n or rng.randrange(1, 120)
    return [Sample(f'question {i}', '#### 1', pass_rate=rate(), rollouts=16) for i in range(n)]


@pytest.mark.parametrize('seed', range(20))
def test_policies(seed):
    rng = random.Random(seed)
    samples = pool(rng)
    m = rng.randrange(0, 130)
    rates = sorted(s.pass_rate for s in samples)
    mixed = [r for r in rates if 0 < r < 1]   # paper 1's code trains on these alone
    got = {p: [s.pass_rate for s in select(samples, m, p)] for p in POLICIES}
    assert got['lowest_positive'] == mixed[:m]
    assert got['highest'] == mixed[::-1][:m]
    assert got['lowest'] == [r for r in rates if r < 1][:m]
    assert sorted(got['band']) == sorted(r for r in rates if .26 <= r <= .61)[:m] or len(got['band']) == m
    assert all(.26 <= r <= .61 for r in got['band'])
    assert len(got['random']) == min(m, len(samples))
    assert got['all'] == [s.pass_rate for s in select(samples, None, 'all')]
    for p in POLICIES:
        shuffled = rng.sample(samples, len(samples))
        assert select(shuffled, m, p, seed=3) == select(samples, m, p, seed=3)
        assert len({s.id for s in select(samples, m, p)}) == len(select(samples, m, p))


def test_ties_are_fair():
    "Of 40 equal samples each is chosen about as often as any other, over seeds."
    samples = [Sample(f'q{i}', 'a', pass_rate=.5) for i in range(40)]
    times = Counter(s.id for seed in range(1000) for s in select(samples, 10, seed=seed))
    assert len(times) == 40
    assert 200 < min(times.values()) and max(times.values()) < 300   # 250 each, standard deviation 14


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
    assert all(bin_of(s.pass_rate, TRIED_ON.get(name, 'broad')) == s.bin for b in order for s in b)


def test_narrow_bins_lack_one():
    assert set(BINS['broad']) - set(BINS['narrow']) == {'easy_medium'}
    samples = pool(random.Random(0), 500)
    with pytest.raises(UserError, match='`medium_start` wants easy_medium samples'):
        curriculum(samples, 'medium_start', 20, 8, bins='narrow')


@pytest.mark.parametrize('policy', ['lowest_positive', 'highest', 'band'])
def test_a_set_that_runs_short_stays_short(policy, capsys):
    "It is not filled up with what is always or never solved, and one line says how many are missing."
    rates = [0]*30 + [1]*20 + [.5]*10
    samples = [Sample(f'q{i}', 'a', pass_rate=r) for i, r in enumerate(rates)]
    assert [s.pass_rate for s in select(samples, 25, policy)] == [.5]*10
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and '10 samples instead of 25' in said[0]
    assert '30 are never solved and 20 always' in said[0]
    select(samples, 10, policy)
    assert capsys.readouterr().out == ''


def test_reverse_leads_each_level_in_with_a_quarter():
    "Paper 2, table 4: after the hard ones a quarter of medium ones, then a quarter of easy ones."
    samples = [Sample(f'{r} {i}', 'a', pass_rate=r) for r in (.9, .5, .2) for i in range(40)]
    order = curriculum(samples, 'reverse', steps=40, batch=8)
    def share(a, b, name):
        bins = [s.bin for step in order[a:b] for s in step]
        return bins.count(name)/len(bins)
    assert (share(0, 10, 'hard'), share(15, 25, 'medium'), share(30, 40, 'easy')) == (1, 1, 1)
    assert (share(10, 15, 'hard'), share(10, 15, 'medium')) == (.75, .25)
    assert (share(25, 30, 'medium'), share(25, 30, 'easy')) == (.75, .25)


@pytest.mark.parametrize('name, bins', [('soft', 'narrow'), ('hard', 'narrow'), ('medium_only', 'narrow'),
                                        ('classic', 'broad'), ('reverse', 'broad'),
                                        ('medium_start', 'broad')])
def test_each_curriculum_has_the_bins_it_was_tried_on(name, bins):
    samples = [Sample(f'{i}', 'a', pass_rate=i/64) for i in range(65)]
    assert curriculum(samples, name, 20, 8) == curriculum(samples, name, 20, 8, bins=bins)
    other = dict(narrow='broad', broad='narrow')[bins]
    if name == 'medium_start': return   # no easy_medium among the narrow ones
    assert curriculum(samples, name, 20, 8) != curriculum(samples, name, 20, 8, bins=other)


def of_64(seed):
    rng = random.Random(seed)
    rates = [rng.betavariate(.5, .6) for _ in range(300)]
    return [Sample(f'q{i}', 'a', pass_rate=sum(rng.random() < p for _ in range(64))/64, rollouts=64)
            for i, p in enumerate(rates)]


BEFORE = dict(
    lowest_positive='b4f38f8dafa26fa7', highest='0d19cff539853d16', lowest='e651edb4c4b061b2',
    band='0d32dc03a3c2eab2', random='269e32732cb12f25', all='b7c9e27e1ced1efd')


@pytest.mark.parametrize('policy', BEFORE)
def test_where_all_were_asked_alike_nothing_has_changed(policy):
    "Byte for byte what the policies chose when they knew the rates alone."
    chosen = select(of_64(0), 100, policy, seed=3, say=lambda line: None)
    ids = ' '.join(f'{s.id} {s.bin}' for s in chosen)
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == BEFORE[policy]


@pytest.mark.parametrize('policy', ['lowest_positive', 'highest', 'lowest', 'variance'])
def test_one_answer_less_of_one_sample_hardly_changes_the_choice(policy):
    "Where counts differ another rule chooses; it has to agree with the first where they hardly do."
    alike = of_64(1)
    other = [replace(alike[0], pass_rate=round(alike[0].pass_rate*63)/63, rollouts=63), *alike[1:]]
    before, after = ({s.id for s in select(some, 100, policy)} for some in (alike, other))
    assert len(before & after) > 85


def test_draws_differ_by_seed_and_favour_what_varies():
    samples = [Sample(f'q{i}', 'a', pass_rate=r, rollouts=64) for i, r in enumerate([0, .5, 1]*40)]
    samples += [Sample(f'r{i}', 'a', pass_rate=0, rollouts=4) for i in range(40)]
    chosen = select(samples, 60, 'thompson')
    assert sum(s.pass_rate == .5 for s in chosen) == 40
    assert sum(s.rollouts == 4 for s in chosen) > 2*sum(s.rollouts == 64 and s.pass_rate == 0 for s in chosen)
    assert chosen == select(samples[::-1], 60, 'thompson')
    assert chosen != select(samples, 60, 'thompson', seed=1)


def test_a_short_pool_stays_short_where_counts_differ():
    "No more than a scoring of 64 answers each would let through."
    samples = [Sample(f'q{i}', 'a', pass_rate=0, rollouts=64) for i in range(60)]
    samples += [Sample(f'r{i}', 'a', pass_rate=1, rollouts=40) for i in range(60)]
    samples += [Sample(f's{i}', 'a', pass_rate=.5, rollouts=20) for i in range(20)]
    said = []
    chosen = select(samples, 100, say=said.append)
    assert 20 <= len(chosen) < 40 and {s.pass_rate for s in chosen[-20:]} >= {.5}
    assert len(said) == 1 and f'{len(chosen)} samples instead of 100' in said[0]
