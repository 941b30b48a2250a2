"The teacher against a server with faults: what is paid is kept, what passes is survived, the rest is told."

import asyncio, json, os, random, signal, sqlite3, subprocess, sys, time
from collections import Counter
from pathlib import Path
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chat_server import Server
from synthrl.student import load_student
from synthrl.task import UserError
from synthrl.teacher import BudgetReached, Teacher
from synthrl.teacher.pace import Gate


@pytest.fixture
def cache(tmp_path):
    return tmp_path / 'teacher.sqlite'


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for k in ('OPENAI_API_KEY', 'OPENAI_BASE_URL'):
        monkeypatch.delenv(k, raising=False)


def questions(n, start=0):
    return [f'question {i}' for i in range(start, start + n)]


def once(server):
    return max(Counter(server.questions(done=True)).values())


# kept


def test_kept_and_resumed(cache):
    with Server() as s:
        with Teacher('m', s.url, cache=cache) as t:
            first = t.ask(questions(50), n=16)
        with Teacher('m', s.url, cache=cache) as t:
            assert t.ask(questions(50), n=16) == first and t.usage['calls'] == 0 and t.usage['cached'] == 800
            t.ask(questions(51), n=16)
            assert t.usage['calls'] == 1  # one prompt more: one call
            more = t.ask(questions(1), n=20)[0]  # 20 where 16 are there: 4
            assert more[:16] == first[0] and len(more) == 20 and s.log()[-1]['ask']['n'] == 4
        assert len(s.log()) == 52


def test_another_question_is_asked(cache):
    def asked():
        return len(s.log())

    with Server() as s, Server() as other:
        with Teacher('m', s.url, cache=cache) as t:
            t.ask([[dict(role='system', content='Be brief.'), dict(role='user', content='q')]])
            t.ask([[dict(role='system', content='Be long.'), dict(role='user', content='q')]])
            assert asked() == 2
            t.ask(['q'], temperature=0.1)
            t.ask(['q'], temperature=0.2)
            t.ask(['q'], max_tokens=9)
            assert asked() == 5
        with Teacher('m2', s.url, cache=cache) as t:
            t.ask(['q'])
            assert asked() == 6
        with Teacher('m', s.url, cache=cache, seed=1) as t:
            t.ask(['q'], temperature=0.1)
            assert asked() == 7
        with Teacher('m', other.url, cache=cache) as t:
            t.ask(['q'], temperature=0.1)
            assert len(other.log()) == 1


def test_same_question_twice_is_paid_once(cache):
    async def at_once(t):
        return await asyncio.gather(*(t.ask_async(['same', f'own {i}']) for i in range(8)))

    with Server(delay=0.1) as s, Teacher('m', s.url, cache=cache) as t:
        a, b, c = t.ask(['x', 'y', 'x'])
        assert a == c and len(s.log()) == 2
        assert len({r[0][0] for r in asyncio.run(at_once(t))}) == 1 and len(s.log()) == 2 + 9


def test_n_is_ignored_by_the_server(cache):
    with Server(one=True, delay=0.3) as s, Teacher('m', s.url, cache=cache) as t:
        t.ask(['first'])  # what it takes to begin is not measured
        start = time.perf_counter()
        r = t.ask(['q'], n=16)
        assert len(r[0]) == 16 and len(s.log()) == 17
        assert time.perf_counter() - start < 2.4  # one after the other they would take 4.8 s


def test_seeded_replies_survive_a_resume(cache, tmp_path):
    with Server() as s:
        with Teacher('m', s.url, cache=cache, seed=3) as t:
            whole = t.ask(['q'], n=10)
        with Teacher('m', s.url, cache=tmp_path / 'b', seed=3) as t:
            t.ask(['q'], n=4)
        with Teacher('m', s.url, cache=tmp_path / 'b', seed=3) as t:
            assert t.ask(['q'], n=10) == whole


def test_inside_a_running_loop(cache):
    async def cell():
        with Teacher('m', s.url, cache=cache) as t:
            return t.ask(['a']), await t.ask_async(['b'])

    with Server() as s:
        a, b = asyncio.run(cell())
        assert a[0][0].startswith('a |') and b[0][0].startswith('b |')


def test_interrupted(cache):
    async def cell(t):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(t.ask_async(questions(60)), 1)
        return await t.ask_async(questions(60))

    with Server(delay=0.8) as s, Teacher('m', s.url, cache=cache, concurrency=20) as t:
        assert all(asyncio.run(cell(t))) and once(s) == 1  # what was under way was kept


def test_control_c(cache):
    code = '''
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from synthrl.teacher import Teacher
with Teacher("m", sys.argv[1], cache=sys.argv[2], concurrency=20, budget_tokens=10**6) as t:
    t.ask([f"question {i}" for i in range(60)])
'''
    with Server(delay=3) as s:  # the first goes alone for a second, and is still under way when the last goes
        ask = [sys.executable, '-c', code, s.url, str(cache)]
        p = subprocess.Popen(ask, stderr=subprocess.PIPE, text=True)
        while len(s.log()) < 20:
            time.sleep(0.05)
        p.send_signal(signal.SIGINT)
        said = p.communicate(timeout=60)[1]
        assert (
            'waiting for 20 replies' in said and 'KeyboardInterrupt' in said and 'never retrieved' not in said
        ), said
        with Teacher('m', s.url, cache=cache) as t:
            assert (
                all(t.ask(questions(60)))
                and t.usage['cached'] == 20
                and once(s) == 1
                and t.ledger.total('lost', 'reserved').tokens == 0
            )


# survived


@pytest.mark.parametrize('library', ['aiohttp', 'httpx2'])
@pytest.mark.parametrize('fault', ['p429', 'p500', 'cut', 'broken', 'drop', 'empty', 'null'])
def test_survived(cache, fault, library, monkeypatch):
    if library == 'httpx2':
        monkeypatch.setitem(sys.modules, 'aiohttp', None)  # as if it were not installed
    with Server(delay=0.01, retry_after='0.1', **{fault: 0.3}) as s, Teacher('m', s.url, cache=cache) as t:
        r = t.ask(questions(100))
        assert all(len(x) == 1 for x in r) and t.usage['failed'] == 0
        assert [x[0].split(' |')[0] for x in r] == questions(100)
        assert len(s.log()) > 110


def test_hang(cache):
    with Server(hang=0.1, seed=5) as s, Teacher('m', s.url, cache=cache, timeout=1) as t:
        r = t.ask(questions(60))
        assert all(r) and t.usage['failed'] == 0


def test_hang_is_noticed_without_a_timeout(cache, monkeypatch):
    import synthrl.teacher.send

    with Server(hang=1, first=1, delay=0.05) as s, Teacher('m', s.url, cache=cache) as t:
        monkeypatch.setattr(synthrl.teacher.send, 'patience_floor', 1.0)
        start = time.perf_counter()
        assert all(t.ask(questions(40))) and time.perf_counter() - start < 10


@pytest.mark.parametrize('after, least', [('1', 1), ('date:3', 1.9)])
def test_retry_after_is_waited_out(cache, after, least):
    with Server(p429=1, first=1, retry_after=after) as s, Teacher('m', s.url, cache=cache) as t:
        assert t.ask(['q']) == [['q | 0']]
        a, b = [e['at'] for e in s.log()]
        assert least <= b - a < least + 2


def test_retry_after_nothing_ends(cache):
    with Server(p429=1, retry_after='0') as s, Teacher('m', s.url, cache=cache, retries=2) as t:
        assert t.ask(['q']) == [[]] and len(s.log()) == 3


def test_429_is_cheap(cache):
    with Server(delay=0.2, p429=0.2) as s, Teacher('m', s.url, cache=cache) as t:
        start = time.perf_counter()
        r = t.ask(questions(300))
        took = time.perf_counter() - start
        assert all(r) and t.usage['failed'] == 0 and took < 20, took  # `bench_teacher.py` measures it


def test_concurrency_adapts(cache):
    """An endpoint that bears six at a time. How many meet there hangs on the machine's load: that all get an
    answer is seen on the wire, what the gate makes of refusals without a clock."""
    with Server(delay=0.05, busy_above=6, retry_after='') as s, Teacher('m', s.url, cache=cache) as t:
        assert all(t.ask(questions(300)))
    gate, windows = Gate(cap=64), []
    for _ in range(100):
        windows.append(int(gate.limit))
        for i in range(windows[-1]):
            gate.count(busy=i >= 6)
    settled = windows[5:]
    assert windows[0] == 64 and max(settled) <= 16
    assert sum(max(0, n - 6) for n in settled) < 0.5 * sum(settled)  # fewer than half are turned away
    for _ in range(1000):
        gate.count()
    assert gate.limit == 64  # it bears more now


def test_never_above_the_cap(cache):
    with Server(delay=0.05) as s, Teacher('m', s.url, cache=cache, concurrency=5) as t:
        t.ask(questions(40))
        assert s.most() == 5


@pytest.mark.parametrize(
    'status, error, said',
    [
        (401, dict(message='Incorrect API key provided: sk-proj-abcdef123456'), 'OPENAI_API_KEY'),
        (404, dict(message='The model `m` does not exist'), 'base_url'),
        (400, dict(message='bad request'), 'bad request'),
        (403, dict(message='not allowed'), '403'),
        (429, dict(message='quota', code='insufficient_quota'), 'credit'),
    ],
)
def test_what_does_not_pass_stops_at_once(cache, status, error, said):
    with Server(status=status, error=error) as s, Teacher('m', s.url, cache=cache, concurrency=8) as t:
        with pytest.raises(UserError) as e:
            t.ask(questions(100))
        assert (
            said in str(e.value)
            and '\n' not in str(e.value)
            and 'abcdef' not in str(e.value)
            and len(s.log()) <= 8
        )


def test_retries_end_and_failures_are_counted(cache, capsys):
    with Server(p500=1) as s, Teacher('m', s.url, cache=cache, retries=2) as t:
        assert t.ask(['a', 'b'], n=2) == [[], []] and len(s.log()) == 6
        assert t.usage['failed'] == 4 and {f['reason'] for f in t.failures} == {'HTTP 500'}
    assert '4 of 4 answers could not be had (HTTP 500 4)' in capsys.readouterr().err


def test_refused_and_cut_off(cache, capsys):
    with Server(refused=1) as s:
        for _ in range(2):
            with Teacher('m', s.url, cache=cache) as t:
                assert t.ask(['a'], n=3) == [[]] and t.usage['failed'] == 3
        assert len(s.log()) == 1  # paid once, and not asked again
        s.set(length=1)
        with Teacher('m', s.url, cache=cache) as t:
            assert (
                t.replies(['b'])[0][0].finish == 'length'
                and t.usage['cut'] == 1
                and t.ask(['b'], whole=True) == [[]]
            )


def test_a_student_behind_a_server():
    with Server(length=0.5) as s:
        student = load_student('m', base_url=s.url)
        made = student.sample(questions(20), n=2, max_tokens=9, seed=3)
        assert [c.text for c in made[7]] == ['question 7 | 300009', 'question 7 | 300010'] and 0 < sum(
            r[0].finished for r in made
        ) < 20
        assert student.sample(questions(20), n=2, max_tokens=9, seed=3) == made and len(s.log()) == 20
        s.set(refused=1)
        with pytest.raises(UserError, match='2 of 2 questions got no answer'):
            student.sample(['a', 'b'])
    student.close()


def test_nobody_there(cache):
    with Server() as s:
        url = s.url
    with Teacher('m', url, cache=cache) as t:
        start = time.perf_counter()
        with pytest.raises(UserError, match='nothing answers there'):
            t.ask(questions(10))
        assert time.perf_counter() - start < 15


@pytest.mark.parametrize('unknown', ['response_format', 'n', 'seed', 'temperature', 'max_tokens'])
def test_parameters_an_endpoint_does_not_know(cache, unknown):
    with Server(unknown=[unknown]) as s, Teacher('m', s.url, cache=cache, seed=1) as t:
        assert [len(r) for r in t.ask(questions(3), n=3, max_tokens=50, schema=dict(type='object'))] == [
            3,
            3,
            3,
        ]
        assert [len(r) for r in t.ask(questions(3, 3), n=3, max_tokens=50, schema=dict(type='object'))] == [
            3,
            3,
            3,
        ]
        assert sum(e['sent'] is None for e in s.log()) <= 3


# keys


def test_a_missing_key_is_one_line(cache):
    with pytest.raises(UserError, match='OPENAI_API_KEY is not set') as e:
        Teacher('gpt-4o-mini', cache=cache).ask(['q'])
    assert '\n' not in str(e.value)


def test_the_key_is_nowhere(cache, monkeypatch, capsys):
    key = 'my-secret-9876543210'
    monkeypatch.setenv('OPENAI_API_KEY', key)
    with Server(status=401, error=dict(message=f'wrong key {key}')) as s:
        with Teacher('m', s.url, cache=cache) as t:
            with pytest.raises(UserError) as e:
                t.ask(['q'])
            e = e.value
            while e:
                assert key not in repr(e) + str(e)
                e = e.__cause__ or e.__context__
            s.set()
            t.ask(['q'])
            assert key not in repr(t) + json.dumps(t.failures) + json.dumps(t.usage)
    assert all(key.encode() not in f.read_bytes() for f in cache.parent.iterdir())
    assert key not in ''.join(capsys.readouterr())


# budget


def spent(s):
    return sum(e.get('tokens', 0) for e in s.log())


@pytest.mark.parametrize('faults', [{}, dict(p500=0.1, cut=0.05, empty=0.05, drop=0.05)])
def test_budget_is_never_overrun(cache, faults):
    with Server(delay=0.02, completion_tokens=100, **faults) as s:
        for _ in range(2):  # a resume counts what was spent
            with Teacher('m', s.url, cache=cache, budget_tokens=12_000) as t:
                with pytest.raises(BudgetReached):
                    t.ask(questions(1000), max_tokens=100)
        assert (
            9_000 < spent(s) + 220 * sum(e['fault'] in ('cut', 'drop') for e in s.log())
            and spent(s) <= 12_000
        )
        with Teacher('m', s.url, cache=cache) as t:
            assert all(t.ask(questions(200), max_tokens=100))


def test_budget_without_usage(cache):
    with Server(usage=False) as s, Teacher('m', s.url, cache=cache, budget_tokens=20_000) as t:
        with pytest.raises(BudgetReached):
            t.ask([q * 1000 for q in questions(40)], max_tokens=50)
        assert len(s.log()) <= 2  # of ten thousand letters each


def test_dollars(cache, tmp_path):
    (tmp_path / 'prices.toml').write_text('m = [1, 2]')
    with Server(delay=0.02, prompt_tokens=50, completion_tokens=50) as s:
        with pytest.raises(UserError, match='price of m is not known'):
            Teacher('m', s.url, cache=cache, budget_usd=1)
        with Teacher('m', s.url, cache=cache, budget_usd=0.01, prices=tmp_path / 'prices.toml') as t:
            with pytest.raises(BudgetReached, match='budget of .0.01 is reached'):
                t.ask(questions(1000), max_tokens=60)
            assert 0.008 < t.usage['usd'] <= 0.01 and abs(t.usage['usd'] - t.usage['calls'] * 150e-6) < 1e-9


def test_a_killed_run_leaves_its_reservation(cache):
    with Server(hang=1) as s:
        code = '''
import sys
from synthrl.teacher import Teacher
Teacher("m", sys.argv[1], cache=sys.argv[2], budget_tokens=10**6).ask(["q"], max_tokens=1000)
'''
        p = subprocess.Popen([sys.executable, '-c', code, s.url, str(cache)])
        while not s.log():
            time.sleep(0.05)
        p.kill()
        p.wait()
        s.set()
        with Teacher('m', s.url, cache=cache, budget_tokens=1000) as t:
            with pytest.raises(BudgetReached):
                t.ask(['another'], max_tokens=100)


# killed

asker = '''
import sys
from synthrl.teacher import Teacher
with Teacher("m", sys.argv[1], cache=sys.argv[2]) as t:
    t.ask([f"question {i}" for i in range(int(sys.argv[3]))])
'''


def kill_nine(cache, kills=20, delay=0.2, seed=0, grace=0.05, n=2000):
    """Start, kill at a random moment, start again… and finish. Returns how many replies that the server had
    sent in full before the kill were asked for again: `at_all`, and those that had been sent `grace` seconds
    before it or earlier."""
    rng, at = random.Random(seed), []
    with Server(delay=delay) as s:
        for _ in range(kills):
            p = subprocess.Popen([sys.executable, '-c', asker, s.url, str(cache), str(n)])
            start = len(s.log())
            while len(s.log()) == start and p.poll() is None:
                time.sleep(0.02)
            time.sleep(rng.uniform(0.05, 0.6))
            at.append(time.time())
            p.send_signal(signal.SIGKILL)
            p.wait()
            time.sleep(delay + 0.05)  # what was under way is over at the server, too
        subprocess.run([sys.executable, '-c', asker, s.url, str(cache), str(n)], check=True)
        log = s.log()
    last = {e['ask']['messages'][0]['content']: e['at'] for e in log}  # when it was last asked
    again = [
        next((k for k in at if k > e['at'] - 0.03), 1e12) - e['sent']
        for e in log
        if e['sent'] and e['at'] < last[e['ask']['messages'][0]['content']]
    ]
    kept = sqlite3.connect(cache).execute('select count(*), count(distinct key) from replies').fetchone()
    return dict(
        kept=kept,
        calls=len(log),
        at_all=sum(x >= 0 for x in again),
        twice=sum(x > grace for x in again),
        oldest_ms=round(1e3 * max(again, default=0), 1),
    )


def test_kill_nine(cache):
    # what reached a client that got no turn before it was killed it could not keep
    r = kill_nine(cache, kills=3, grace=0.2 * max(1, os.getloadavg()[0] / 2), n=1000)
    print(r)  # 20 times, and closer, in `bench_teacher.py`
    assert r['kept'] == (1000, 1000) and r['twice'] == 0 and r['calls'] >= 1000
