"A student's name, and where its engines keep what they compile; no engine is started."
import os
import pytest
from synthrl.student import check_hub, engines
from synthrl.task import UserError


def test_a_name_that_is_known_to_be_missing_is_looked_up(monkeypatch):
    "The hub's cache remembers also what is not there: that is no model on this machine."
    import huggingface_hub
    from huggingface_hub.file_download import _CACHED_NO_EXIST
    asked = []
    class Hub:
        def auth_check(self, name):
            asked.append(name)
            raise OSError('there is none')
    monkeypatch.setattr(huggingface_hub, 'HfApi', Hub)
    for cached, looked_up in (('/a/config.json', []), (None, ['some/one']), (_CACHED_NO_EXIST, ['some/one'])):
        monkeypatch.setattr(huggingface_hub, 'try_to_load_from_cache', lambda *a: cached)
        asked.clear()
        try: check_hub('some/one')
        except UserError: pass
        assert asked == looked_up


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    "An environment without engines and without places for their caches; a CPU that can be exchanged."
    for name in ('TORCHINDUCTOR_CACHE_DIR', 'VLLM_CACHE_ROOT'):
        monkeypatch.setenv(name, '')     # so that what is set below is taken back
        monkeypatch.delenv(name)
    for name in engines._for_vllm: monkeypatch.setenv(name, os.environ.get(name, '1'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(engines, 'is_here', lambda package: False)
    def on(flags):
        (tmp_path/'cpuinfo').write_text(f'flags\t\t: {flags}\n')
        monkeypatch.setattr(engines, 'CPU_FILE', tmp_path/'cpuinfo')
        engines.import_engines()
        return os.environ.pop('TORCHINDUCTOR_CACHE_DIR'), os.environ.pop('VLLM_CACHE_ROOT')
    return on


def test_code_that_was_compiled_for_another_cpu_is_not_met(elsewhere):
    "torch does not look at the CPU when it takes code out of its cache, and samples nonsense with it."
    new, old = elsewhere('fpu avx2 avx512f'), elsewhere('fpu avx2')
    assert not set(new) & set(old) and elsewhere('fpu avx2') == old
    assert 'avx512f' in new[0] and elsewhere('fpu avx2 fma') != old


def test_a_place_that_the_user_chose_is_kept(elsewhere, monkeypatch):
    monkeypatch.setenv('TORCHINDUCTOR_CACHE_DIR', 'mine')
    torch, vllm = elsewhere('fpu avx2')
    assert torch == 'mine' and 'avx2' in vllm
