"Every notebook runs from its first cell to its last: nbdev_test, as one test among the others."
import subprocess, sys
from pathlib import Path
import pytest

root = Path(__file__).parent.parent


@pytest.mark.timeout(1800)
def test_pages():
    tool = Path(sys.executable).with_name('nbdev_test')
    done = subprocess.run([tool, '--n_workers', '1', '--do_print', '--timing'], cwd=root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-6000:]
