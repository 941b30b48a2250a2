"Unsloth and vLLM on any x86 processor: nothing is loaded that a processor may not understand."
import subprocess, sys
from importlib.util import find_spec
import pytest

# looked for, not imported: it is all about their import
missing = [p for p in ('unsloth', 'vllm') if not find_spec(p)]
pytestmark = pytest.mark.skipif(bool(missing), reason=f'{", ".join(missing)}: not installed')

# As on a processor without AVX512-BF16: whoever loads `vllm._C` for real gets the signal that it would send.
TRAP = '''
import os, signal, sys
class Trap:
    def find_spec(self, name, path=None, target=None):
        if name == "vllm._C": os.kill(os.getpid(), signal.SIGILL)
sys.meta_path.insert(0, Trap())
'''
OURS = '''
from synthrl.student import import_engines
import_engines()
print("alive", "unsloth" in sys.modules, "vllm._C" in sys.modules, "vllm._custom_ops" in sys.modules)
'''

def ended(code):
    return subprocess.run([sys.executable, '-c', TRAP + code], capture_output=True, text=True, timeout=600)

@pytest.mark.timeout(900)
def test_unsloth_on_its_own_meets_the_trap():
    "Else the next test shows nothing: to be dropped with the mend when Unsloth no longer loads it."
    assert ended('import unsloth').returncode == -4

@pytest.mark.timeout(900)
def test_engines_are_imported_on_a_cpu_without_avx512():
    end = ended(OURS)
    assert end.returncode == 0, end.stderr[-2000:]
    said = end.stdout.splitlines()[-1]                 # Unsloth greets first
    assert said.split() == ['alive', 'True', 'False', 'False']     # vLLM chooses its own kernels afterwards
