"Recipes, seeds, what is read once: whole runs without torch, by a student and a trainer that are made up."
import hashlib, json, sqlite3, sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
import pytest
import synthrl.run, synthrl.run.arms, synthrl.run.rounds
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
    def train(task, student, samples, settings, out, seed, say, curriculum='none', held=()):
        Path(out).mkdir(exist_ok=True)
        (Path(out)/'log.jsonl').write_text('')
        return dict(steps=1, seconds=0., seed=seed, log=[])

    for name in ('check_packages', 'check_hub', 'find_backend'):
        monkeypatch.setattr(synthrl.run, name, lambda *a: None)
    monkeypatch.setattr(synthrl.run.stages, 'train', train)

    def imitate(task, student, samples, sft, grpo, out, seed, say):
        imitated.append(samples)
        return train(task, student, samples, sft, out, seed, say)

    imitated = []
    monkeypatch.setattr(synthrl.run.baselines, 'imitate', imitate)

    def call(task=TASK, **more):
        said, students = [], []
        def load_student(model, *a, **kw):
            students.append(HalfRight(trained=str(model).endswith('/model')))
            return students[-1]
        monkeypatch.setattr(synthrl.run.stages, 'load_student', load_student)
        more = dict(preset='laptop', out=tmp_path/'out', say=said.append) | SMALL | more
        return run(task, **more), said, students
    call.imitated = imitated
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


@pytest.mark.parametrize('recipe', list(RECIPES))
def test_each_recipe_alone(go, recipe):
    s, said, _ = go(recipe=recipe, until='train')
    assert done(said) == [stage.name for stage in RECIPES[recipe].up_to('train')]
    assert s['counts']['train'] == 6 and s['trained'] is None


def test_answers_are_imitated(go, tmp_path):
    "SFT on human answers, then on the student's own right ones to the method's questions."
    s, said, _ = go(recipe='sft_human')
    assert done(said) == ['human', 'train', 'model', 'eval', 'figures'] and s['trained']['accuracy'] == 1
    shown, = go.imitated
    assert len(shown) == 6 and {x.origin for x in shown} == {'human'} and all(x.output for x in shown)
    s, said, _ = go(recipe='rft', **{'sft.answers': 1})
    made = done(said) # the made-up model is the same file, so its examination holds
    assert made[-5:] == ['heldout', 'train', 'right', 'model', 'figures']
    chosen, right = (read_samples(tmp_path/'out'/f'{name}.jsonl') for name in ('train', 'right'))
    assert [x.input for x in right] == [x.input for x in chosen] == [x.input for x in go.imitated[1]]
    assert [x.output for x in right] == [f'#### {x.answer}' for x in chosen]
    assert s['reports']['right'] == dict(right=dict(questions=6, answers=6))


def test_self_instruct_asks_without_passages_and_pattern(go, tmp_path):
    _, said, _ = go(recipe='self_instruct', until='initial')
    assert done(said) == ['initial'] and not (tmp_path/'out'/'passages.jsonl').exists()
    store = sqlite3.connect(tmp_path/'out'/'teacher.sqlite')
    asked = store.execute('select request from requests').fetchall()
    assert asked and not [body for body, in asked if '<passage' in body or '"pattern' in body]
    assert all(x.passage == '' for x in read_samples(tmp_path/'out'/'initial.jsonl'))


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


ARMS = dict(full={}, fast={'grpo.lr': 1e-3}, random=dict(recipe='random'))

@pytest.fixture
def compared(go, monkeypatch, tmp_path):
    "A comparison without engines: (the table, what it said, the students that were asked)."
    def call(arms=ARMS, seeds=(0, 1), stop=None, **more):
        said, students = [], []
        def one(task, **asked):
            if stop and (Path(asked['out']).parent.name, asked['seed']) == stop: raise KeyboardInterrupt
            lines = []
            summary, _, asked_students = go(task, **asked | dict(say=lines.append))
            said.append((Path(asked['out']).parent.name, asked['seed'], lines))
            students.extend(asked_students)
            return summary
        monkeypatch.setattr(synthrl.run.arms, 'run', one)
        table = synthrl.run.arms.compare(TASK, arms, seeds, tmp_path/'arms', say=lambda line: None, **more)
        return table, said, students
    return call


def made_by(said):
    "(arm, seed) → the stages that were made there, neither skipped nor taken over."
    return {(arm, seed): done(lines) for arm, seed, lines in said}


def test_arms_share_what_they_have_in_common(compared, tmp_path):
    "The first arm pays; the others take over what is alike, and with one seed see the same first samples."
    table, said, _ = compared()
    made = made_by(said)
    early = ['passages', 'initial', 'synth', 'scored', 'heldout']
    assert made['full', 0] == [*early, 'train', 'model', 'eval']
    assert made['random', 0] == made['random', 1] == ['scored', 'train', 'model']
    assert made['fast', 0] == made['fast', 1] == ['model'] # all made-up models are alike: one examination
    def bytes_of(arm, seed, name): return (tmp_path/'arms'/arm/f'seed-{seed}'/name).read_bytes()
    for name in ('initial.jsonl', 'synth.jsonl'):
        assert bytes_of('full', 0, name) == bytes_of('random', 0, name) != bytes_of('full', 1, name)
    assert bytes_of('full', 0, 'train.jsonl') != bytes_of('random', 0, 'train.jsonl')
    assert not list(tmp_path.glob('arms/*/*/teacher.sqlite')) and (tmp_path/'arms'/'teacher.sqlite').exists()
    assert table.seeds(*ARMS) == [0, 1]
    assert table.between('random', 'full').accuracy == 0 and not table.between('random', 'full').shown
    assert table.gain('full').shown and 'full and random' in (tmp_path/'arms'/'arms.txt').read_text()


def test_the_store_gives_every_arm_the_same_replies(compared, tmp_path):
    "Where nothing may be taken over, the replies of one seed still come from the store, unpaid."
    _, said, _ = compared(dict(full={}, few={'synthesis.extra': 2}), seeds=(0,))
    assert made_by(said)['few', 0][:3] == ['passages', 'initial', 'synth']
    summary = json.loads((tmp_path/'arms'/'few'/'seed-0'/'summary.json').read_text())
    both = [tmp_path/'arms'/arm/'seed-0'/'initial.jsonl' for arm in ('full', 'few')]
    assert both[0].read_bytes() == both[1].read_bytes()
    assert summary['teacher']['shared'] and summary['teacher']['cached'] > 0
    assert summary['reports']['initial']['attempts'] and 'few' in str(both[1])


def test_a_comparison_that_was_stopped_goes_on(compared, tmp_path):
    "Stopped before its fourth run: the three that are there are skipped, and nothing of them is made again."
    two = dict(full={}, fast=ARMS['fast'])
    with pytest.raises(KeyboardInterrupt): compared(two, stop=('fast', 1))
    first = (tmp_path/'arms'/'full'/'seed-1'/'eval.jsonl').stat().st_mtime_ns
    table, said, students = compared(two)
    assert list(made_by(said).values()) == [[], [], [], ['model']] and students == []
    assert (tmp_path/'arms'/'full'/'seed-1'/'eval.jsonl').stat().st_mtime_ns == first
    assert table.seeds('full', 'fast') == [0, 1] and table.failed == {}


def test_an_arm_that_fails_is_told(compared):
    table, _, _ = compared(dict(full={}, none={'plan.policy': 'nonsense'}), seeds=(0,))
    assert table.failed['none', 0].startswith('unknown policy') and 'nothing came of it' in repr(table)
    assert table.seeds('full') == [0] and table.row('none')[1] == '0'


def test_rounds(go, monkeypatch, tmp_path):
    "Each round begins with the model of the one before, asks new questions, and says what it brought."
    asked = []
    def one(task, **given):
        asked.append(dict(given))
        given.pop('student', None) # a model that knows all has nothing to learn
        return go(task, **given)[0]
    monkeypatch.setattr(synthrl.run.rounds, 'run', one)
    more = dict(preset='laptop', say=lambda line: None)
    found = synthrl.run.rounds.rounds(TASK, 2, tmp_path/'rounds', **more)
    assert [given.get('student') for given in asked] == [None, str(tmp_path/'rounds'/'round-1'/'model')]
    assert [given['seed'] for given in asked] == [0, 1000]
    first, second = found.gains
    assert first.shown and second.shown and found.whole.shown
    samples = [(tmp_path/'rounds'/f'round-{i}'/'initial.jsonl').read_bytes() for i in (1, 2)]
    assert samples[0] != samples[1] and 'all 2: ' in repr(found)
