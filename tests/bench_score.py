"Scoring against bare vLLM: the same requests and the same random numbers, in one process, in turns."
import os, statistics, tempfile, time
from pathlib import Path

from synthrl.score import Score, read_rollouts, score
from synthrl.student import load_student
from synthrl.task import Task, read_samples


class Heard:
    "An engine that notes what it was asked, and how the random numbers stood."
    def __init__(self, llm): self.llm = llm
    def __getattr__(self, name): return getattr(self.llm, name)

    def generate(self, texts, params, **kw):
        import torch
        self.asked, self.state = (texts, params), torch.get_rng_state()
        return self.llm.generate(texts, params, **kw)

    def again(self):
        "The same call without synthrl."
        import torch
        torch.set_rng_state(self.state)
        return self.llm.generate(*self.asked, use_tqdm=False)


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def tokens(outs): return sum(len(c.token_ids) for out in outs for c in out.outputs)


def bench(questions=48, n=16, turns=3):
    os.environ.setdefault('TQDM_DISABLE', '1')
    task, student = Task.load('word_problems'), load_student('tiny', backend='vllm')
    student.llm = Heard(student.llm)
    samples = read_samples(task.file(task.train), origin='human')[:questions]
    cfg = Score(n=n, method='fixed', temperature=1., top_p=1., max_tokens=64, strict=False)
    folder = Path(tempfile.mkdtemp())

    def ours(turn):
        return score(task, student, samples, settings=cfg, rollouts=folder/f'{turn}.jsonl.gz')

    ours('warm')
    answers = read_rollouts(folder/'warm.jsonl.gz').values()
    scored = sum(answer['tokens'] for row in answers for answer in row)
    bare = tokens(student.llm.again())
    assert bare == scored, f'not the same work: {bare} and {scored} tokens'
    ratios, alone = [], []
    for turn in range(turns):
        before = seconds(student.llm.again)
        ours_too = seconds(lambda: ours(turn))
        after = seconds(student.llm.again)
        alone.append((before + after)/2)        # what grows slower or faster meanwhile is halved
        ratios.append(alone[-1]/ours_too)
    student.close()
    what = f'scoring / bare vLLM generate, {questions} questions × {n}, median of {turns}'
    speed = questions*n/statistics.median(alone)
    return [(what, f'{statistics.median(ratios):.3f}', '≥ 0.95'),
            ('of these, from … to', f'{min(ratios):.3f} {max(ratios):.3f}', ''),
            ('answers a second, bare', f'{speed:.0f}', '')]


if __name__ == '__main__':
    for row in bench(): print(*row, sep='   ')
