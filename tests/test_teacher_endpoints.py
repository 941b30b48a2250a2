"""The teacher against endpoints of every kind: what they refuse, in their own words, and what they bill."""
import json, random, socket, subprocess, sys, threading, time
from collections import Counter
import pytest
from chat_server import Server, questions
from wordings import PARAMETERS, PROMPTS, QUOTAS, RATES
from synthrl.task import UserError
from synthrl.teacher import BudgetReached, Teacher
from synthrl.teacher import pace, send
from synthrl.teacher.ledger import Ledger

# a parameter is refused

every = ['temperature', 'seed', 'n', 'response_format', 'max_tokens', 'max_completion_tokens']
asking = dict(n=3, max_tokens=50, schema=dict(type='object'))
some = [('seed',), ('n',), ('temperature',), ('temperature', 'seed'), ('n', 'seed', 'temperature'),
        tuple(every)]

@pytest.fixture(scope='module')
def server():
    with Server() as s: yield s

def refused_and_learned(server, cache, refuses, wording, n, runs=1, **settings):
    "How many requests are refused while the endpoint's terms are learned, over so many runs."
    server.forget(refuses=refuses, wording=wording, **settings)
    for run in range(runs):
        with Teacher('m', server.url, cache=cache, seed=1) as t:
            replies = t.ask(questions(n, run*n), **asking)
            assert [len(x) for x in replies] == [3]*n and t.usage['failed'] == 0, (refuses, t.failures[:1])
    return server.refused()

@pytest.mark.parametrize('wording', PARAMETERS)
def test_any_wording(wording, server, tmp_path):
    "A refused set is learned with at most four refused requests, whatever the words, and kept."
    for i, refuses in enumerate(some):
        assert refused_and_learned(server, tmp_path/str(i), refuses, wording, n=5, runs=2) <= 4, refuses

def test_any_set(tmp_path, server):
    "Random sets, random words, many at a time."
    rng = random.Random(3)
    for i in range(12):
        refuses, wording = rng.sample(every, rng.randint(1, 6)), rng.choice(list(PARAMETERS))
        found = refused_and_learned(server, tmp_path/str(i), refuses, wording, n=30, delay=.02)
        assert found <= 4, (refuses, wording)

def test_said_once_and_kept(cache, capsys):
    with Server(refuses=['seed'], wording='azure') as s:
        for start in (0, 5):
            with Teacher('m', s.url, cache=cache, seed=1) as t: t.ask(questions(5, start))
        assert s.refused() == 1
        said = capsys.readouterr().err
        assert said.count('takes no `seed`') == 1 and len(said.splitlines()) == 1

def test_what_is_learned_changes_no_key(cache):
    with Server() as s:
        with Teacher('m', s.url, cache=cache, seed=1) as t: first = t.ask(questions(3), n=2)
        s.set(refuses=['seed', 'temperature', 'n'], wording='vague')
        with Teacher('m', s.url, cache=cache, seed=1) as t:
            t.ask(questions(3, 3), n=2)
            assert t.ask(questions(3), n=2) == first and t.usage['cached'] == 6
        with Teacher('m', s.url, cache=cache, seed=1) as t:
            t.ask(questions(6), n=2)
            assert t.usage['calls'] == 0 and t.usage['cached'] == 12

def test_a_limit_of_n_is_used(cache):
    with Server(most_n=8) as s, Teacher('m', s.url, cache=cache) as t:
        assert [len(r) for r in t.ask(questions(3), n=16)] == [16]*3
        assert Counter(e['ask'].get('n') for e in s.log()) == {16: 1, 8: 6}

def test_refusals_that_come_late(cache, monkeypatch):
    "Twenty requests are under way when the first is refused: they wait, and do not learn for themselves."
    monkeypatch.setattr(send, 'scouting', 0)
    with Server(refuses=['seed'], wording='vague') as s:
        with Teacher('m', s.url, cache=cache, seed=1, concurrency=20) as t: assert all(t.ask(questions(60)))
        assert s.refused() <= 20 + 3

def test_a_fault_that_passes_is_no_refusal(cache, capsys):
    "The first request gets a 400 that names no parameter; what was sent with it is taken from then on."
    with Server(status=400, error=dict(message='Bad Request'), first=1) as s:
        with Teacher('m', s.url, cache=cache, seed=1) as t:
            assert [len(r) for r in t.ask(questions(20), **asking)] == [3]*20
        assert set(every[:5]) <= set(s.log()[-1]['ask']) and 'takes no' not in capsys.readouterr().err

# a prompt is refused

@pytest.mark.parametrize('place', [0, 21])
@pytest.mark.parametrize('wording', PROMPTS)
def test_one_bad_prompt(wording, place, server, cache, capsys):
    "It is counted and named, the others are answered, and a rerun asks it alone."
    server.forget(bad_prompts={'the bad one': wording})
    prompts = questions(30)
    prompts[place] = 'the bad one'
    with Teacher('m', server.url, cache=cache, seed=1) as t:
        r = t.ask(prompts)
        assert [i for i, x in enumerate(r) if not x] == [place] and len(t.failures) == 1, t.failures
        assert t.failures[0]['messages'][0]['content'] == 'the bad one'
        said = capsys.readouterr().err
        assert '1 of 30' in said and "'the bad one'" in said and len(said.splitlines()) == 1
    server.forget(bad_prompts={'the bad one': wording})
    with Teacher('m', server.url, cache=cache, seed=1) as t: t.ask(prompts)
    again = server.questions()
    assert set(again) == {'the bad one'} and len(again) <= 2

def test_a_bad_prompt_that_seems_to_name_a_parameter(cache, capsys):
    "The words of one refusal hold an `n`; the other questions' answers do not make it the parameter's fault."
    with Server(bad_prompts={'bad': 'filter_with_n'}) as s:
        with Teacher('m', s.url, cache=cache) as t:
            assert [len(r) for r in t.ask(['bad', *questions(20)], n=3)] == [0] + [3]*20
        assert s.log()[-1]['ask']['n'] == 3 and 'one answer' not in capsys.readouterr().err

def test_samples_of_a_bad_prompt_are_not_asked_one_by_one(cache):
    with Server(bad_prompts={'bad': 'deepseek_risk'}, one=True) as s:
        with Teacher('m', s.url, cache=cache, concurrency=4) as t:
            t.ask(['good'], n=4)
            t.ask(['bad'], n=64)
            assert t.usage['failed'] == 64 and s.questions().count('bad') <= 4

@pytest.mark.parametrize('most', [None, 5])
def test_how_many_in_a_row_is_a_setting(cache, most):
    with Server(bad_prompts={'question': 'deepseek_risk'}) as s:
        with Teacher('m', s.url, cache=cache, refusals=most, concurrency=1) as t:
            with pytest.raises(UserError, match='in a row') as e: t.ask(questions(100))
            assert 'Content Exists Risk' in str(e.value) and len(s.log()) == (most or 20)

def test_an_endpoint_that_refuses_everything(cache):
    with Server(status=400, error=dict(message='Invalid request')) as s:
        with Teacher('m', s.url, cache=cache) as t:
            with pytest.raises(UserError, match='Invalid request'): t.ask(questions(100))
            assert len(s.log()) <= 8
            with pytest.raises(UserError, match='Invalid request'): t.ask(['one alone'])

def test_each_call_has_its_own_failures(cache, capsys):
    said = {}
    def ask(t, name, prompts): said[name] = t.ask(prompts)
    with Server(delay=.1, bad_prompts={'bad': 'deepseek_risk'}) as s, Teacher('m', s.url, cache=cache) as t:
        t.ask(['first'])
        capsys.readouterr()
        threads = [threading.Thread(target=ask, args=(t, 'good', questions(10))),
                   threading.Thread(target=ask, args=(t, 'bad', ['bad one', 'bad two']))]
        for x in threads: x.start()
        for x in threads: x.join()
        assert all(said['good']) and said['bad'] == [[], []]
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and '2 of 2' in lines[0]

# texts

def test_half_a_surrogate_pair(cache):
    with Server(half=.3) as s, Teacher('m', s.url, cache=cache) as t:
        r = t.ask(questions(40) + ['\ud83d half of one'])
        assert all(len(x) == 1 for x in r) and any('\ufffd' in x[0] for x in r)
        assert not t.ledger.db.in_transaction
        assert t.ask(['\ud83d half of one'])[0] == r[-1] and r[-1][0].startswith('\ufffd half of one')
        json.dumps(r).encode()

def test_prompts_are_kept_once(cache):
    prompts = ['x'*50_000 + str(i) for i in range(20)]                            # one megabyte
    with Server(one=True) as s:
        with Teacher('m', s.url, cache=cache) as t: assert all(len(r) == 16 for r in t.ask(prompts, n=16))
    size = sum(f.stat().st_size for f in cache.parent.iterdir())
    answers = 20*16*50_000          # this server's answers repeat the prompt
    assert size < answers*1.1 + 2*10**6, size

# money

def budgeted(url, cache, budget=5_000, n=25, **kw):
    with Teacher('m', url, cache=cache, budget_tokens=budget) as t:
        try: t.ask(questions(n), **kw)
        except BudgetReached: pass
        return t.ledger.total('paid').tokens

@pytest.mark.parametrize('reasoning', [200, 2000])
def test_reasoning_beside_the_completion(cache, reasoning):
    with Server(reasoning=reasoning, completion_tokens=30, delay=.02) as s:
        for _ in range(2): booked = budgeted(s.url, cache)
        assert booked == s.spent() <= 5_000 and s.spent() >= 2_000

def test_max_tokens_spent_on_reasoning(cache, capsys):
    with Server(thinks=500) as s:
        for _ in range(2):
            with Teacher('m', s.url, cache=cache) as t:
                assert t.ask(['q'], max_tokens=50) == [[]]
                assert t.replies(['q'], max_tokens=50)[0][0].finish == 'length'
        assert len(s.log()) == 1                        # asked once, paid once
        assert 'give more `max_tokens`' in capsys.readouterr().err
        with Teacher('m', s.url, cache=cache, budget_tokens=50_000) as t: assert all(t.ask(['q', 'r']))
        assert len(s.log()) == 1 + 2                    # a 64th of the budget is enough here
        with Teacher('m', s.url, cache=cache, budget_tokens=20_000) as t: assert all(t.ask(['s']))
        assert len(s.log()) == 1 + 2 + 2                # and here not: once more, with more room

def test_an_answer_that_broke_off_is_none(cache):
    with Server(error_end=.3) as s, Teacher('m', s.url, cache=cache) as t:
        assert [r[0] for r in t.ask(questions(60))] == [f'{q} | 0' for q in questions(60)]
        assert t.ledger.total('paid').tokens == s.spent() > 60*30

@pytest.mark.parametrize('inside', [False, True])
@pytest.mark.parametrize('wording', QUOTAS)
def test_an_account_without_credit_stops_at_once(wording, inside, server, cache):
    server.forget(quota=wording, inside=inside)
    with Teacher('m', server.url, cache=cache) as t:
        with pytest.raises(UserError) as e: t.ask(questions(100))
    text = QUOTAS[wording][1]
    text = text[0] if isinstance(text, list) else text
    assert text['error']['message'][:40] in str(e.value) and 'add credit' in str(e.value)
    assert len(server.log()) == 1

@pytest.mark.parametrize('wording', RATES)
def test_a_rate_is_waited_out(wording, server, cache):
    server.forget(quota=wording, first=3)
    with Teacher('m', server.url, cache=cache) as t: assert all(t.ask(questions(20)))

def test_a_refusal_in_unknown_words_is_not_repeated_for_ever(cache, monkeypatch):
    monkeypatch.setattr(pace, 'backoff', lambda times: .02)
    with Server(status=429, error=dict(message='geht gerade nicht')) as s:
        with Teacher('m', s.url, cache=cache) as t:
            with pytest.raises(UserError, match='geht gerade nicht'): t.ask(questions(100))
        assert len(s.log()) < 80

def test_wrong_addresses_cost_nothing(cache):
    "A page, a closed connection, silence: nothing of it counts against the budget of the right address."
    def at(url, **kw):
        with Teacher('m', url, cache=cache, budget_tokens=6_000) as t:
            return t.ask(questions(40), max_tokens=50, **kw)
    with Server(page=1) as s:
        with pytest.raises(UserError, match='no chat completion.*/v1'): at(s.url)
        assert len(s.log()) <= 5
        s.set(drop=1)
        with pytest.raises(UserError, match='before an answer'): at(s.url)
        ledger = Ledger(cache)
        assert ledger.total().tokens == 0
        ledger.close()
        s.set(page=.2)
        assert all(at(s.url))

def test_pages_and_resets_between_answers(cache):
    "What was lost is no cost; it is held against the budget, for it may have been billed."
    with Server(page=.1, drop=.1, p500=.05, completion_tokens=100, delay=.01) as s:
        for _ in range(2):
            with Teacher('m', s.url, cache=cache, budget_tokens=12_000) as t:
                with pytest.raises(BudgetReached): t.ask(questions(1000), max_tokens=100)
                paid, lost = t.total(), t.ledger.total('lost')
        drops = s.faults('drop')
        assert paid.tokens == s.spent() and lost.calls == drops > 0
        assert s.spent() + drops*120 <= 12_000

worker = '''
import sys
from synthrl.teacher import BudgetReached, Teacher
url, cache, budget, n = sys.argv[1:]
with Teacher('m', url, cache=cache, budget_tokens=int(budget) or None, concurrency=16) as t:
    try: r = t.ask([f'question {i}' for i in range(int(n))], max_tokens=100)
    except BudgetReached: print('reached')
    else: print(sum(map(bool, r)))
'''
def two(url, cache, budget, n, count=2):
    command = [sys.executable, '-c', worker, url, str(cache), str(budget), str(n)]
    ps = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return [p.communicate(timeout=120)[0].strip() for p in ps]

def test_two_processes_pay_once(cache):
    with Server(delay=.1) as s:
        assert two(s.url, cache, 0, 150, 3) == ['150']*3
        assert len(s.log()) == 150 and max(Counter(s.questions()).values()) == 1

@pytest.mark.parametrize('faults', [{}, dict(p500=.05, cut=.05)])
def test_two_processes_have_one_budget(cache, faults):
    with Server(delay=.05, completion_tokens=100, **faults) as s:
        assert two(s.url, cache, 12_000, 1000) == ['reached']*2
        with Teacher('m', s.url, cache=cache, budget_tokens=12_000) as t:
            with pytest.raises(BudgetReached): t.ask(questions(1000), max_tokens=100)
        assert 8_000 < s.spent() + 300*s.faults('cut') and s.spent() <= 12_000
        assert max(Counter(s.questions(done=True)).values()) == 1 or faults

def test_a_killed_process_is_not_waited_for(cache):
    with Server(hang=1) as s:
        p = subprocess.Popen([sys.executable, '-c', worker, s.url, str(cache), '0', '20'])
        while len(s.log()) < 16: time.sleep(.05)
        p.kill()
        p.wait()
        s.set()
        start = time.perf_counter()
        with Teacher('m', s.url, cache=cache) as t: assert all(t.ask(questions(20), max_tokens=100))
        assert time.perf_counter() - start < 5

# keys and addresses

def test_a_password_in_the_address(cache, capsys, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'my-own-key-1234')
    with Server() as s:
        url = s.url.replace('://', '://me:pass-word-1@') + '?key=query-word-1'
        with Teacher('m', url, cache=cache) as t:
            assert t.ask(['q']) == [['q | 0']]
            shown = repr(t) + repr(vars(t)['base_url']) + t.endpoint + json.dumps(t.base_url)
            s.set(status=400, error=dict(message='bad query-word-1 pass-word-1 my-own-key-1234'))
            with pytest.raises(UserError) as e: t.ask(questions(30))
        shown += str(e.value) + ''.join(capsys.readouterr())
    kept = b''.join(f.read_bytes() for f in cache.parent.iterdir())
    for secret in 'pass-word-1', 'query-word-1', 'my-own-key-1234':
        assert secret not in shown and secret.encode() not in kept

def test_a_key_that_changed_is_not_shown(cache, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'the-old-key-123456')
    with Server() as s, Teacher('m', s.url, cache=cache) as t:
        t.ask(['q'])
        monkeypatch.setenv('OPENAI_API_KEY', 'the-new-key-123456')
        s.set(status=401, error=dict(message='wrong: the-old-key-123456'))
        with pytest.raises(UserError) as e: t.ask(['r'])
        x = e.value
        while x:
            assert 'the-old-key' not in repr(x) + str(x) + repr(vars(x))
            x = x.__cause__ or x.__context__

@pytest.mark.parametrize('key', ['good-key-1234\n', '  good-key-1234 \r\n'])
def test_blanks_around_a_key(cache, monkeypatch, server, key):
    monkeypatch.setenv('OPENAI_API_KEY', key)
    server.forget()
    with Teacher('m', server.url, cache=cache) as t: assert all(t.ask(['q']))

@pytest.mark.parametrize('key', ['schlüssel-1234', 'two\nlines-1234', 'a b-1234', '“good-key-1234”',
                                 'tab\t-1234'])
def test_a_key_that_cannot_be_one(cache, monkeypatch, server, key):
    monkeypatch.setenv('OPENAI_API_KEY', key)
    with pytest.raises(UserError, match='OPENAI_API_KEY.*copy the key again') as e:
        Teacher('m', server.url, cache=cache).ask(['q'])
    assert '1234' not in str(e.value) and '\n' not in str(e.value)

# the way there

@pytest.mark.parametrize('library', ['aiohttp', 'httpx2'])
@pytest.mark.parametrize('status', [301, 302, 307, 308])
def test_redirects(cache, status, library, monkeypatch, capsys):
    if library == 'httpx2': monkeypatch.setitem(sys.modules, 'aiohttp', None)
    with Server(moved='/v1/chat/completions/', redirect=status) as s:
        with Teacher('m', s.url, cache=cache) as t: assert all(t.ask(questions(20))) and len(s.log()) == 21
        assert 'sends requests on to' in capsys.readouterr().err
        with Server() as other:
            s.set(moved='/nowhere', redirect=status, location=f'{other.url}/chat/completions')
            with Teacher('m2', s.url, cache=cache) as t:
                with pytest.raises(UserError, match=other.url): t.ask(['q'])
            assert other.log() == []                    # the key went nowhere else
        s.set(moved='/v2/chat/completions', redirect=status, location='/v1/chat/completions')
        with Teacher('m3', s.url, cache=cache) as t:
            with pytest.raises(UserError, match='sends requests on'): t.ask(['q'])

def test_retry_after_by_the_servers_clock(cache):
    with Server(p429=1, first=1, retry_after='date:2', skew=-10**6) as s:
        with Teacher('m', s.url, cache=cache) as t: assert t.ask(['q']) == [['q | 0']]
        a, b = [e['at'] for e in s.log()]
        assert .9 <= b - a < 4

@pytest.mark.parametrize('library', ['aiohttp', 'httpx2'])
def test_nobody_is_told_apart(cache, library, monkeypatch):
    if library == 'httpx2': monkeypatch.setitem(sys.modules, 'aiohttp', None)
    for kind in 'http_proxy', 'https_proxy', 'all_proxy':
        for name in kind, kind.upper(): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('OPENAI_API_KEY', 'some-key-1')
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))
        refused = f'http://127.0.0.1:{closed.getsockname()[1]}/v1'
        with socket.create_server(('127.0.0.1', 0)) as plain:
            threading.Thread(target=no_tls, args=(plain,), daemon=True).start()
            safe = f'https://127.0.0.1:{plain.getsockname()[1]}/v1'
            table = {refused: 'nothing answers there',
                     'http://no-such-host.invalid/v1': 'no host of that name', safe: 'no safe connection'}
            for url, said in table.items():
                with Teacher('m', url, cache=cache, retries=2) as t:
                    with pytest.raises(UserError, match=said) as e: t.ask(questions(3))
                    assert '\n' not in str(e.value)

def no_tls(server):
    "A server that knows no TLS."
    while True:
        try: c, _ = server.accept()
        except OSError: return
        c.recv(1000)
        c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
        c.close()

def test_a_password_in_the_address_of_a_run(tmp_path, monkeypatch):
    "It is in no file of the run's folder, and the run goes on with it."
    from synthrl.run import preview
    with Server() as s:
        url = s.url.replace('://', '://me:pass-word-1@') + '?key=query-word-1'
        for changes in (dict(base_url=url), {'plan.base_url': url}):
            said = []
            about = dict(out=tmp_path/'run', teacher='m', say=said.append) | changes
            try: preview('word_problems', 'laptop', **about)
            except UserError as e: said.append(e)            # this server writes no samples
            assert 'pass-word-1' not in str(said) and 'query-word-1' not in str(said)
        assert len(s.log()) > 0
    kept = [f for f in (tmp_path/'run').rglob('*') if f.is_file()]
    assert any(f.name == 'settings.json' for f in kept)
    for f in kept: assert b'pass-word-1' not in f.read_bytes() and b'query-word-1' not in f.read_bytes(), f
