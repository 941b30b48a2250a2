"Many at the same file of replies, from its first moment on."
import subprocess, sys, time
import pytest

opens = '''
import sys, time
from synthrl.teacher.ledger import Ledger
while time.time() < float(sys.argv[2]): pass
Ledger(sys.argv[1]).is_empty()
'''

def open_together(path, n):
    start = str(time.time() + .8)
    return [subprocess.Popen([sys.executable, '-c', opens, str(path), start], stderr=subprocess.PIPE, text=True)
            for _ in range(n)]

@pytest.mark.parametrize('attempt', range(6))
def test_processes_make_one_file_together(tmp_path, attempt):
    # SQLite refuses the switch to WAL at once, whatever its timeout, while another process makes the file
    told = [p.communicate()[1] for p in open_together(tmp_path/'teacher.sqlite', 12)]
    assert told == ['']*12
