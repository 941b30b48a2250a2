"Install synthrl. Everything that can change stands in settings.ini; this only reads it."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']

def needs(key): return cfg[key].split() # a marker, as in vllm==1;sys_platform=="linux", has no space in it

def data_packages():
    "`data/` and each folder below it, as packages under `synthrl.data`, so that it ships inside the wheel."
    folders = [here/'data', *(p for p in (here/'data').rglob('*') if p.is_dir())]
    return {'.'.join(('synthrl', *p.relative_to(here).parts)): str(p.relative_to(here)) for p in folders}

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    author=cfg['author'], author_email=cfg['author_email'], license='Apache-2.0', url=cfg['git_url'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    python_requires=f">={cfg['min_python']}, <={cfg['max_python']}.99",
    packages=[*find_packages(include=['synthrl', 'synthrl.*']), *data_packages()],
    package_dir=data_packages(), package_data={p: ['*'] for p in data_packages()},
    install_requires=needs('requirements'), entry_points=dict(console_scripts=needs('console_scripts')),
    extras_require={x: needs(f'{x}_requirements') for x in ('train', 'dev')})
