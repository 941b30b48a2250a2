"Recipes, seeds, what is read once: whole runs without torch, by a student and a trainer that are made up."
import hashlib, json, sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
import pytest
import synthrl.run
from synthrl.run import RECIPES, run
from synthrl.task import Task, read_samples, read_test, write_jsonl
from synthrl.tiny.problems import read

SMALL = {'synthesis.n': 12, 'score.n': 6, 'plan.selected': 6, 'plan.heldout': 4, 'plan.human': 20}
SMALL['evaluate.limit'] = 30
TASK = Task.load('word_problems')
STEPS = 'passages initial synth scored heldout train model eval figures'.split()


class HalfRight:
    "A student that knows every answer and gives it in about half of its tries; after training, always."
    known = {s.input: s.label for s in read_test(TASK) + read_test(TASK, which='train')}

    def __init__(self, trained): self.trained, self.seeds = trained, []
    def close(self): pass

    def sample(self, prompts, n=1, seed=0, **how):
        self.seeds.append(seed)
        return [[self._one(p, i) for i in range(n)] for p in prompts]

    def _one(self, prompt, i):
        question = prompt.removeprefix('Q: ').removesuffix('\nA:')
        lot = hashlib.sha256(f'{question} {i}'.encode()).digest()[0]
        answer = self.known.get(question)
        if answer is None: answer = read(question).answer
        if lot % 2 and not self.trained: answer = 'unknown'
        return SimpleNamespace(text=f'#### {answer}', tokens=3, finished=True)


@pytest.fixture
def go(monkeypatch, tmp_path):
    "A run without engines, in a folder: (its summary, what it said, the students it asked)."
    def train(task, student, samples, settings, out, seed, say):
        Path(out).mkdir(exist_ok=True)
        (Path(out)/'log.jsonl').write_text('')
        return dict(steps=1, seconds=0., seed=seed, log=[])

    for name in ('check_packages', 'check_hub', 'find_backend'):
        monkeypatch.setattr(synthrl.run, name, lambda *a: None)
    monkeypatch.setattr(synthrl.run.stages, 'train', train)

    def call(task=TASK, **more):
        said, students = [], []
        def load_student(model, *a, **kw):
            students.append(HalfRight(trained=str(model).endswith('/model')))
            return students[-1]
        monkeypatch.setattr(synthrl.run.stages, 'load_student', load_student)
        more = dict(preset='laptop', out=tmp_path/'out', say=said.append) | SMALL | more
        return run(task, **more), said, students
    return call


def done(said):
    "The stages that were made, not skipped."
    return [line.split()[0] for line in said if ' written in ' in line]


def test_synthetic_and_back(go, tmp_path):
    "All of it; then each other recipe in the same folder, which redoes only what differs."
    s, said, _ = go()
    assert done(said) == STEPS and s['recipe'] == 'synthetic' and s['stale'] == []
    assert s['counts']['initial'] == 12 and s['counts']['train'] == 6 and s['trained']['accuracy'] == 1
    first = {p.name: p.read_bytes() for p in tmp_path.glob('out/[!.]*.jsonl')}

    s, said, _ = go(recipe='no_adapt', until='train')
    assert done(said) == ['scored', 'train']
    assert s['recipe'] == 'no_adapt' and s['counts'] == s['counts'] | dict(initial=12, adapted=0, scored=12)
    assert s['stale'] == ['model', 'eval', 'figures', 'synth']

    s, said, _ = go(recipe='human')
    assert done(said)[:4] == ['human', 'scored', 'train', 'model']
    assert {x.origin for x in read_samples(tmp_path/'out'/'train.jsonl')} == {'human'}
    assert s['counts']['scored'] == 20 and s['counts']['adapted'] == 0
    assert s['stale'] == ['passages', 'initial', 'synth']

    s, said, _ = go(recipe='random', until='train')
    assert done(said) == ['scored', 'train'] and s['recipe'] == 'random'
    assert json.loads((tmp_path/'out'/'settings.json').read_text())['plan']['policy'] == 'random'

    s, said, _ = go()
    assert 'synth' not in done(said) and s['stale'] == ['human']
    assert {name: (tmp_path/'out'/name).read_bytes() for name in first} == first


def test_changed_settings_redo_what_depends_on_them(go, tmp_path):
    out = tmp_path/'out'
    def files(): return {name: (out/f'{name}.jsonl').read_bytes() for name in STEPS[:6]}
    def skipped(said): return sum('skipped' in line for line in said)
    go(until='train')
    first, fewer = files(), {'plan.selected': 3}
    _, said, _ = go(until='train', **fewer)
    assert skipped(said) == 5 and 'train     is done again, changed: plan.selected' in said
    assert files() | dict(train=b'') == first | dict(train=b'')
    assert len(read_samples(out/'train.jsonl')) == 3
    kept = (out/'scored.jsonl').read_text().splitlines()[2:]
    (out/'scored.jsonl').write_text('\n'.join(kept) + '\n')           # a person takes two samples out
    _, said, _ = go(until='train', **fewer)
    assert 'train     is done again, changed: scored.jsonl' in said and skipped(said) == 5
    _, said, _ = go(until='train', seed=1)
    assert not skipped(said) and files()['initial'] != first['initial']


@pytest.mark.parametrize('recipe', list(RECIPES))
def test_each_recipe_alone(go, recipe):
    s, said, _ = go(recipe=recipe, until='train')
    assert done(said) == [stage.name for stage in RECIPES[recipe].up_to('train')]
    assert s['counts']['train'] == 6 and s['trained'] is None


def test_a_setting_of_ones_own_holds_against_the_recipe(go, tmp_path):
    go(recipe='random', until='passages', **{'plan.policy': 'highest'})
    assert json.loads((tmp_path/'out'/'settings.json').read_text())['plan']['policy'] == 'highest'


def test_seeds(go, tmp_path):
    "A seed given to the run reaches every stage; one set for a stage holds there."
    go(seed=5, **{'score.seed': 3, 'evaluate.k': 2})
    settings = json.loads((tmp_path/'out'/'settings.json').read_text())
    seeds = {part: cfg['seed'] for part, cfg in settings.items() if isinstance(cfg, dict) and 'seed' in cfg}
    assert seeds == dict(synthesis=5, adapt=5, score=3, evaluate=5)
    assert json.loads((tmp_path/'out'/'stages.json').read_text())['model']['facts']['seed'] == 5


def test_a_seed_of_its_own_changes_what_a_stage_draws(go, tmp_path):
    _, _, (before, *_) = go(until='scored')
    _, said, (after, *_) = go(until='scored', **{'score.seed': 3})
    assert done(said) == ['scored'] and after.seeds[0] not in before.seeds
    _, said, _ = go(until='scored', **{'score.seed': 3})
    assert done(said) == []


def test_the_test_set_is_parsed_once(go, tmp_path, monkeypatch):
    "Its rows are counted where JSON is read: a row that no other file of the run repeats."
    rows = [dict(input=s.input, answer=s.answer) for s in read_test(TASK)[:40]]
    write_jsonl(tmp_path/'test.jsonl', rows)
    last, loads, seen = rows[-1]['input'], json.loads, []
    def counted(text, *a, **kw):
        caller = sys._getframe(1).f_globals['__name__']
        if last in str(text): seen.append(caller)
        return loads(text, *a, **kw)
    monkeypatch.setattr(json, 'loads', counted)
    s, said, _ = go(replace(TASK, test=str(tmp_path/'test.jsonl')))
    assert done(said) == STEPS and s['counts']['test'] == 30      # the last row is read, and not evaluated
    assert len(seen) == 1, seen


def test_the_engines_are_told_before_the_first_stage(go):
    _, said, _ = go(until='scored')
    names = [line.split()[0] for line in said]
    assert names.count('engines') == 1 and names.index('engines') < names.index('passages')
    _, said, _ = go(until='scored')
    assert not [line for line in said if line.startswith('engines')]        # nothing is left to do
