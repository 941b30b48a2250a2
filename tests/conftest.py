"What several tests share."
import sys
from pathlib import Path
import pytest
sys.path.insert(0, str(Path(__file__).parent))

@pytest.fixture
def cache(tmp_path): return tmp_path/'teacher.sqlite'

@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    "No test sees the key or the endpoint of whoever runs it."
    for name in 'OPENAI_API_KEY', 'OPENAI_BASE_URL': monkeypatch.delenv(name, raising=False)
