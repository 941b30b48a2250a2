"""A real server behind the teacher: vLLM's, on the CPU, with the laptop's student."""
import os, socket, subprocess, sys, time, urllib.request
from importlib.util import find_spec
import pytest
from synthrl.student import load_student
from synthrl.task import UserError, data_path
from synthrl.teacher import Teacher

student = data_path('tiny/student')
pytestmark = [pytest.mark.skipif(not (student/'config.json').exists(),
                                 reason='data/tiny/student is not there'),
              pytest.mark.skipif(not find_spec('vllm'), reason='vllm is not installed')]

@pytest.fixture(scope='module')
def url(tmp_path_factory):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    folder = tmp_path_factory.mktemp('vllm')
    template = folder/'chat.jinja'
    template.write_text("{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    about = {'--model': student, '--served-model-name': 'student', '--dtype': 'float32',
             '--host': '127.0.0.1', '--port': port, '--max-model-len': 192, '--chat-template': template}
    command = [sys.executable, '-m', 'vllm.entrypoints.openai.api_server', '--enforce-eager']
    for name, value in about.items(): command += [name, str(value)]
    log, environment = open(folder/'log', 'wb'), os.environ | dict(VLLM_CPU_KVCACHE_SPACE='1')
    p = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        wait_for(f'http://127.0.0.1:{port}/health', p, folder/'log')
        yield f'http://127.0.0.1:{port}/v1'
    finally:
        p.terminate()
        try: p.wait(30)
        except subprocess.TimeoutExpired: p.kill()

def wait_for(url, p, log, seconds=300):
    for _ in range(seconds):
        try: return urllib.request.urlopen(url, timeout=5)
        except OSError: time.sleep(1)
        if p.poll() is not None: break
    pytest.fail('vLLM did not start: ' + log.read_text(errors='replace')[-2000:])

def test_a_real_server(url, tmp_path):
    questions = [f'Tom has {i} pears and buys 3 more. How many pears does Tom have?' for i in range(20)]
    with Teacher('student', url, cache=tmp_path/'a.sqlite', concurrency=8, seed=1) as t:
        r = t.ask(questions, n=4, temperature=1., max_tokens=32)
        assert all(len(x) == 4 for x in r) and any(len(set(x)) > 1 for x in r) and t.usage['failed'] == 0
        assert t.usage['calls'] == 20 and t.usage['completion_tokens'] > 80 and t.usage['prompt_tokens'] > 200
    with Teacher('student', url, cache=tmp_path/'a.sqlite', seed=1) as t:
        assert t.ask(questions, n=4, temperature=1., max_tokens=32) == r and t.usage['calls'] == 0
    with Teacher('student', url, cache=tmp_path/'b.sqlite', seed=1) as t:   # it refuses n > 1 there
        greedy = dict(temperature=0., max_tokens=32)
        two = t.ask(questions[:1], n=2, **greedy)
        assert two == [t.ask(questions[:1], **greedy)[0]*2]

def test_a_student_behind_a_server(url):
    student = load_student('student', base_url=url)
    questions = ['Tom has 4 pears and buys 3 more. How many pears does Tom have?', 'Hello']
    a, b = student.sample(questions, n=3, temperature=0, max_tokens=32)
    assert len({c.text for c in a}) == 1 and a[0].finished
    assert [c.finished for c in student.sample(['Tom has 4 pears'], n=2, max_tokens=1)[0]] == [False, False]
    student.close()

def test_its_errors_are_one_line(url, tmp_path):
    with Teacher('another', url, cache=tmp_path/'c.sqlite') as t:
        with pytest.raises(UserError, match='another') as e: t.ask(['Hello'])
        assert '\n' not in str(e.value)

def test_more_tokens_than_it_has_room_for(url, tmp_path):
    "Its refusal is the question's own, and names the room."
    with Teacher('student', url, cache=tmp_path/'c.sqlite') as t:
        assert t.ask(['Hello'], max_tokens=4000) == [[]]
        assert t.usage['failed'] == 1 and '192' in str(t.failures)

def test_budget_of_a_real_server(url, tmp_path):
    with Teacher('student', url, cache=tmp_path/'d.sqlite', budget_tokens=2000) as t:
        sums = [f'{i} + 1 = ?' for i in range(500)]
        with pytest.raises(UserError, match='budget of 2,000 tokens'): t.ask(sums, max_tokens=24)
        assert 500 < t.total().tokens <= 2000
