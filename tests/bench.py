"""make bench: what the parts measure, as one table.

Each tests/bench_*.py has a bench() that gives (what, figure, bar) rows."""
import importlib, subprocess, sys, time
from pathlib import Path

here = Path(__file__).parent
sys.path.insert(0, str(here))

def seconds(code):
    "How long a fresh process takes for it."
    start = time.perf_counter()
    subprocess.run([sys.executable, '-c', code], check=True)
    return time.perf_counter() - start

def imports():
    "Seconds that `import synthrl` adds to a fresh process, the least of five of each."
    with_it, without = (min(seconds(code) for _ in range(5)) for code in ('import synthrl', 'pass'))
    return [('import synthrl, s', f'{with_it - without:.3f}', '≤ 0.5')]

def tables(wanted):
    "The title and the rows of each table, or of those that are wanted."
    if not wanted: yield 'import', imports()
    for path in sorted(here.glob('bench_*.py')):
        name = path.stem.removeprefix('bench_')
        if not wanted or name in wanted: yield path.stem, importlib.import_module(path.stem).bench()

def main():
    "All benchmarks, or those named on the command line: `bench.py teacher verify`."
    for title, rows in tables(sys.argv[1:]):
        print(f'\n{title}', flush=True)
        for what, figure, bar in rows: print(f'  {what:70} {str(figure):>14}   bar {bar}', flush=True)

if __name__ == '__main__': main()
