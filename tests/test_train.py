"Real GRPO steps on the bundled student, in processes of their own: three lanes; test_run.py stops one."
import json, subprocess, sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from synthrl.task import data_path

def needs(*packages):
    "Skip where one of the packages is not installed; they are looked for and not imported."
    return pytest.mark.skipif(not all(map(find_spec, packages)), reason=f'needs {", ".join(packages)}')


full = needs('unsloth', 'trl', 'vllm')
plain = needs('trl', 'transformers')

# One training after another in one process: importing the engines takes longer than these steps.
SCRIPT = '''
import json, sys
from synthrl.student import engines
from synthrl.task import Task, data_path, read_samples
from synthrl.train import GRPO, train

without, *jobs = map(json.loads, sys.argv[1:])
found = engines.is_here
engines.is_here = lambda package: package not in without and found(package)
small = dict(steps=3, prompts_per_step=4, completions=8, micro_batch=32, lr=1e-3, kl=0, temperature=1,
             top_p=1, strict=False, max_tokens=48, max_length=192, save_every=0)
samples = read_samples(data_path('tiny/train.jsonl'))[:40]
for out, changes in jobs:
    done = train(Task.load('word_problems'), 'tiny', samples, GRPO(**small | changes), out=out, seed=1)
    del done['log']
    print('SUMMARY', json.dumps(done))
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
def three(tmp_path_factory):
    "With LoRA, of all weights by the whole distribution, and by half of it."
    folder = tmp_path_factory.mktemp('three')
    # LoRA goes first: after a training of all weights Unsloth makes no adapters in the same process
    jobs = ('lora', dict(lora_rank=8, lr=1e-2)), ('whole', {}), ('half', dict(top_p=.5))
    made, _ = finish(start(folder, *jobs))
    return folder, made


@full
def test_all_weights(three):
    folder, (_, done, _) = three
    assert done['steps'] == 3 and 0 <= done['reward_last'] <= 1
    assert done['logprob_gap'] <= .05, 'the weights in vLLM are not those of the trainer'
    log = rows(folder/'whole')
    assert [r['step'] for r in log] == [1, 2, 3]
    assert {'reward', 'zero_variance', 'truncated', 'logprob_gap'} <= log[0].keys()
    assert changed(folder/'whole') and not list(folder.glob('.*'))


@full
def test_part_of_the_distribution(three):
    "top_p reaches the rollouts: vLLM's probabilities are higher than the trainer's, by what was left out."
    folder, (_, _, done) = three
    assert .01 < done['logprob_gap'] <= .70, 'ln 2 is .69'
    assert changed(folder/'half'), 'the correction leaves something of the gradient'


@full
def test_lora_is_merged(three):
    folder, (done, _, _) = three
    assert done['logprob_gap'] <= .05
    names = changed(folder/'lora')
    assert names and all('proj' in n for n in names)


@plain
def test_without_unsloth_and_vllm(tmp_path):
    "TRL alone, all weights and then LoRA; it says so, and each of them changes what it should."
    jobs = ('all', {}), ('lora', dict(lora_rank=8, lr=1e-2))
    (done, _), said = finish(start(tmp_path, *jobs, without=['unsloth', 'vllm']))
    assert done['steps'] == 3 and done['logprob_gap'] is None
    assert all('Unsloth and vLLM are not installed' in line for line in said) and len(said) == 2
    names = changed(tmp_path/'lora')
    assert names and all('proj' in n for n in names)
    assert changed(tmp_path/'all') - names
