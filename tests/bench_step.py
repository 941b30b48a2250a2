"""A GRPO step of ours beside one of a script that has TRL, Unsloth and vLLM and no synthrl: the same student,
questions, order, settings and seed. Each in a process of its own, the steps after the first two; medians."""
import json, subprocess, sys, tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

CLOCK = '''
import json, sys, time
from transformers import TrainerCallback

class Clock(TrainerCallback):
    "Wall and processor seconds at the end of each step."
    def __init__(self): self.times = []
    def on_step_end(self, *args, **kw): self.times.append((time.perf_counter(), time.process_time()))
'''

OURS = '''
import synthrl.train as room
from synthrl.student import import_engines
import_engines()
''' + CLOCK + '''
from synthrl.task import Task, read_samples
rows, steps, out = sys.argv[1:]
clock, make = Clock(), room.make_trainer

def timed(*args):
    trainer = make(*args)
    trainer.add_callback(clock)
    return trainer

room.make_trainer = timed
settings = room.GRPO(steps=int(steps), prompts_per_step=8, completions=16, micro_batch=128, lr=1e-4, kl=0,
                     temperature=1, top_p=1, strict=False, max_tokens=64, max_length=192, save_every=0,
                     shuffle=False)
done = room.train(Task.load('word_problems'), 'tiny', read_samples(rows), settings, out=out)
print('CLOCK', json.dumps(dict(times=clock.times, tokens=[row['tokens'] for row in done['log']])))
'''

# What makes TRL's vLLM work on a CPU at all is in it, as it is in ours (09_train/lanes).
BARE = '''
import os
os.environ |= dict(VLLM_ENABLE_V1_MULTIPROCESSING='0', VLLM_CPU_KVCACHE_SPACE='1', VLLM_LOGGING_LEVEL='ERROR')
import sys
from types import ModuleType
sys.modules['vllm._C'] = ModuleType('vllm._C')
import unsloth
del sys.modules['vllm._C']
''' + CLOCK + '''
import functools, re
import torch, vllm
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.generation import vllm_generation
from unsloth import FastLanguageModel

rows, steps, out, student = sys.argv[1:]
rows = [json.loads(line) for line in open(rows)]
vllm_generation.LLM = functools.partial(vllm.LLM, enforce_eager=True, block_size=32)
model, tokenizer = FastLanguageModel.from_pretrained(
    student, max_seq_length=192, load_in_4bit=False, fast_inference=False, full_finetuning=True,
    dtype=torch.float32, use_gradient_checkpointing=False)

def right(completions, label, **columns):
    found = [re.findall(r'-?[0-9]+', text) for text in completions]
    return [float(bool(numbers) and numbers[-1] == l) for numbers, l in zip(found, label)]

config = GRPOConfig(
    output_dir=out, seed=0, max_steps=int(steps), shuffle_dataset=False, logging_steps=1, report_to=[],
    disable_tqdm=True, num_generations=16, max_completion_length=64, temperature=1., top_p=1.,
    learning_rate=1e-4, lr_scheduler_type='constant', warmup_steps=0, beta=0., scale_rewards='group',
    per_device_train_batch_size=128, gradient_accumulation_steps=1, save_strategy='no', use_vllm=True,
    vllm_mode='colocate', vllm_max_model_length=192, vllm_importance_sampling_correction=True,
    vllm_importance_sampling_mode='sequence_mask', bf16=False, fp16=False, use_cpu=True,
    gradient_checkpointing=False)
clock = Clock()
trainer = GRPOTrainer(model=model, processing_class=tokenizer, reward_funcs=[right], args=config,
                      train_dataset=Dataset.from_list(rows), callbacks=[clock])

def sync():
    engine = trainer.vllm_generation.llm
    runner = engine.llm_engine.model_executor.driver_worker.model_runner
    runner.reload_weights(weights_iterator=trainer.vllm_generation._iter_named_params())
    engine.reset_prefix_cache()

trainer.vllm_generation.sync_weights = sync
torch.manual_seed(0)
trainer.train()
tokens = [row['completions/mean_length'] for row in trainer.state.log_history if 'reward' in row]
print('CLOCK', json.dumps(dict(times=clock.times, tokens=tokens)))
'''


def timed(script, *words):
    "The median seconds of a step, by the wall and of the processor, and the mean length of an answer."
    done = subprocess.run([sys.executable, '-c', script, *map(str, words)], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith('CLOCK ')]
    assert lines, done.stderr[-2000:]
    told = json.loads(lines[-1].removeprefix('CLOCK '))
    pairs = list(zip(told['times'][1:], told['times'][2:]))
    wall, cpu = (median(after[i] - before[i] for before, after in pairs) for i in (0, 1))
    return wall, cpu, sum(told['tokens'])/len(told['tokens'])


def bench(steps=10) -> list[tuple]:
    "Rows of (name, figure, bar)."
    from synthrl.student import model_path
    from synthrl.task import Task, data_path, read_samples, write_jsonl, write_samples
    if not all(map(find_spec, ('unsloth', 'trl', 'vllm'))):
        return [('GRPO step: Unsloth, TRL and vLLM are not all here', '', '')]
    folder, task = Path(tempfile.mkdtemp()), Task.load('word_problems')
    samples = read_samples(data_path('tiny/train.jsonl'))[:8*steps]
    write_samples(folder/'samples.jsonl', samples)
    write_jsonl(folder/'rows.jsonl', [dict(prompt=task.ask(s.input), label=s.label) for s in samples])
    bare, bare_cpu, theirs = timed(BARE, folder/'rows.jsonl', steps, folder/'bare', model_path('tiny'))
    ours, ours_cpu, length = timed(OURS, folder/'samples.jsonl', steps, folder/'ours')
    return [(f'GRPO step, 128 answers of {theirs:.0f} tokens, without synthrl, s', round(bare, 2), ''),
            (f'… with synthrl, answers of {length:.0f} tokens, s', round(ours, 2), ''),
            ('… with synthrl / alone, processor time', f'{ours_cpu / bare_cpu:.3f}', '≤ 1.05'),
            ('… with synthrl / alone, by the wall', f'{ours / bare:.3f}', '≤ 1.05')]


if __name__ == '__main__':
    for row in bench(): print(*row, sep='\t')
