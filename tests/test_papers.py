"The two papers, read against the code: settings, prompts, readings, the same wherever the student is asked."
import json, threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from synthrl.adapt import Adapt, find_solved, rewrite_prompt
from synthrl.evaluate import Evaluate, Evaluation, evaluate
from synthrl.run import choose
from synthrl.score import Score, score
from synthrl.student import ServerStudent, ask_student, render
from synthrl.task import Sample, Task, UserError
from synthrl.train import GRPO, count_steps
from synthrl.adapt.stones import Turns, next_prompt, try_out

from synthrl.run.summary import results


# 1. updates

def test_an_update_is_64_answers_in_the_preset_paper():
    grpo = choose('paper')['grpo']
    assert (grpo.prompts_per_step, grpo.completions) == (4, 16)
    assert count_steps(grpo, 500) == 625
    assert (grpo.top_p, grpo.kl, grpo.temperature, grpo.lr) == (.8, .001, 1.2, 1e-6)
    assert (Score().n, Score().temperature, Score().top_p) == (64, 1.2, .95)


def test_the_laptop_keeps_its_own():
    laptop = choose('laptop')
    assert (laptop['score'].temperature, laptop['score'].top_p, laptop['grpo'].top_p) == (1, 1, 1)
    assert not any(laptop[part].strict for part in ('adapt', 'score', 'grpo', 'evaluate'))


@pytest.mark.parametrize('key', ['grpo.top_p', 'score.top_p'])
@pytest.mark.parametrize('value', ['0', '1.5', '-.1', 'nan'])
def test_a_top_p_that_is_none(key, value):
    with pytest.raises(UserError, match='above 0, at most 1'):
        choose(**{key: value})


@pytest.mark.parametrize('top_p, mode', [(1., 'sequence_mask'), (.8, 'token_truncate')])
def test_the_correction_fits_top_p(tmp_path, top_p, mode):
    "Factors below one for each token must not be multiplied over an answer: nothing would be left of it."
    from synthrl.train import grpo_config
    made = grpo_config(GRPO(top_p=top_p), 1, tmp_path, 0, 4096)
    assert (made.top_p, made.vllm_importance_sampling_mode) == (top_p, mode)
    assert made.per_device_train_batch_size * made.gradient_accumulation_steps == 64


# 2. two readings

class Says:
    "A student that gives the same answers to every question."
    def __init__(self, *texts): self.texts, self.asked = texts, 0
    def sample(self, prompts, n=1, **how):
        self.asked += 1
        self.how = how
        texts = (self.texts*n)[:n]
        return [[SimpleNamespace(text=t, tokens=1, finished=True) for t in texts] for _ in prompts]


SUM = [Sample('What is 3 + 4?', '#### 7', '7')]
TASK = Task('sums', 'Add.', 'The result after ####.', 'number')


@pytest.mark.parametrize('answer', ['The answer is 7.', '3 + 4 = 7', '7'])
def test_without_the_mark_an_answer_is_lenient_only(answer):
    student = Says(answer)
    done = evaluate(TASK, student, SUM)
    assert (done.accuracy, done.readings) == (0, dict(strict=0, lenient=1))
    assert student.asked == 2, 'sampled and greedy; no second time for the other reading'
    done = evaluate(TASK, Says(answer), SUM, settings=Evaluate(strict=False))
    assert (done.accuracy, done.readings) == (1, dict(lenient=1, strict=0))
    assert score(TASK, Says(answer), SUM, n=4)[0].pass_rate == 0
    assert score(TASK, Says(answer), SUM, settings=Score(n=4, strict=False))[0].pass_rate == 1
    assert not find_solved(TASK, Says(answer), SUM)[0].solved
    assert find_solved(TASK, Says(answer), SUM, Adapt(strict=False))[0].solved


def test_a_task_without_a_mark_is_read_leniently():
    plain = replace(TASK, output_format='One number.')
    assert evaluate(plain, Says('7'), SUM).readings == dict(lenient=1)
    assert score(plain, Says('7'), SUM, n=4)[0].pass_rate == 1
    assert find_solved(plain, Says('7'), SUM)[0].solved


def test_the_summary_has_both_readings():
    def model(verdicts, other):
        return dict(answers=['a']*2, verdicts=verdicts, other=other, finished=[True]*2)
    row = dict(id='1', input='q', label='7', temperature=.7, strict=True,
               base=model(['unparseable', 'wrong'], ['correct', 'wrong']),
               trained=model(['correct']*2, ['correct']*2))
    made = results([row])
    for who, strict, lenient in (('base', 0, .5), ('trained', 1, 1)):
        found = made[who]
        assert found['accuracy'] == found['accuracy_strict'] == strict
        assert found['accuracy_lenient'] == lenient
    assert made['base']['strict'] and made['difference']['accuracy'] == 1


def test_an_examination_of_before_has_one_reading():
    row = dict(id='1', input='q', label='7', answers=['7'], verdicts=['correct'], finished=[True])
    old = Evaluation([row])
    assert old.readings == dict(lenient=1) and 'lenient reading' in repr(old)


# 3. prompts

THINK = ('Your output thinking process and answer should be enclosed within <think> </think> and '
         '<answer> </answer> tags, respectively, i.e., <think> thinking process here </think> '
         '<answer> {} here </answer>.')
FORMATS = dict(gsm8k='Let\'s think step by step and output the final answer after "####".',
               math="Let's think step by step and output the final answer within \\boxed{}.",
               mednli=THINK.format('the correct option'), medqa=THINK.format('the correct option'),
               gpqa=THINK.format('the correct option'), logiqa=THINK.format('the correct option'),
               cqa=THINK.format('Yes or No'), cfa=THINK.format('a single option'))


@pytest.mark.parametrize('name', FORMATS)
def test_the_eight_tasks_ask_as_the_paper(name):
    task = Task.load(name)
    assert task.ask('A question?') == f'A question? {FORMATS[name]}'
    assert not task.template and task.has_mark


def test_what_the_paper_says_of_questions():
    assert len(Task.load('math').domains) == 7
    words = dict(logiqa=['Context:', 'Question:'], mednli=['Premise:', 'Hypothesis:'],
                 cfa=['Q:', 'CHOICES:', 'among the three options A, B and C'])
    for name, said in words.items():
        for word in said: assert word in Task.load(name).input_format, (name, word)


class Chatty:
    chat_template = 'yes'
    def apply_chat_template(self, messages, **kw): return f"<|user|>{messages[0]['content']}<|assistant|>"


@pytest.mark.parametrize('template, read', [(True, '<|user|>q<|assistant|>'), (False, 'q')])
def test_the_trainer_asks_as_the_stages_do(monkeypatch, tmp_path, template, read):
    trl = pytest.importorskip('trl')
    from synthrl.train import lanes
    task = replace(TASK, prompt='{input}', template=template)
    class Trainer:
        vllm_generation = SimpleNamespace()
        def __init__(self, **kw): pass
        def remove_callback(self, callback): pass
    monkeypatch.setattr(trl, 'GRPOTrainer', Trainer)
    monkeypatch.setattr(lanes, 'reward', lambda task, strict=False: None)
    asked = replace(SUM[0], input='q')
    trainer = lanes.make_trainer(task, None, Chatty(), [asked], None, GRPO(steps=1), tmp_path, 0, 512, 1)
    assert trainer.rows[asked.id]['prompt'] == read

    student = Says('7')
    ask_student(task, student, ['q'])
    assert render(Chatty(), 'q', student.how.get('template', True)) == read


@pytest.fixture
def server():
    "A server of both addresses that notes what it is asked."
    log = []
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args): pass
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers['content-length'])))
            log.append((self.path, body))
            bare = not self.path.endswith('/chat/completions')
            def text(i):
                if bare: return dict(text=f'bare {i}')
                return dict(message=dict(role='assistant', content=f'chat {i}'))
            choices = [dict(index=i, finish_reason='stop') | text(i) for i in range(body.get('n') or 1)]
            usage = dict(prompt_tokens=1, completion_tokens=1, total_tokens=2)
            reply = dict(id='1', object='x', created=0, model='m', choices=choices, usage=usage)
            reply = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header('content-type', 'application/json')
            self.send_header('content-length', str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f'http://127.0.0.1:{server.server_port}/v1', log=log)
    server.shutdown()


def test_a_server_gets_the_bare_prompt(server, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    student = ServerStudent('m', server.url)
    answers = student.sample(['one', 'two'], n=3, temperature=1.2, max_tokens=5, top_p=.8, template=False)
    assert [[a.text for a in row] for row in answers] == [['bare 0', 'bare 1', 'bare 2']]*2
    assert sorted((path, body['prompt'], body['top_p'], body['n']) for path, body in server.log) == [
        ('/v1/completions', 'one', .8, 3), ('/v1/completions', 'two', .8, 3)]
    student.close()


@pytest.mark.parametrize('top_p', [.8, 1.])
def test_top_p_reaches_a_chat_server(server, monkeypatch, top_p):
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    student = ServerStudent('m', server.url)
    assert [a.text for a in student.sample(['one'], n=2, top_p=top_p)[0]] == ['chat 0', 'chat 1']
    assert {body.get('top_p', 1.) for _, body in server.log} == {top_p}
    student.close()


def test_a_server_without_completions_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    student = ServerStudent('m', 'http://127.0.0.1:9/v1', retries=0)
    with pytest.raises(UserError, match='template = false'):
        student.sample(['one'], template=False)
    student.close()


def test_transformers_reads_the_bare_prompt_and_keeps_to_top_p():
    pytest.importorskip('torch')
    from synthrl.student import TransformersStudent
    student = TransformersStudent('tiny')
    question = 'Tom has 6 pears. Then 3 more arrive. How many pears are there now?'
    prompt = Task.load('word_problems').ask(question)
    how = dict(n=8, temperature=1, max_tokens=32)
    plain = student.sample([prompt], **how)
    student.tokenizer.chat_template = "{% for m in messages %}Q: Q: {{ m['content'] }}{% endfor %}"
    assert student.sample([prompt], **how, template=False) == plain != student.sample([prompt], **how)
    narrow = student.sample([prompt], n=8, temperature=1.2, max_tokens=32, top_p=1e-6, template=False)[0]
    assert len({c.text for c in narrow}) == 1, 'of next to no probability there is one token each'
    student.close()


# 7. rewriting, turns

@pytest.mark.parametrize('solved, wish', [(True, 'significantly more challenging'), (False, 'sub-problem')])
def test_a_rewrite_shows_question_and_answer(solved, wish):
    s = Sample('Is it so?', '<think> as it was </think> <answer> Yes </answer>', 'yes', solved=solved)
    prompt = rewrite_prompt(Task.load('cqa'), s)
    assert s.input in prompt and s.output in prompt and wish in prompt


def test_a_turn_shows_the_gold_answer_and_the_ends_of_tries():
    long = 'I think about it. '*500
    student = Says(long + '#### 7', long + '#### 8')
    (tried, right, wrong), = try_out(TASK, student, SUM, Turns(m=4, shown=100, strict=False))
    assert tried.pass_rate == .5 and right.endswith('#### 7') and wrong.endswith('#### 8')
    prompt = next_prompt(TASK, tried, right, wrong, 2)
    assert f'<solution>\n{SUM[0].output}\n</solution>' in prompt
    assert 'Keep the core task' in prompt and 'something else' not in prompt and len(prompt) < 2500
