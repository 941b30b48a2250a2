"""Notebooks, modules and README tell the same story: clean → export → compare; each module has a notebook;
README is index.ipynb; and every link between them leads somewhere."""
import json, re, subprocess, sys
from pathlib import Path

root = Path(__file__).parent.parent
note = '<!-- written from nbs/index.ipynb by tests/notebooks_agree.py --write; edit the notebook -->'
TOP = {'__init__', '_modidx', '__main__', 'tiny.__init__'} # modules that need no notebook

def is_page(path):
    "Is it one of ours? Names that begin with a point or a line are nbdev's and Jupyter's."
    return not any(part.startswith(('.', '_')) for part in path.relative_to(root/'nbs').parts)

def pages(): return sorted(filter(is_page, (root/'nbs').rglob('*.ipynb')))

def sources(page):
    "(kind, text) of each cell."
    cells = json.loads(page.read_text(encoding='utf-8'))['cells']
    return [(c['cell_type'], ''.join(c['source'])) for c in cells]

def readme():
    "README.md as the index notebook gives it: prose, and code as fenced blocks; hidden cells left out."
    parts = [note]
    for kind, text in sources(root/'nbs/index.ipynb'):
        if re.match(r'#\|\s*hide', text): continue
        if kind == 'code': text = f'```python\n{text}\n```'
        parts.append(re.sub(r'\]\((?!https?:|#)', '](nbs/', text))     # links are relative to nbs/ there
    return '\n\n'.join(parts) + '\n'

def modules(): return sorted((root/'synthrl').rglob('*.py'))

def contents(): return {path: path.read_bytes() for path in [*pages(), *modules()]}

def stale():
    "Files that cleaning and exporting would change."
    before = contents()
    for tool in ('nbdev_clean', 'nbdev_export'):
        subprocess.run([Path(sys.executable).with_name(tool)], cwd=root, check=True)
    after = contents()
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    return sorted(str(path.relative_to(root)) for path in changed)

def orphans():
    "Modules that no notebook exports."
    exported = set()
    for page in pages():
        for kind, text in sources(page):
            if kind == 'code': exported.update(re.findall(r'^#\|\s*default_exp\s+(\S+)', text, re.M))
    names = {'.'.join(path.relative_to(root/'synthrl').with_suffix('').parts) for path in modules()}
    return sorted(names - exported - TOP)

def links(text):
    "The files that a text in Markdown links to or shows, without those that stand elsewhere on the web."
    targets = re.findall(r'\]\(([^)\s]+)\)', text)
    targets += re.findall(r'<(?:img|a)\b[^>]*?\b(?:src|href)="([^"]+)"', text)
    return [target.partition('#')[0] for target in targets if not re.match(r'\w+:|#', target)]

def broken():
    "Links of the notebooks and of README.md that lead nowhere, as (file, link)."
    texts = [(root/'README.md', readme())]
    for page in pages(): texts += [(page, text) for kind, text in sources(page) if kind == 'markdown']
    found = []
    for path, text in texts:
        found += [(path.relative_to(root), link) for link in links(text) if not (path.parent/link).exists()]
    return found

def machine_paths():
    "Stored outputs that name a folder of the machine they were made on, as (page, what it names)."
    homes = re.compile(r'site-packages|/(?:home|root|work|check|tmp|Users)/\w[^\s"\\\\]*')
    found = []
    for page in pages():
        for cell in json.loads(page.read_text(encoding='utf-8'))['cells']:
            outputs = json.dumps(cell.get('outputs', []))
            found += [(page.relative_to(root), place) for place in homes.findall(outputs)]
    return found

def check_links():
    "What `links` takes for one, and what not."
    for text, found in {'see [a](../b.ipynb#part)': ['../b.ipynb'], '![x](images/a.png)': ['images/a.png'],
                        '[a](https://x.org/b)': [], '[a](#part)': [], 'f(x)[0] (y)': [],
                        '<a href="b.ipynb"><img src="c.png"></a>': ['b.ipynb', 'c.png']}.items():
        assert links(text) == found, (text, links(text))

def main():
    check_links()
    if '--write' in sys.argv: (root/'README.md').write_text(readme(), encoding='utf-8')
    mend = 'run nbdev_clean and nbdev_export, and commit'
    wrong = [f'{path}: not what its notebook gives; {mend}' for path in stale()]
    wrong += [f'synthrl/{m}: no notebook exports it' for m in orphans()]
    wrong += [f'{path}: the link {link} leads nowhere' for path, link in broken()]
    wrong += [f'{path}: an output names {place}, which is of this machine' for path, place in machine_paths()]
    if (root/'README.md').read_text(encoding='utf-8') != readme():
        wrong.append('README.md: not what nbs/index.ipynb gives; run tests/notebooks_agree.py --write')
    for line in wrong: print(line, file=sys.stderr)
    sys.exit(bool(wrong))

if __name__ == '__main__': main()
