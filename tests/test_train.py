"Real GRPO steps on the bundled student, each in a process of its own: all weights and LoRA; killed and gone on."
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest

script = '''
import sys, json
from synthrl.task import Task, data_path, read_samples
from synthrl.train import GRPO, train
out, kw = sys.argv[1], json.loads(sys.argv[2])
settings = GRPO(**dict(steps=3, prompts_per_step=4, completions=8, micro_batch=32, lr=1e-3, kl=0, temperature=1, top_p=1, strict=False, max_tokens=48, max_length=192, save_every=0) | kw)
done = train(Task.load('word_problems'), 'tiny', read_samples(data_path('tiny/train.jsonl'))[:40], settings, out=out, seed=1)
print('SUMMARY', json.dumps({k: v for k, v in done.items() if k != 'log'}))
'''

def start(out, **kw): 
    return subprocess.Popen([sys.executable, '-c', script, str(out), json.dumps(kw)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out.parent)

def finish(p):
    text, _ = p.communicate(timeout=900)
    lines = [l for l in text.splitlines() if l.startswith('SUMMARY')]
    assert p.returncode == 0 and lines, text[-3000:]
    odd = [l for l in text.splitlines() if not l.startswith(('SUMMARY', 'train '))]
    assert not odd, odd                                             # the engines say nothing
    return json.loads(lines[-1].removeprefix('SUMMARY '))

def weights(folder):
    from safetensors.torch import load_file
    return load_file(Path(folder)/'model.safetensors')

def changed(folder):
    "The names of the weights that training has changed."
    from synthrl.student import model_path
    base, new = weights(model_path('tiny')), weights(folder)
    assert base.keys() == new.keys()
    return {k for k in base if (base[k].float() - new[k].float()).abs().max() > 1e-3}

def test_all_weights(tmp_path):
    done = finish(start(tmp_path/'model'))
    assert done['steps'] == 3 and 0 <= done['reward_last'] <= 1
    assert done['logprob_gap'] <= .05, 'the weights in vLLM are not those of the trainer'
    rows = [json.loads(l) for l in (tmp_path/'model/log.jsonl').read_text().splitlines()]
    assert [r['step'] for r in rows] == [1, 2, 3] and {'reward', 'zero_variance', 'truncated', 'logprob_gap'} <= rows[0].keys()
    assert changed(tmp_path/'model') and not list(tmp_path.glob('.model*'))

def test_lora_is_merged(tmp_path):
    done = finish(start(tmp_path/'model', lora_rank=8, lr=1e-2))
    assert done['logprob_gap'] <= .05
    names = changed(tmp_path/'model')
    assert names and all('proj' in n for n in names)

def test_part_of_the_distribution(tmp_path):
    "top_p reaches the rollouts: vLLM's probabilities are higher than the trainer's, by less than the share that is left out."
    done = finish(start(tmp_path/'model', top_p=.5))
    assert .01 < done['logprob_gap'] <= .70, 'ln 2 is .69'
    assert changed(tmp_path/'model'), 'the correction leaves something of the gradient'

def test_killed_training_goes_on(tmp_path):
    work = tmp_path/'.model.partial'
    p = start(tmp_path/'model', steps=6, save_every=2)
    deadline = time.time() + 600
    while not (work/'checkpoint-2/trainer_state.json').exists() and p.poll() is None and time.time() < deadline: time.sleep(.05)
    os.kill(p.pid, signal.SIGKILL); p.communicate()
    assert not (tmp_path/'model').exists()
    done = finish(start(tmp_path/'model', steps=6, save_every=2))
    rows = [json.loads(l)['step'] for l in (tmp_path/'model/log.jsonl').read_text().splitlines()]
    assert done['steps'] == 6 and rows == [1, 2, 3, 4, 5, 6]

def steps_done(out):
    log = out/'.model.partial'/'log.jsonl'
    return [json.loads(l)['step'] for l in log.read_text().splitlines() if l.endswith('}')] if log.exists() else []

@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGKILL], ids=['ctrl-c', 'kill-9'])
def test_stopped_at_step_25_of_60(tmp_path, stop):
    "As the laptop's preset has it: what a run says when it is stopped, that it goes on from there, is true in training."
    small = '--set plan.backend=transformers --set synthesis.n=24 --set score.n=4 --set plan.selected=16 --set plan.heldout=4 ' \
            '--set grpo.prompts_per_step=4 --set grpo.completions=8 --set grpo.micro_batch=32'.split()
    code = 'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n' \
           'from synthrl.cli import main; sys.exit(main())'  # a job in the background would not hear of it
    command = [sys.executable, '-c', code, 'run', 'word_problems', '--preset', 'laptop',
               '--out', str(tmp_path/'out'), '--until', 'model', *small]
    env = os.environ | dict(OMP_NUM_THREADS='1')                       # many threads wait for each other on a machine at work
    def begin(): return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env)
    p, end = begin(), time.time() + 900
    while max(steps_done(tmp_path/'out'), default=0) < 25 and p.poll() is None and time.time() < end: time.sleep(.05)
    at = max(steps_done(tmp_path/'out'))
    p.send_signal(stop)
    _, err = p.communicate(timeout=60)
    if stop == signal.SIGINT: assert p.returncode == 130 and err.strip().splitlines() == ['synthrl: stopped; the same command goes on from here']
    p = begin()
    said, err = p.communicate(timeout=900)
    assert p.returncode == 0 and not err.strip(), said + err[-3000:]
    ours = ('train', 'model', 'note:', 'report:', 'passages', 'initial', 'synth', 'scored', 'heldout')
    assert all(line.startswith(ours) for line in said.splitlines()), said # and no line of a library
    after = int(said.split('goes on after step ')[1].split()[0])
    assert 20 <= after <= at and said.count('skipped') == 6
    rows = [json.loads(l)['step'] for l in (tmp_path/'out'/'model'/'log.jsonl').read_text().splitlines()]
    assert rows == list(range(1, 61)) and not (tmp_path/'out'/'.model.partial').exists()
