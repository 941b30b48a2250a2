"What a teacher's tokens cost: whose prices, at which address, and never less reserved than is billed."

import random, subprocess, sys
import pytest
from synthrl.teacher.prices import PRICES, price, price_of, read_prices

OPENAI, ROUTER, OWN = 'https://api.openai.com/v1', 'https://openrouter.ai/api/v1', 'http://localhost:8000/v1'


@pytest.mark.parametrize(
    'model, address, pair',
    [
        ('gpt-4o-mini', OPENAI, (0.15, 0.6)),
        ('gpt-4o-mini', '', (0.15, 0.6)),
        ('gpt-4o-mini-2024-07-18', OPENAI, (0.15, 0.6)),
        ('gpt-4o-2024-08-06', OPENAI, (2.5, 10)),
        ('openai/gpt-4o-mini', OPENAI, (0.15, 0.6)),
        ('openai/gpt-4o-mini', ROUTER, (0.15, 0.6)),
        ('gpt-4o-mini', 'https://gateway.company.example/v1', (0.15, 0.6)),
        ('gpt-4o-mini', OWN, (0.15, 0.6)),  # a proxy may forward it, and be billed
        ('deepseek/deepseek-chat:free', ROUTER, (0, 0)),
        ('tiny', 'transport:tiny', (0, 0)),
        ('o3', OPENAI, (2, 8)),
        ('gpt-4o-audio', OPENAI, None),
        ('my-model', OPENAI, None),
        ('my-model', OWN, None),
        ('claude-sonnet-4-5', OPENAI, None),  # not sold there
        ('Qwen/Qwen2.5-7B-Instruct', OWN, None),
    ],
)
def test_whose_price(model, address, pair):
    assert price_of(model, read_prices(endpoint=address)) == pair


def test_the_users_price_goes_first(tmp_path):
    (tmp_path / 'prices.toml').write_text('"gpt-4o-mini" = [1, 2]\n"my-model" = [0, 0]\n')
    mine = read_prices(tmp_path / 'prices.toml', OPENAI)
    for name in ('gpt-4o-mini', 'openai/gpt-4o-mini', 'gpt-4o-mini-2024-07-18'):
        assert price_of(name, mine) == (1, 2)
    assert price_of('my-model', mine) == (0, 0)
    assert price_of('gpt-4o', mine) == (2.5, 10)
    assert price('gpt-4o-mini', 1000, 1000, {'gpt-4o-mini': (3, 3)}) == 0.006  # a plain dict will do


def listed():
    "Every model of the package at a provider's address, with a price."
    from genai_prices.data_snapshot import get_snapshot

    for provider in get_snapshot().providers:
        for model in provider.models:
            yield provider, model


def test_more_tokens_never_cost_less():
    "So what is reserved for the most tokens is never below what is billed."
    from synthrl.teacher.prices import _dearest, _rate

    rng, seen = random.Random(0), 0
    for _, model in listed():
        if not model.prices:
            continue
        prices = _dearest(model)
        sizes = sorted(rng.choices([0, 1, 1000, 128_001, 200_000, 200_001, 272_001, 1_000_000], k=5))
        for rate in (prices.input_mtok, prices.output_mtok):
            cost = [_rate(rate, size) * size for size in sizes]
            assert cost == sorted(cost), model.id
            seen += 1
    assert seen > 3000


def test_never_below_the_packages_own_sum():
    "At any hour of the day, for tokens that were not cached."
    from datetime import UTC, datetime, timedelta
    from genai_prices import Usage

    now, seen = datetime.now(UTC), 0
    for provider, model in listed():
        address = {'openai': OPENAI, 'openrouter': ROUTER, 'deepseek': 'https://api.deepseek.com'}.get(
            provider.id
        )
        if address is None:
            continue
        for prompt in (1000, 300_000):
            ours = price(model.id, prompt, 500, read_prices(endpoint=address))
            if ours is None:
                continue
            usage = Usage(input_tokens=prompt, output_tokens=500)
            for hour in range(0, 24, 3):
                theirs = model.calc_price(
                    usage, provider, genai_request_timestamp=now + timedelta(hours=hour)
                )
                assert ours >= float(theirs.total_price) - 1e-12, (model.id, hour)
            seen += 1
    assert seen > 200


def test_no_network_and_not_before_it_is_needed():
    code = '''
import socket, sys
from synthrl.teacher.prices import price_of, read_prices
assert 'genai_prices' not in sys.modules
def refuse(*args, **kwargs): raise AssertionError('the network was asked')
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
assert price_of('tiny') == (0, 0) and 'genai_prices' not in sys.modules
assert price_of('gpt-4o-mini') == (.15, .6) and price_of('nobody-knows-it') is None
assert not [m for m in sys.modules if m.startswith('torch')]'''
    subprocess.run([sys.executable, '-c', code], check=True)


def test_the_table_of_before_is_gone():
    assert PRICES == {'tiny': (0, 0)}
