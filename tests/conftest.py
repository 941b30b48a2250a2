"What several tests share, and which of them may not run beside each other."
import os, sys
from pathlib import Path
import pytest
sys.path.insert(0, str(Path(__file__).parent))

# These start vLLM or train, in processes of their own. `make test` has two workers, and one of them gets all
# of these: there is never more than one engine at a time. The other one does the rest.
ENGINES = 'test_engines', 'test_run', 'test_teacher_vllm', 'test_train'

def pytest_xdist_make_scheduler(config, log):
    "One scope for the engines, one for each other test. (xdist's own groups do nothing under pytest 9.2.)"
    from xdist.scheduler import LoadScopeScheduling
    class Apart(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            if Path(nodeid.partition('::')[0]).stem in ENGINES: return 'engines'
            return nodeid
    return Apart(config, log)

def pytest_collection_modifyitems(items):
    "The pages go first: they are the longest, and else one worker would end with them."
    items.sort(key=lambda item: item.path.stem != 'test_pages')

@pytest.fixture(autouse=True, scope='session')
def one_thread():
    "Beside another worker an engine has one core; threads that wait for each other there cost much time."
    if 'PYTEST_XDIST_WORKER' in os.environ: os.environ.setdefault('OMP_NUM_THREADS', '1')

@pytest.fixture
def cache(tmp_path): return tmp_path/'teacher.sqlite'

@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    "No test sees the key or the endpoint of whoever runs it."
    for name in 'OPENAI_API_KEY', 'OPENAI_BASE_URL': monkeypatch.delenv(name, raising=False)
