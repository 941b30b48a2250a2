"Notebooks, modules and README tell the same story: clean → export → compare; each module has a notebook; README is index.ipynb."
import json, re, subprocess, sys
from pathlib import Path

root = Path(__file__).parent.parent
nbs = [p for p in sorted((root/'nbs').rglob('*.ipynb')) if not any(x.startswith(('.', '_')) for x in p.relative_to(root/'nbs').parts)]

def sources(nb): return [(c['cell_type'], ''.join(c['source'])) for c in json.loads(nb.read_text(encoding='utf-8'))['cells']]

def readme():
    "README.md as the index notebook gives it: its prose, and its code cells as fenced blocks; hidden cells left out."
    parts = [text if kind == 'markdown' else f'```python\n{text}\n```' for kind, text in sources(root/'nbs/index.ipynb') if not re.match(r'#\|\s*hide', text)]
    parts = [re.sub(r'\]\((?!https?:|#)', '](nbs/', p) for p in parts]     # links are relative to nbs/ there
    note = '<!-- written from nbs/index.ipynb by tests/notebooks_agree.py --write; edit the notebook -->'
    return '\n\n'.join([note, *parts]) + '\n'

def files(): return {p: p.read_bytes() for p in [*nbs, *sorted((root/'synthrl').rglob('*.py'))]}

def stale():
    "Files that cleaning and exporting would change."
    before = files()
    for tool in ('nbdev_clean', 'nbdev_export'): subprocess.run([Path(sys.executable).with_name(tool)], cwd=root, check=True)
    after = files()
    return sorted({str(p.relative_to(root)) for p in before.keys() | after.keys() if before.get(p) != after.get(p)})

def orphans():
    "Modules that no notebook exports."
    made = {m for nb in nbs for kind, text in sources(nb) if kind == 'code' for m in re.findall(r'^#\|\s*default_exp\s+(\S+)', text, re.M)}
    names = {'.'.join(p.relative_to(root/'synthrl').with_suffix('').parts) for p in (root/'synthrl').rglob('*.py')}
    return sorted(names - made - {'__init__', '_modidx', '__main__', 'tiny.__init__'})

def main():
    if '--write' in sys.argv: (root/'README.md').write_text(readme(), encoding='utf-8')
    wrong = [f'{f}: not what its notebook gives; run nbdev_clean and nbdev_export, and commit' for f in stale()]
    wrong += [f'synthrl/{m}: no notebook exports it' for m in orphans()]
    if (root/'README.md').read_text(encoding='utf-8') != readme(): wrong.append('README.md: not what nbs/index.ipynb gives; run tests/notebooks_agree.py --write')
    for w in wrong: print(w, file=sys.stderr)
    sys.exit(bool(wrong))

if __name__ == '__main__': main()
