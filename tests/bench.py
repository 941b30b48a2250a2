"make bench: what the parts measure, as one table. Each tests/bench_*.py has a bench() that gives (what, figure, bar) rows."
import importlib, sys, time
from pathlib import Path

here = Path(__file__).parent
sys.path.insert(0, str(here))

def imports():
    "Seconds that `import synthrl` takes in a fresh process, the least of five."
    import subprocess
    def once():
        start = time.perf_counter(); subprocess.run([sys.executable, '-c', 'import synthrl'], check=True)
        with_it = time.perf_counter() - start
        start = time.perf_counter(); subprocess.run([sys.executable, '-c', 'pass'], check=True)
        return with_it - (time.perf_counter() - start)
    return [('import synthrl, s', f'{min(once() for _ in range(5)):.3f}', '≤ 0.5')]

def main():
    "All benchmarks, or those named on the command line: `bench.py teacher verify`."
    wanted = sys.argv[1:]
    names = [p.stem for p in sorted(here.glob('bench_*.py')) if not wanted or p.stem.removeprefix('bench_') in wanted]
    for title, rows in [('import', imports)] * (not wanted) + [(n, importlib.import_module(n).bench) for n in names]:
        print(f'\n{title}', flush=True)
        for what, figure, bar in rows(): print(f'  {what:70} {str(figure):>14}   bar {bar}', flush=True)

if __name__ == '__main__': main()
