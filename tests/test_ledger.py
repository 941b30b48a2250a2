"Many at the same file of replies, from its first moment on."

import os, subprocess, sys

opens = '''
import multiprocessing, sys
from synthrl.teacher.ledger import Ledger

fork = multiprocessing.get_context('fork')

def open_one(path, together):
    together.wait()
    Ledger(path).is_empty()

def open_many(path, n):
    together = fork.Barrier(n)
    children = [fork.Process(target=open_one, args=(path, together)) for _ in range(n)]
    for child in children: child.start()
    for child in children: child.join()
    return [child.exitcode for child in children]

for i in range(int(sys.argv[2])): print(open_many(f'{sys.argv[1]}/{i}.sqlite', 12))
'''


def test_processes_make_one_file_together(tmp_path):
    # SQLite refuses the switch to WAL at once, whatever its timeout, while another process makes the file
    done = subprocess.run([sys.executable, '-c', opens, str(tmp_path), '12'], capture_output=True, text=True)
    assert done.stdout == f'{[0] * 12}\n' * 12, done.stderr[-2000:]
    assert len([name for name in os.listdir(tmp_path) if name.endswith('.sqlite')]) == 12
