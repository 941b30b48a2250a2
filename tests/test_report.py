"The page a run ends with: whole at every stage, in words, without a network, on a telephone, at night."
import html, json, re, shutil, subprocess
from html.parser import HTMLParser
import pytest
from synthrl.report import pictures as pictures_page, write_report
from synthrl.run import Run, choose, make_figures, run
from synthrl.task import Task

ORDER = 'passages initial synth scored heldout train model eval'.split()
QUESTION = 'Ann has {} pears and buys {} more. How many pears are there in all?'


def sample(i, **more):
    answer = str(2*i + 3)
    own = dict(id=f's{i}', input=QUESTION.format(i, i + 3), output=f'#### {answer}', answer=answer)
    return own | dict(origin='generate', passage='p1', agreement=.5 + i % 5/10, votes=16) | more

def adapted(i):
    return sample(i, id=f'h{i}', origin='harder', parent=f's{i}', input='Harder: ' + QUESTION.format(i, 7))

def rated(s, i): return s | dict(pass_rate=i % 9/8, rollouts=8)

def examined(i):
    "A test question with both models' answers: base right on 1 of 8, trained on 7 of 8."
    total, verdict = str(2*i + 2), lambda right: ['correct' if right else 'wrong']
    base = dict(answers=['It is 3.'], verdicts=verdict(i % 8 == 0), finished=[True])
    worked_out = f'{i} + {i + 2} = {total}\n#### {total}'
    trained = dict(answers=[worked_out], verdicts=verdict(i % 8 != 1), finished=[True])
    asked = dict(id=f't{i}', input=QUESTION.format(i, 2), label=total, temperature=0.)
    return asked | dict(base=base, trained=trained)

SAMPLES = [sample(i) for i in range(24)]
ALL = SAMPLES + [adapted(i) for i in range(12)]
ROWS = dict(
    passages=[dict(id='p1', title='Orchards', text='Pears.')], initial=SAMPLES, synth=ALL,
    scored=[rated(s, i) for i, s in enumerate(ALL)], heldout=[rated(sample(i + 50), i) for i in range(9)],
    train=[rated(s, 3) for s in SAMPLES[:8]], eval=[examined(i) for i in range(40)])
LOG = [dict(step=i, reward=.4 + i/100, zero_variance=.1, truncated=0., logprob_gap=.001) for i in range(1, 9)]

def lines(rows): return ''.join(json.dumps(r) + '\n' for r in rows)

def summary(until):
    done = ORDER[:ORDER.index(until) + 1]
    became = dict(attempts=340, low_agreement=38, contaminated=2, unusable=1, brand_new_reason=4, accepted=24,
                  each_one=[dict(some_prompt='x', new_reason='y')])
    alike = dict(words=[9., 12., 14., 15., 16.], similarity=[], agreement=[.5, .6, .7, .8, .9])
    rewritten = dict(attempts=dict(solved=3, harder=12), origins=dict(generate=24, harder=12))
    s = dict(
        task='sums', preset='laptop', seed=0, student='tiny', stale=[],
        base=None, trained=None, difference=None,
        counts=dict(initial=24, adapted=12 if 'synth' in done else 0, scored=0, train=0, test=40),
        teacher=dict(model='tiny', calls=300, prompt_tokens=1000, completion_tokens=900, usd=0., cached=2,
                     failed=0, agreement=.7, without_reply=dict(calls=2, usd_at_most=.1)),
        grpo=dict(steps=8, reward_first=.41, zero_variance=.1, logprob_gap=None),
        seconds={k: 1.5 for k in done},
        reports=dict(passages={}, initial=dict(attempts=became, diversity=alike), synth=rewritten),
        versions={'python': '3.11', 'rank-bm25': '0.2.2'})
    return s | EXAM if until == 'eval' else s

EXAM = dict(base=dict(accuracy=.125, ci=[.05, .27], k=1), trained=dict(accuracy=.875, ci=[.73, .95], k=1),
            difference=dict(accuracy=.75, ci=[.55, .85], p=1e-7, won=31, lost=1))
SETTINGS = dict(task='sums', preset='laptop', seed=0, plan=dict(student='tiny', heldout=9, save_nothing=True),
                synthesis=dict(n=24, min_agreement=.5), score=dict(n=8, temperature=.7),
                grpo=dict(steps=8, kl=0.), evaluate=dict(k=1, temperature=.7))

def folder(path, until='eval', **changes):
    "A run's folder as it is after a stage, made without any engine."
    path.mkdir(parents=True)
    for stage in ORDER[:ORDER.index(until) + 1]:
        if stage != 'model': (path/f'{stage}.jsonl').write_text(lines(ROWS[stage]))
        else:
            (path/'model').mkdir()
            (path/'model'/'log.jsonl').write_text(lines(LOG))
    (path/'settings.json').write_text(json.dumps(SETTINGS))
    (path/'summary.json').write_text(json.dumps(summary(until) | changes))
    return path

def page_of(path): return write_report(path).read_text(encoding='utf-8')


class Page(HTMLParser):
    "Tags with their attributes, and the text that a reader sees (not code, not style)."
    def __init__(self, text):
        super().__init__()
        self.tags, self.seen, self.inside = [], [], []
        self.feed(text)
        self.text = ' '.join(self.seen)
    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ('meta', 'img', 'br'): self.inside.append(tag)
    def handle_endtag(self, tag):
        if tag in self.inside: del self.inside[len(self.inside) - 1 - self.inside[::-1].index(tag):]
    def handle_data(self, data):
        if not {'code', 'style', 'title'} & set(self.inside): self.seen.append(data)
    def all(self, tag): return [a for t, a in self.tags if t == tag]

def pictures(text):
    "The names of the pictures on a page."
    titles = dict(accuracy='Accuracy on', pass_rates='How often', training='Training:',
                  agreement='How many of the votes', lengths='How long')
    told = [a['aria-label'] for a in Page(text).all('div') if a.get('role') == 'img']
    return {name for name, start in titles.items() if any(t.startswith(start) for t in told)}


early = {'agreement', 'lengths'}
rates = early | {'pass_rates'}
trained = rates | {'training'}
@pytest.mark.parametrize('until, drawn', [
    ('passages', set()), ('initial', early), ('synth', early), ('scored', rates), ('heldout', rates),
    ('train', rates), ('model', trained), ('eval', trained | {'accuracy'})])
def test_what_there_is_is_drawn(tmp_path, until, drawn):
    text = page_of(folder(tmp_path/'run', until))
    assert pictures(text) == drawn and text.count('<svg') == len(drawn) == text.count('<figcaption>')
    job = Run(tmp_path/'run', Task.load('word_problems'), choose('laptop'), say=lambda line: None)
    make_figures(job)
    assert {p.stem for p in (tmp_path/'run'/'figures').iterdir()} == drawn

def test_a_run_that_stops_early_has_its_pictures(tmp_path):
    quiet = dict(say=lambda line: None)
    run('word_problems', preset='laptop', out=tmp_path/'run', until='initial', **quiet, **{'synthesis.n': 6})
    assert pictures((tmp_path/'run'/'report.html').read_text()) == early

def test_pass_rates_stand_for_every_group(tmp_path):
    text = page_of(folder(tmp_path/'run', 'train'))
    for group in ('initial', 'with the adapted', 'chosen', 'human'): assert f'>{group}</text>' in text
    assert '>n = 36, mean 0.50</text>' in text
    scored = page_of(folder(tmp_path/'early', 'scored'))
    assert '>with the adapted</text>' in scored and '>chosen</text>' not in scored
    assert 'accuracy' not in Page(scored).text                     # there is none to compare with

def test_chains_of_turns_are_called_what_they_are(tmp_path):
    path = folder(tmp_path/'run', 'train')
    for name in ('synth', 'scored', 'train'):
        turned = [r | dict(origin=f'turn {i % 3 + 1}') for i, r in enumerate(ROWS[name])]
        (path/f'{name}.jsonl').write_text(lines(turned))
    text = page_of(path)
    assert '>scored</text>' in text and '>chosen</text>' in text
    assert '>written, median' in text and 'adapted</text>' not in text and '>initial</text>' not in text

def test_stale_files_are_not_drawn(tmp_path):
    text = page_of(folder(tmp_path/'run', stale=['train', 'model', 'eval']))
    assert pictures(text) == early | {'pass_rates'} and '>chosen</text>' not in text and '87.5' not in text
    assert 'choice of what to train on, training, evaluation' in Page(text).text
    drawn_anew = page_of(folder(tmp_path/'figures', stale=['figures']))
    assert len(pictures(drawn_anew)) == 5 and 'not shown' not in drawn_anew


def test_each_file_is_read_once(tmp_path, monkeypatch):
    read, real = [], pictures_page.read_jsonl
    def noted(path):
        read.append(path.name)
        return real(path)
    monkeypatch.setattr(pictures_page, 'read_jsonl', noted)
    assert len(pictures(page_of(folder(tmp_path/'run')))) == 5
    assert sorted(read) == sorted(f'{stage}.jsonl' for stage in ROWS if stage != 'initial')


def test_it_is_one_file_for_every_screen(tmp_path):
    text = page_of(folder(tmp_path/'run'))
    page = Page(text)
    assert dict(name='viewport', content='width=device-width, initial-scale=1') in page.all('meta')
    assert dict(charset='utf-8') in page.all('meta')
    assert text.startswith('<!doctype html>') and 'lang="en"' in text
    assert '@media (prefers-color-scheme: dark)' in text and 'color-scheme: light dark' in text
    assert not re.search(r'https?:|//\w', text)
    assert not {t for t, _ in page.tags} & {'script', 'link', 'iframe', 'img', 'object'}
    targets = [v for _, a in page.tags for k, v in a.items() if k in ('href', 'src', 'xlink:href')]
    assert all(v.startswith('#') for v in targets)
    assert all(u.startswith('#') for u in re.findall(r'url\(([^)]*)\)', text))

def test_it_can_be_read_without_eyes(tmp_path):
    page = Page(page_of(folder(tmp_path/'run')))
    told = [a['aria-label'] for a in page.all('div') if a.get('role') == 'img']
    assert len(told) == 5 and any('8 steps' in t for t in told)
    assert any('base 12.5%' in t and 'trained 87.5%' in t for t in told)
    headings = [int(t[1]) for t, _ in page.tags if re.fullmatch('h[1-6]', t)]
    assert headings.count(1) == 1 and headings[0] == 1
    assert all(b <= a + 1 for a, b in zip(headings, headings[1:]))
    frames = [a for a in page.all('div') if a.get('class') == 'wide']
    assert len(frames) == len(page.all('table')) > 5
    assert all(a['tabindex'] == '0' and a['role'] == 'region' and a['aria-label'] for a in frames)
    assert all(a.get('scope') == 'col' for a in page.all('th')) and len(page.all('main')) == 1
    ids = [a['id'] for _, a in page.tags if 'id' in a]
    assert len(ids) == len(set(ids))

def test_no_raw_keys(tmp_path):
    "Neither those of today nor one that comes tomorrow; a setting's name stands as code beside its meaning."
    text = page_of(folder(tmp_path/'run'))
    seen = Page(text).text
    assert not re.findall(r'\b[a-z]+(?:_[a-z]+)+\b', seen) and not re.findall(r'\b[a-z]+\.[a-z]+\b', seen)
    said = ('too like a test question', 'too little agreement of the votes', 'brand new reason',
            'tokens sent', 'share of the readable votes that a majority needs', 'half of them 12 to 15')
    for words in said: assert words in seen, words
    assert '<code>synthesis.min_agreement</code>' in text

def test_every_setting_has_a_meaning(tmp_path):
    "The presets' settings, all of them: words beside each name."
    from dataclasses import asdict
    parts = {k: asdict(v) for k, v in choose('laptop').items()}
    path = folder(tmp_path/'run')
    (path/'settings.json').write_text(json.dumps(parts))
    rows = re.findall(r'>([^<]*) <code>([^<]*)</code>', page_of(path))
    assert len(rows) == sum(map(len, parts.values()))
    bare = [key for words, key in rows if words.strip() == key.rpartition('.')[2].replace('_', ' ')]
    assert set(bare) <= {'grpo.seed', 'plan.seed'}, bare


@pytest.mark.parametrize('strict, shown', [(True, 'lenient reading: 90.0 %'),
                                           (False, 'strict reading: 87.5 %')])
def test_both_readings(tmp_path, monkeypatch, strict, shown):
    "The tile names the reading that its large figure is not by."
    monkeypatch.setattr('synthrl.report.draw', lambda *args: {})
    shares = dict(strict=strict, accuracy_strict=.875, accuracy_lenient=.9)
    both = {k: EXAM[k] | shares for k in ('base', 'trained')}
    seen = Page(page_of(folder(tmp_path/'run', **both))).text
    assert shown in seen and seen.count(' reading: ') == 2
    assert ('Read strictly' if strict else 'Read leniently') in seen

@pytest.mark.parametrize('verdict', ['Training helped.', ['Training helped.'], dict(text='Training helped.')])
def test_what_the_run_says_of_itself(tmp_path, verdict):
    more = dict(verdict=verdict, warnings=['No more than 12 passages.', '<b>bold</b>'],
                stand_ins=['The teacher is a program.'])
    s = summary('eval')
    for who, share in (('base', .05), ('trained', .85)): more[who] = s[who] | dict(accuracy_strict=share)
    more['teacher'] = s['teacher'] | dict(refused=3)
    text = page_of(folder(tmp_path/'run', **more))
    seen = Page(text).text
    order = 'Training helped.', 'No more than 12', '87.5 %', 'The teacher is a program.'
    places = [text.index(t) for t in order]
    assert places == sorted(places)
    assert 'strict reading: 85.0 %' in seen and '3 prompts were refused' in seen and '<b>' not in text


def test_older_folders(tmp_path):
    "Summary and settings with next to nothing in them, and examinations that did not note their temperature."
    path = folder(tmp_path/'run')
    kept = {k: summary('eval')[k] for k in ('base', 'trained')}
    (path/'summary.json').write_text(json.dumps(kept))
    (path/'settings.json').write_text('{}')
    rows = [{k: v for k, v in r.items() if k not in ('id', 'temperature')} for r in ROWS['eval']]
    (path/'eval.jsonl').write_text(lines(rows))
    text = page_of(path)
    assert len(pictures(text)) == 5 and '87.5 %' in text and 'None' not in Page(text).text

@pytest.mark.parametrize('change', ['gone', 'empty'])
def test_no_key_is_needed(tmp_path, monkeypatch, change):
    monkeypatch.setattr('synthrl.report.draw', lambda *args: {})
    path, whole = folder(tmp_path/'run'), summary('eval')
    for key in whole:
        kept = {k: v for k, v in whole.items() if k != key}
        (path/'summary.json').write_text(json.dumps(kept if change == 'gone' else whole | {key: None}))
        assert 'None' not in Page(page_of(path)).text, key


NAMES = 'chromium', 'chromium-browser', 'google-chrome', 'chrome'
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ('--headless --no-sandbox --disable-gpu --disable-quic --no-first-run '
         '--disable-background-networking --disable-component-update --disable-sync').split()
missing = 'no browser is installed (apt-get install chromium): how the page looks was not tested'
with_browser = pytest.mark.skipif(not BROWSER, reason=missing)
MEASURE = '''
const measure = (frame, POINT) => {
  const page = frame.contentDocument
  const style = e => frame.contentWindow.getComputedStyle(e), box = e => e.getBoundingClientRect()
  const all = [...page.body.querySelectorAll('*')], isText = e => e.tagName == 'text'
  const texts = all.filter(e => e.children.length == 0 && e.textContent.trim() && box(e).width)
  const scrolls = e => style(e).overflowX != 'visible' && e.scrollWidth > e.clientWidth
  const hidden = e => e && (scrolls(e) || hidden(e.parentElement))
  const beyond = all.filter(e => !e.closest('.wide') && box(e).right > frame.clientWidth + 1)
  const point = all.find(e => isText(e) && e.textContent == POINT)
  return {
    width: page.documentElement.scrollWidth,
    tables: [...page.querySelectorAll('.wide')].map(e => e.scrollWidth - e.clientWidth),
    beyond: beyond.map(e => e.outerHTML.slice(0, 80)),
    point: point ? [box(point).left, box(point).right, !!hidden(point.parentElement)] : null,
    small: Math.min(...texts.map(e => isText(e) ? box(e).height : parseFloat(style(e).fontSize))),
    page: style(page.body).backgroundColor,
    inks: [...new Set(texts.map(e => isText(e) ? style(e).fill : style(e).color))],
    bars: [...new Set([...page.querySelectorAll('svg path')].map(e => style(e).fill))]}
}
onload = () => {
  const found = [...document.querySelectorAll('iframe')].map((frame, i) => measure(frame, POINTS[i]))
  document.body.textContent = '@@' + JSON.stringify(found) + '@@'
}'''

def frame(text, width):
    "A page with everything on it opened, in a frame so wide."
    source = html.escape(text.replace('<details>', '<details open>'))
    return f'<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{source}"></iframe>'

def look(tmp, shown, dark=False):
    "What a browser measures of pages: each is its text, how wide it is, and a number to look for on it."
    frames = ''.join(frame(text, width) for text, width, _ in shown)
    script = f'<script>const POINTS = {json.dumps([point for *_, point in shown])}\n{MEASURE}</script>'
    (tmp/'frame.html').write_text(f'<!doctype html><meta charset="utf-8">{frames}{script}', encoding='utf-8')
    own = [f'--user-data-dir={tmp/"browser"}', '--window-size=1400,1000', '--dump-dom',
           f'--blink-settings=preferredColorScheme={0 if dark else 1}', f'file://{tmp/"frame.html"}']
    r = subprocess.run([BROWSER, *FLAGS, *own], capture_output=True, text=True, timeout=120)
    found = re.search('@@(.*)@@', r.stdout, re.S)
    assert found, r.stderr[-2000:]
    return json.loads(html.unescape(found[1]))

def light(colour):
    "Relative luminance of a colour as CSS writes it (WCAG)."
    part = lambda v: v/12.92 if v <= .04045 else ((v + .055)/1.055)**2.4
    r, g, b = (part(int(v)/255) for v in re.findall(r'\d+', colour)[:3])
    return .2126*r + .7152*g + .0722*b

def contrast(a, b):
    low, high = sorted((light(a), light(b)))
    return (high + .05)/(low + .05)

@with_browser
@pytest.mark.parametrize('dark', [False, True])
def test_in_a_browser(tmp_path, dark):
    said = dict(verdict='Training helped.', warnings=['Mind the gap.'], stand_ins=['All is a program.'])
    text, widths = page_of(folder(tmp_path/'run', **said)), (320, 400, 1200)
    found = look(tmp_path, [(text, width, '87.5%') for width in widths], dark)
    for width, seen in zip(widths, found, strict=True):
        assert seen['width'] <= width and seen['beyond'] == []
        left, right, hidden = seen['point']                  # the trained model's number, in the picture
        assert 0 <= left < right <= width and not hidden
        assert max(seen['tables']) <= 0 and seen['small'] >= (10 if width < 400 else 11.5)
        assert (light(seen['page']) < .05) == dark
        assert all(contrast(ink, seen['page']) >= 4.5 for ink in seen['inks']), seen['inks']
        bars = [c for c in seen['bars'] if c.startswith('rgb(')]
        assert bars and any(contrast(c, seen['page']) >= 4.5 for c in bars)

@with_browser
def test_long_words_in_a_browser(tmp_path):
    "Text without a blank, deep names, markup in a reply: the page stays as wide as the screen."
    path = folder(tmp_path/'run', student='/home/someone/' + 'models'*60, warnings=['w'*500], task='t'*300)
    long = [s | dict(input='x'*900, answer='9'*200) for s in ROWS['scored']]
    (path/'scored.jsonl').write_text(lines(long))
    torn = dict(answers=['</pre></div><svg>' + 'y'*900], verdicts=['wrong'], finished=[False])
    (path/'eval.jsonl').write_text(lines([r | dict(base=torn, input='z'*900) for r in ROWS['eval']]))
    seen, = look(tmp_path, [(page_of(path), 400, '87.5%')])
    assert seen['width'] <= 400 and seen['beyond'] == [] and not seen['point'][2]

@with_browser
def test_accuracies_at_the_ends_stay_in_the_picture(tmp_path):
    "0 % and 100 %: the numbers at the edge of the axis are whole."
    path, pages = folder(tmp_path/'run'), []
    for shown, right in (('100.0%', 'correct'), ('0.0%', 'wrong')):
        verdicts = dict(base=['timed_out'], trained=[right])
        rows = [r | {who: r[who] | dict(verdicts=v) for who, v in verdicts.items()} for r in ROWS['eval']]
        (path/'eval.jsonl').write_text(lines(rows))
        pages.append((page_of(path), 400, shown))
    for seen in look(tmp_path, pages):
        left, end, hidden = seen['point']
        assert 0 <= left < end <= 400 and not hidden
