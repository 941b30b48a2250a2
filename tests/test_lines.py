"How the code reads: ruff's three rules over every line, and how dense a hundred lines are."
import ast, json, re, subprocess, sys
from pathlib import Path
import pytest

root = Path(__file__).parent.parent
folders = ['synthrl', 'tests', 'nbs']
comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

def modules():
    return [p for p in (root/'synthrl').rglob('*.py') if p.name != '_modidx.py']

def lines_of(path):
    "The lines that say something."
    lines = [line.strip() for line in path.read_text(encoding='utf-8').split('\n')]
    return [line for line in lines if line and not line.startswith('#')]

def count(kinds, paths):
    trees = [ast.parse(p.read_text(encoding='utf-8')) for p in paths]
    return sum(isinstance(node, kinds) for tree in trees for node in ast.walk(tree))

def per_hundred(kinds):
    return 100*count(kinds, modules())/sum(len(lines_of(p)) for p in modules())

def test_ruff():
    ruff = Path(sys.executable).with_name('ruff')
    call = [ruff, 'check', '--output-format=concise', *folders]
    told = subprocess.run(call, cwd=root, text=True, capture_output=True)
    assert told.returncode == 0, told.stdout[-3000:]

def test_comprehensions():
    assert per_hundred(comprehensions) <= 5

def test_ternaries():
    assert per_hundred(ast.IfExp) <= 3

def own_lines():
    "The lines of all modules but for what nbdev writes itself: the list of names, the marks of cells."
    for p in modules():
        text = re.sub(r"^__all__ = \[.*?\]\n", '', p.read_text(encoding='utf-8'), flags=re.M | re.S)
        yield from text.split('\n')

def test_no_overlong_line():
    assert [line for line in own_lines() if len(line) > 110] == []

def test_few_long_lines():
    lines = list(own_lines())
    assert sum(len(line) > 100 for line in lines) <= .06*len(lines)

@pytest.mark.parametrize('path', modules(), ids=lambda p: str(p.relative_to(root/'synthrl')))
def test_module_length(path):
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 250

@pytest.mark.parametrize('path', sorted((root/'nbs').rglob('*.ipynb')), ids=lambda p: p.stem)
def test_notebook_length(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    assert sum(cell['cell_type'] == 'code' for cell in cells) <= 50
