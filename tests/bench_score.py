"Scoring against bare vLLM: the same requests, in one process, in turns."
import os, statistics, time

from synthrl.score import Score, score
from synthrl.student import ask_student, load_student
from synthrl.task import Task, read_samples


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def bare(task, student, samples, cfg):
    "What remains without synthrl: the prompts, one call."
    from vllm import SamplingParams
    params = SamplingParams(n=cfg.n, temperature=cfg.temperature, top_p=cfg.top_p, max_tokens=cfg.max_tokens)
    student.llm.generate([task.ask(s.input) for s in samples], params, use_tqdm=False)


def bench(questions=96, n=16, turns=3):
    os.environ.setdefault('TQDM_DISABLE', '1')
    task, student = Task.load('word_problems'), load_student('tiny', backend='vllm')
    samples = read_samples(task.file(task.train), origin='human')[:questions]
    cfg = Score(n=n, method='fixed', temperature=.7, top_p=1., max_tokens=64, strict=False)
    how = dict(n=1, temperature=cfg.temperature, max_tokens=cfg.max_tokens)
    ask_student(task, student, [s.input for s in samples], **how)     # both begin warm
    ratios = []
    for _ in range(turns):
        ours = seconds(lambda: score(task, student, samples, settings=cfg))
        theirs = seconds(lambda: bare(task, student, samples, cfg))
        ratios.append(theirs/ours)
    student.close()
    return [(f'scoring / bare vLLM generate, {questions} questions × {n}, median of {turns}',
             f'{statistics.median(ratios):.3f}', '≥ 0.95')]


if __name__ == '__main__': print(bench())
