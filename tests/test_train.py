"Real GRPO steps on the bundled student, in processes of their own: three lanes; test_run.py stops one."
import json, subprocess, sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from synthrl.select import curriculum
from synthrl.task import Sample, Task, data_path, read_samples
from synthrl.train import GRPO, sft, work

def needs(*packages):
    "Skip where one of the packages is not installed; they are looked for and not imported."
    return pytest.mark.skipif(not all(map(find_spec, packages)), reason=f'needs {", ".join(packages)}')


full = needs('unsloth', 'trl', 'vllm')
plain = needs('trl', 'transformers')

# One training after another in one process: importing the engines takes longer than these steps.
# The questions of each step are read where the loss is computed; one with `stop` ends there and goes on.
SCRIPT = '''
import json, sys
from synthrl.student import engines
from synthrl.task import Task, data_path, read_samples
from synthrl.train import GRPO, hold_out, lanes, train, without as rest

without, *jobs = map(json.loads, sys.argv[1:])
found = engines.is_here
engines.is_here = lambda package: package not in without and found(package)
small = dict(steps=3, prompts_per_step=4, completions=8, micro_batch=32, lr=1e-3, kl=0, temperature=1,
             top_p=1, strict=False, max_tokens=48, max_length=192, save_every=0, validate_every=0,
             validation=6)
samples = read_samples(data_path('tiny/train.jsonl'))[:40]
for i, s in enumerate(samples): s.pass_rate, s.rollouts = (.9, .5, .2, .7)[i % 4], 10
asked, plain = [], lanes.trainer_class

def watched():
    class Watched(plain()):
        def compute_loss(self, model, inputs, *args, **kw):
            texts = self.processing_class.batch_decode(inputs['prompt_ids'], skip_special_tokens=True)
            groups = {s.id: sum(s.input in text for text in texts)//8 for s in samples}
            asked.append(sorted(name for name, n in groups.items() for _ in range(n)))
            if len(asked) == stop: raise KeyboardInterrupt
            return super().compute_loss(model, inputs, *args, **kw)
    return Watched

lanes.trainer_class = watched
task = Task.load('word_problems')
for out, changes in jobs:
    curriculum, stop = changes.pop('curriculum', 'none'), changes.pop('stop', 0)
    settings = GRPO(**small | changes)
    held = hold_out(samples, settings, 1)
    def again(): return train(task, 'tiny', rest(samples, held), settings, out, 1, print, curriculum, held)
    asked.clear()
    try: done = again()
    except KeyboardInterrupt: done = again()
    print('SUMMARY', json.dumps(done | dict(asked=asked, held=[s.id for s in held])))
'''


def start(cwd, *jobs, without=()):
    command = [sys.executable, '-c', SCRIPT, *map(json.dumps, [without, *jobs])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd)


def finish(p):
    "The summaries of the trainings, and what else was said."
    text, _ = p.communicate(timeout=900)
    lines = text.splitlines()
    made = [json.loads(l.removeprefix('SUMMARY ')) for l in lines if l.startswith('SUMMARY ')]
    assert p.returncode == 0 and made, text[-3000:]
    odd = [l for l in lines if not l.startswith(('SUMMARY ', 'train '))]
    assert not odd, odd                                             # the engines say nothing
    return made, [l for l in lines if l.startswith('train ')]


def weights(folder):
    from safetensors.torch import load_file
    return load_file(Path(folder)/'model.safetensors')


def changed(folder):
    "The names of the weights that training has changed."
    base, new = weights(data_path('tiny/student')), weights(folder)
    assert base.keys() == new.keys()
    return {k for k in base if (base[k].float() - new[k].float()).abs().max() > 1e-3}


def rows(folder):
    return [json.loads(line) for line in (folder/'log.jsonl').read_text().splitlines()]


@pytest.fixture(scope='module')
def four(tmp_path_factory):
    "With LoRA, of all weights by the whole distribution, by part of it, and in an order."
    folder = tmp_path_factory.mktemp('four')
    # LoRA goes first: after a training of all weights Unsloth makes no adapters in the same process
    classic = dict(curriculum='classic', steps=8, validate_every=4, patience=9)
    lora = dict(lora_rank=8, lr=1e-2)
    jobs = ('lora', lora), ('whole', {}), ('part', dict(top_p=.8)), ('classic', classic)
    made, _ = finish(start(folder, *jobs))
    return folder, made


@full
def test_all_weights(four):
    folder, (_, done, *_) = four
    assert done['steps'] == 3 and 0 <= done['reward_last'] <= 1
    assert done['logprob_gap'] <= .05, 'the weights in vLLM are not those of the trainer'
    log = rows(folder/'whole')
    assert [r['step'] for r in log] == [1, 2, 3]
    assert {'reward', 'zero_variance', 'truncated', 'logprob_gap'} <= log[0].keys()
    assert changed(folder/'whole') and not list(folder.glob('.*'))


@full
def test_part_of_the_distribution(four):
    "top_p reaches the rollouts: vLLM's probabilities are higher than the trainer's, by what was left out."
    folder, (_, _, done, _) = four
    assert .002 < done['logprob_gap'] <= .23, '-ln .8 is .223; by the whole distribution it is .0001'
    assert changed(folder/'part'), 'the correction leaves something of the gradient'


def small_pool():
    "The samples of SCRIPT, by id."
    samples = read_samples(data_path('tiny/train.jsonl'))[:40]
    for i, s in enumerate(samples): s.pass_rate, s.rollouts = (.9, .5, .2, .7)[i % 4], 10
    return {s.id: s for s in samples}


@full
def test_a_curriculum_reaches_the_loss(four):
    "Paper 2's classic over eight steps: easy, then medium, then hard, and none of those held out."
    _, (*_, done) = four
    pool = small_pool()
    left = [s for s in pool.values() if s.id not in done['held']]
    order = curriculum(left, 'classic', steps=8, batch=4, seed=1)
    assert done['asked'] == [sorted(s.id for s in step) for step in order]
    levels = [{pool[i].pass_rate for i in step} for step in done['asked']]
    assert levels == [{.9}, {.9}, {.5, .9}, {.5}, {.5}, {.2, .5}, {.2}, {.2}]
    assert len(done['held']) == 6 and not set(done['held']) & {i for step in done['asked'] for i in step}


@full
def test_examined_in_training(four):
    "Every fourth step, and the best of them is the model; the examinations' answers are not counted."
    folder, (*_, done) = four
    log = rows(folder/'classic')
    assert [r['step'] for r in log if 'validation' in r] == [4, 8]
    assert [r['rollouts'] for r in log] == [32*step for step in range(1, 9)] and done['rollouts'] == 256
    exams = [json.loads(line) for line in (folder/'classic'/'validation.jsonl').read_text().splitlines()]
    assert [e['step'] for e in exams] == [0, 4, 8] and set(exams[0]['right']) == set(done['held'])
    points = {e['step']: sum(e['right'].values()) for e in exams}
    assert points[done['best_step']] == max(points.values())
    assert done['validation_best'] == round(max(points.values())/24, 4)
    if done['best_step'] == 0: assert not changed(folder/'classic')


@full
def test_lora_is_merged(four):
    folder, (done, *_) = four
    assert done['logprob_gap'] <= .05
    names = changed(folder/'lora')
    assert names and all('proj' in n for n in names)


@pytest.fixture(scope='module')
def plain_lane(tmp_path_factory):
    "By TRL alone: all weights, LoRA, an adaptive order as it is and stopped, one that learns nothing."
    folder = tmp_path_factory.mktemp('plain')
    adaptive = dict(curriculum='adaptive', extra=1, steps=5, save_every=2, validate_every=2)
    still = dict(lr=1e-9, steps=5, validate_every=1, patience=2)
    jobs = [('all', {}), ('lora', dict(lora_rank=8, lr=1e-2)), ('adaptive', adaptive),
            ('stopped', adaptive | dict(stop=4)), ('still', still)]
    made, said = finish(start(folder, *jobs, without=['unsloth', 'vllm']))
    return folder, made, said


@plain
def test_without_unsloth_and_vllm(plain_lane):
    "TRL alone, all weights and then LoRA; it says so, and each of them changes what it should."
    folder, (done, *_), said = plain_lane
    assert done['steps'] == 3 and done['logprob_gap'] is None
    assert sum('Unsloth and vLLM are not installed' in line for line in said) == 6   # one is begun again
    names = changed(folder/'lora')
    assert names and all('proj' in n for n in names)
    assert changed(folder/'all') - names


@plain
def test_the_order_goes_on_after_a_stop(plain_lane):
    "Ended in step 4 and gone on after step 2: the same questions, answers and weights as without a stop."
    folder, (_, _, whole, stopped, _), said = plain_lane
    assert any('goes on after step 2 of 5' in line for line in said)
    assert stopped['asked'] == whole['asked'][:4] + whole['asked'][2:]
    assert stopped['rollouts'] == whole['rollouts'] > 5*32, 'extra = 1: groups all alike were replaced'
    same = 'reward', 'zero_variance', 'rollouts', 'validation'
    for a, b in zip(rows(folder/'adaptive'), rows(folder/'stopped'), strict=True):
        assert {k: a.get(k) for k in same} == {k: b.get(k) for k in same}
    a, b = weights(folder/'adaptive'), weights(folder/'stopped')
    assert all((a[k] == b[k]).all() for k in a)


@plain
def test_ends_when_nothing_is_gained(plain_lane):
    "At a learning rate that changes nothing: two examinations without a gain, and the base is the model."
    folder, (*_, done), said = plain_lane
    assert done['steps'] == 2 and done['best_step'] == 0 and not changed(folder/'still')
    assert any('ends after step 2: 2 examinations without a gain' in line for line in said)


WORDS = Task.load('word_problems')

@pytest.mark.parametrize('goes_on, changes', [
    (True, {}), (True, dict(grpo=GRPO(micro_batch=2, save_every=3))),
    (False, dict(grpo=GRPO(epochs=2))), (False, dict(settings=sft.SFT(lr=1e-4))), (False, dict(seed=1)),
    (False, dict(task=replace(WORDS, template=not WORDS.template))), (False, dict(lane='trl')),
    (False, dict(task=replace(WORDS, answer='math'))), (False, dict(task=replace(WORDS, labels=['7', '8'])))])
def test_what_an_imitation_goes_on_from(monkeypatch, tmp_path, goes_on, changes):
    "Ended after a checkpoint and called again: it goes on if asked the same, memory apart. No engine runs."
    found = []
    def stopped(task, net, tok, samples, settings, grpo, folder, *others):
        def end(resume_from_checkpoint):
            found.append(resume_from_checkpoint)
            (folder/'checkpoint-3').mkdir(exist_ok=True)
            (folder/'checkpoint-3'/'trainer_state.json').write_text('{"global_step": 3}')
            raise KeyboardInterrupt
        return SimpleNamespace(train=end, args=SimpleNamespace(max_steps=9))

    def call(lane='unsloth', **more):
        monkeypatch.setattr(work, 'find_lane', lambda: lane)
        given = dict(task=WORDS, student='tiny', samples=[Sample('2 + 2?', '#### 4')], out=tmp_path/'model')
        with pytest.raises(KeyboardInterrupt): sft.imitate(**given | dict(say=lambda line: None) | more)

    for name in ('check_packages', 'check_hub'): monkeypatch.setattr(sft, name, lambda *a: None)
    monkeypatch.setattr(sft, 'load_trainable', lambda *a: (None, None))
    monkeypatch.setattr(sft, 'make_sft_trainer', stopped)
    call()
    call(**changes)
    assert [bool(path) for path in found] == [False, goes_on]
