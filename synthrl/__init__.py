__version__ = "0.1.0"

# pages that moved into the rooms they serve, under the names that they had until 0.1
import importlib.abc, importlib.util, sys

_moved = dict(check='run.gold', equal='verify.algebra', folder='run.folder', ledger='teacher.ledger',
              panel='task.progress', plot='report.plot', refusal='teacher.refusal', reply='teacher.reply',
              send='teacher.send', turns='adapt.stones', wire='teacher.wire')

class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    "Finds a page under its old name; it is imported when somebody asks for it."
    def find_spec(self, name, path=None, target=None):
        room, _, old = name.partition('.')
        if room == __name__ and old in _moved: return importlib.util.spec_from_loader(name, self)

    def exec_module(self, module):
        old = module.__name__.partition('.')[2]
        page = importlib.import_module(f'{__name__}.{_moved[old]}')
        public = {k: v for k, v in vars(page).items() if not k.startswith('__')}
        vars(module).update(public)

sys.meta_path.append(_Moved())
