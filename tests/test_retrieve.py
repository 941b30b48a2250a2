"""How well it ranks (public collections in ../shared/eval; skipped without them), and rank-bm25 beside it."""
import json, math, random, time
from pathlib import Path

import pytest

from synthrl.retrieve import BM25, Passage, build_library, open_library, passages_for, tokens

EVAL = Path(__file__).parent.parent.parent/'shared'/'eval'/'retrieval'
NAMES = ['vaswani_npl', 'pubmedqa_l']
needs_eval = pytest.mark.skipif(not EVAL.exists(), reason='../shared/eval/retrieval is not here')


def rows(path): return list(map(json.loads, path.open(encoding='utf-8')))


def collection(name):
    return [Passage(r['id'], r['title'], r['text']) for r in rows(EVAL/name/'corpus.jsonl')]


def bar(name):
    "What rank-bm25 reaches with words of a-z and digits."
    results = json.loads((EVAL/'bm25_baselines.json').read_text())['results']
    return results[name]['rank_bm25 BM25Okapi k1=1.5 b=0.75']['ndcg10']


def ndcg(relevant, hits, k=10):
    worth = [1 / math.log2(i + 2) for i in range(k)]
    gain = sum(w for w, hit in zip(worth, hits) if hit in relevant)
    return gain / sum(worth[:len(relevant)])


def mean_ndcg(library, name):
    relevant = {}
    for line in (EVAL/name/'qrels.tsv').read_text().splitlines()[1:]:
        query, doc, _ = line.split('\t')
        relevant.setdefault(query, set()).add(doc)
    reached = []
    for query in rows(EVAL/name/'queries.jsonl'):
        if query['id'] not in relevant: continue
        hits = [p.id for p in library.search(query['text'], 10)]
        reached.append(ndcg(relevant[query['id']], hits))
    return sum(reached) / len(reached)


@needs_eval
@pytest.mark.parametrize('name', NAMES)
def test_not_below_rank_bm25(name, tmp_path):
    passages = collection(name)
    assert round(mean_ndcg(BM25(passages), name), 4) >= bar(name)
    assert round(mean_ndcg(open_library(build_library(passages, tmp_path/'index')), name), 4) >= bar(name)


@needs_eval
def test_the_weights_are_lucenes(tmp_path):
    "On the collection where it matters: .352 with Lucene's weights, .3456 with rank-bm25's own."
    assert mean_ndcg(BM25(collection('vaswani_npl')), 'vaswani_npl') > .3515


def some_passages(rng, n=300):
    words = [f'w{i}' for i in range(60)]
    def text(): return ' '.join(rng.choices(words, weights=range(60, 0, -1), k=rng.randint(1, 30)))
    return words, [Passage(str(i), '', text()) for i in range(n)]


def rank_bm25(passages):
    "rank-bm25 over the same words, with Lucene's weights."
    from rank_bm25 import BM25Okapi
    class Lucene(BM25Okapi):
        def _calc_idf(self, df):
            n = self.corpus_size
            self.idf = {w: math.log(1 + (n - k + .5) / (k + .5)) for w, k in df.items()}
    return Lucene([tokens(f'{p.title} {p.text}', stored=True) for p in passages])


def scores(library, words):
    return library.engine.get_scores_from_ids(library.engine.get_tokens_ids(words)).tolist()


def test_scores_are_those_of_rank_bm25_to_the_last_bit(tmp_path):
    "In memory and on disk: ties, repeated words, unknown words and words in nearly every passage included."
    rng = random.Random(0)
    words, passages = some_passages(rng)
    passages += passages[:20]                   # ties
    theirs, memory = rank_bm25(passages), BM25(passages)
    disk = open_library(build_library(iter(passages), tmp_path/'index'))
    for _ in range(100):
        query = rng.choices(words + ['unknown'], k=rng.randint(1, 6))
        known = memory.known(query)
        assert scores(memory, known) == scores(disk, known) == theirs.get_scores(query).tolist()
        found = memory.search(query, 300)
        assert found == disk.search(query, 300) and all(p.score > 0 for p in found)
        drawn = passages_for(query, memory, 40, 10, seed=5, say=lambda _: None)
        assert drawn == passages_for(query, disk, 40, 10, seed=5, say=lambda _: None)


def test_a_killed_build_leaves_no_library(tmp_path):
    def breaks():
        yield Passage('a', '', 'one text')
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): build_library(breaks(), tmp_path/'index')
    assert not (tmp_path/'index').exists()
    build_library([Passage('a', '', 'one text')], tmp_path/'index')
    assert open_library(tmp_path/'index').search('text')[0].id == 'a'


# language: three passages, and for each a keyword as another form of a word in it
LANGUAGES = dict(
    greek=(
        ['Η θάλασσα είναι γαλάζια.', 'Το ψωμί ψήνεται στον φούρνο.', 'Ο γιατρός εξετάζει τον ασθενή.'],
        ['ΘΑΛΑΣΣΑ', 'φούρνο', 'ΑΣΘΕΝΗ']),
    russian=(
        ['Море было спокойно.', 'Хлеб пекут в печи.', 'Врач осматривает больного.'],
        ['МОРЕ', 'хлеб', 'Врач']),
    chinese=(['大海是蓝色的。', '面包在烤箱里烘烤。', '医生检查病人。'], ['大海', '烤箱', '病人']),
    one_sign=(['大海是蓝色的。', '面包在烤箱里烘烤。', '医生检查病人。'], ['海', '烤', '医']),
    japanese=(['海水浴は夏の楽しみです。', 'パンをオーブンで焼く。', '医者が患者を診る。'],
              ['海水', 'ﾊﾟﾝ', '患者']),
    korean=(['바다는 푸르다.', '빵은 오븐에서 굽는다.', '의사가 환자를 진찰한다.'], ['바다', '오븐', '환자']),
    thai=(['ทะเลเป็นสีฟ้า', 'ขนมปังอบในเตาอบ', 'หมอตรวจคนไข้'], ['ทะเล', 'ขนมปัง', 'คนไข้']),
    lao=(['ທະເລສີຟ້າ', 'ເຂົ້າຈີ່ອົບ', 'ທ່ານໝໍກວດຄົນເຈັບ'], ['ທະເລ', 'ເຂົ້າຈີ່', 'ຄົນເຈັບ']),
    khmer=(
        ['សមុទ្រពណ៌ខៀវ', 'នំប៉័ងដុតក្នុងឡ', 'វេជ្ជបណ្ឌិតពិនិត្យអ្នកជំងឺ'],
        ['សមុទ្រ', 'នំប៉័ង', 'អ្នកជំងឺ']),
    burmese=(
        ['ပင်လယ်သည်အပြာရောင်', 'ပေါင်မုန့်ဖုတ်သည်', 'ဆရာဝန်ကလူနာကိုစစ်ဆေးသည်'],
        ['ပင်လယ်', 'ပေါင်မုန့်', 'လူနာ']),
    arabic=(
        ['البحر أزرق.', 'الخبز يخبز في الفرن.', 'الطبيب يفحص المريض.'],
        ['البَحْر', 'الفُرن', 'المريـض']),
    hebrew=(['הים כחול', 'הלחם נאפה בתנור', 'הרופא בודק את החולה'], ['הַיָּם', 'בתנור', 'החולה']),
    hindi=(
        ['समुद्र नीला है।', 'रोटी तवे पर पकती है।', 'डॉक्टर मरीज़ की जाँच करता है।'],
        ['समुद्र', 'रोटी', 'मरीज\u093c']),
    tamil=(
        ['கடல் நீலமானது', 'ரொட்டி சுடப்படுகிறது', 'மருத்துவர் நோயாளியை பரிசோதிக்கிறார்'],
        ['கடல்', 'ரொட்டி', 'மருத்துவர்']),
    georgian=(['ზღვა ლურჯია', 'პური ცხვება', 'ექიმი სინჯავს ავადმყოფს'], ['ზღვა', 'პური', 'ექიმი']),
    armenian=(['Ծովը կապույտ է', 'Հացը թխվում է', 'Բժիշկը զննում է'], ['ԾՈՎԸ', 'հացը', 'բժիշկը']),
    amharic=(['ባሕሩ ሰማያዊ ነው', 'ዳቦ ይጋገራል', 'ሐኪም ይመረምራል'], ['ባሕሩ', 'ዳቦ', 'ሐኪም']),
    vietnamese=(
        ['Biển màu xanh.', 'Bánh mì nướng trong lò.', 'Bác sĩ khám bệnh nhân.'],
        ['BIỂN', 'ba\u0301nh', 'bệnh']),
    german=(
        ['Das Meer ist blau.', 'Brot wird in der Straße gebacken.', 'Ärzte sehen Kranke.'],
        ['MEER', 'STRASSE', 'a\u0308rzte']))


@pytest.mark.parametrize('name', LANGUAGES)
def test_every_language_is_searched(name, tmp_path):
    texts, keywords = LANGUAGES[name]
    passages = [Passage(str(i), '', t) for i, t in enumerate(texts)]
    for library in (BM25(passages), open_library(build_library(passages, tmp_path/'index'))):
        assert [library.search(k, 1)[0].id for k in keywords] == ['0', '1', '2']


def test_words_of_english_are_as_before():
    "A corpus without a letter beyond a-z has the words it had, so its figures stand."
    import re
    text = "Salt & pepper: 2.5 cents, isn't it? SNAKE_CASE e-mail\tx\ny"
    assert tokens(text) == tokens(text, stored=True) == re.findall('[a-z0-9]+', text.lower())


def test_keywords_that_do_not_occur():
    "Never the first passages, and never without a word."
    library = BM25([Passage(str(i), '', f'Das Meer ist blau, {i}.') for i in range(500)])
    for keywords in (['sea'], ['海'], ['—'], ['']):
        said = []
        found = passages_for(keywords, library, 20, say=said.append)
        assert library.search(keywords) == []
        assert len(found) == 20 and [p.id for p in found] != [str(i) for i in range(20)]
        assert found == passages_for(keywords, library, 20, say=said.append)
        assert len(said) == 2 and 'none of the keywords' in said[0] and '\n' not in said[0]


def test_passages_are_drawn_from_the_best():
    "Random ones of the pool, by seed, no text twice; never one that is worse than the pool's."
    passages = [Passage(str(i), '', 'bee ' * (1 + i % 7) + f'number {i}') for i in range(700)]
    library = BM25(passages)
    best = {p.id for p in library.search('bee', 100)}
    drawn = [[p.id for p in passages_for(['bee'], library, 30, 30, pool=100, seed=s)] for s in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(d)) == 60 and set(d) <= best for d in drawn)
    assert len(passages_for(['bee'], library, 60, 600)) == 660


def test_fewer_passages_than_samples_is_said():
    library, said = BM25([Passage(str(i), '', f'bee {i % 5}') for i in range(20)]), []
    found = passages_for(['bee'], library, 12, 12, say=said.append)
    assert sorted(p.text for p in found) == [f'bee {i}' for i in range(5)]
    assert said == ['passages: 5 different ones for 12 samples, so some serve several times']


HOSTILE = dict(
    marks='a' + '\u0316\u0301' * 50_000,
    sorted_marks='a' + '\u0301' * 50_000 + '\u0316' * 50_000,
    each='a\u0301' * 50_000,
    wide_marks='\U00011000' + '\U0001d165\U0001d16d' * 50_000,
    emoji='\U0001f388' * 100_000,
    han='海' * 100_000,
    thai='ก\u0e33' * 50_000,
    longest='\ufdfa' * 100_000,
    blanks='é' + ' ' * 100_000,
    lines='é' + '_' * 100_000,
    points='海' + '・' * 100_000,
    hindi='हि' * 50_000,
    joiners='\u200d' * 100_000,
    mixed='a海' * 50_000,
    jamo='\u1100\u1161\u11a8' * 33_000,
    capitals='İ' * 100_000,
    ascii='a_' * 50_000)


@pytest.mark.parametrize('name', HOSTILE)
def test_words_are_found_in_linear_time(name):
    def took(n):
        text, best = HOSTILE[name][:n], 9.
        for _ in range(3):
            start = time.process_time()
            tokens(text, stored=True)
            best = min(best, time.process_time() - start)
        return best
    took(1000)
    short, long = took(10_000), took(100_000)
    assert long < .5 and long < 15 * max(short, .002), (short, long)


def test_what_holds_a_rare_keyword_comes_first():
    "And a word that most passages hold is none, unless there is no other."
    passages = [Passage(str(i), '', f'the mill {i}' + ' wheel' * (i % 10 == 0)) for i in range(100)]
    library, said = BM25(passages), []
    found = [int(p.id) for p in passages_for(['the wheel'], library, 30, say=said.append)]
    assert all(i % 10 == 0 for i in found[:10]) and found[:10] != sorted(found[:10])
    assert len(set(found)) == 30
    assert said == ['passages: 10 of the 30 hold one of the rarer keywords, the others are drawn at random']
    assert len(passages_for(['the'], library, 30, 30, say=said.append)) == 60 and len(said) == 1


def test_pool_is_checked():
    from synthrl.task import UserError
    with pytest.raises(UserError, match='synthesis.pool = 0 — give 1 or more'):
        passages_for(['bee'], BM25([Passage('a', '', 'bee')]), 3, pool=0)
