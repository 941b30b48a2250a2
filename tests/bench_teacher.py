"""The teacher's bars, measured: `python tests/bench_teacher.py`. A row is one run on one machine."""
import asyncio, json, statistics, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
from chat_server import Server, questions
from synthrl.teacher.reply import read_object
from synthrl.teacher import BudgetReached, Teacher

thousand, warm = questions(1000), questions(64, 1000)
def new(): return Path(tempfile.mkdtemp())/'teacher.sqlite'

async def bare(url):
    "Seconds with AsyncOpenAI and a semaphore."
    import openai
    gate = asyncio.Semaphore(64)
    async with openai.AsyncOpenAI(api_key='none', base_url=url, max_retries=0) as client:
        async def one(q):
            messages = [dict(role='user', content=q)]
            async with gate: return await client.chat.completions.create(model='m', messages=messages)
        await asyncio.gather(*map(one, warm))
        start = time.perf_counter()
        await asyncio.gather(*map(one, thousand))
        return time.perf_counter() - start

def ours(url, cache):
    "Seconds, and seconds of computing."
    with Teacher('m', url, cache=cache) as t:
        t.ask(warm)
        start, cpu = time.perf_counter(), time.process_time()
        assert all(t.ask(thousand))
        return time.perf_counter() - start, time.process_time() - cpu

def speed(rounds=3):
    with Server(delay=.2) as s:
        caches, runs = [new() for _ in range(rounds)], []
        for cache in caches: runs.append((*ours(s.url, cache), asyncio.run(bare(s.url))))
    mine, cpu, other = map(statistics.median, zip(*runs))
    with Teacher('m', s.url, cache=caches[0]) as t:
        start = time.perf_counter()
        assert all(t.ask(thousand))
        replay = time.perf_counter() - start
    return [('1,000 prompts, 200 ms, 64 at a time: share of 312.5/s',
             f'{1000/mine/312.5:.3f} ({1000/mine:.0f}/s)', '>= 0.92 (goal 0.97)'),
            ('the same against AsyncOpenAI + semaphore',
             f'{other/mine:.2f} times ({1000/other:.0f}/s)', '>= 1'),
            ('client CPU per 1,000 calls', f'{cpu:.2f} s', '<= 1.4 s (goal 0.7)'),
            ('cached replay of 1,000 calls', f'{replay:.3f} s', '<= 0.5 s (goal 0.1)')]

def busy(rounds=5):
    took, failed = [], 0
    for seed in range(rounds):
        with Server(delay=.2, p429=.2, seed=seed) as s, Teacher('m', s.url, cache=new()) as t:
            start = time.perf_counter()
            t.ask(thousand[:300])
            took.append(time.perf_counter() - start)
            failed += t.usage['failed']
    return [(f'300 prompts, 20 % 429, Retry-After 1 s, {rounds} times',
             f'{statistics.median(took):.1f} s, at most {max(took):.1f} s; {failed} failed',
             '<= 5 s, 0 failed')]

def faulty():
    server = Server(delay=.2, p500=.05, hang=.03, cut=.03, broken=.05)
    with server as s, Teacher('m', s.url, cache=new(), timeout=2) as t:
        start = time.perf_counter()
        r = t.ask(thousand)
        took = time.perf_counter() - start
        good = sum(x == [f'{q} | 0'] for q, x in zip(thousand, r))
        there, keys = t.ledger.db.execute('select count(*), count(distinct key) from replies').fetchone()
    return [('5 % 500, 3 % hang, 3 % cut, 5 % broken, 1,000 prompts',
             f'{good} right, {there - keys} twice, {took:.0f} s', '1,000 right, 0 twice')]

def budget():
    cache = new()
    with Server(delay=.05, prompt_tokens=30, completion_tokens=100, p500=.03, cut=.02) as s:
        for _ in range(2):
            with Teacher('m', s.url, cache=cache, budget_tokens=13_000) as t:
                try: t.ask(thousand, max_tokens=100)
                except BudgetReached: pass
        spent = s.spent()
    return [('budget of a tenth (13,000 tokens), 64 under way, resumed once', f'{spent:,} tokens spent',
             '<= 13,000')]

def killed():
    from test_teacher import kill_nine
    r = kill_nine(new())
    return [('kill -9 at 20 random moments, 2,000 prompts, resumed',
             f'{r["twice"]} replies paid twice (sent > 50 ms before the kill); {r["at_all"]} within the last '
             f'{r["oldest_ms"]} ms', '0')]

def readers():
    folder = Path(__file__).parents[2]/'shared/eval/json'
    if not folder.exists(): return [('../shared/eval/json', 'not there: skipped', '')]
    out = []
    for name, bar in ('real_replies', '>= 95 % (goal 99)'), ('malformed_cases', '>= 85 % (goal 95)'):
        rows = [json.loads(line) for line in (folder/f'{name}.jsonl').read_text().splitlines()]
        there = [r for r in rows if r['status'] == 'object' and isinstance(r['expected'], dict)]
        none = [r for r in rows if r['status'] == 'no_json']
        right = sum(read_object(r['raw']) == r['expected'] for r in there)
        invented = sum(read_object(r['raw']) is not None for r in none)
        out += [(f'{name} read right', f'{right} of {len(there)}', bar),
                (f'{name}: objects invented', f'{invented} of {len(none)}', '0')]
    return out

def bench():
    "Rows of (what, figure, bar)."
    return speed() + busy() + faulty() + budget() + killed() + readers()

if __name__ == '__main__':
    for what, figure, bar in bench(): print(f'{what:62}  {figure:40}  {bar}', flush=True)
