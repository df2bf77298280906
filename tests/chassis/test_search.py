"""The search finds the passage that answers, in any script, and is confident only where the documents answer."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chassis.errors import ConfigError
from chassis.search import Passage, Search
from chassis.search.passages import split
from chassis.search.ranking import BM25, Ranking
from chassis.search.search import INDEXED_LATER
from chassis.search.words import index_words, plain_words, trigrams

RETURNS = Passage("shop.md", ("Shop", "How do I return a parcel?"), ("Send it back.", "You have 30 days."))
HOURS = Passage("hours.md", ("Shop", "Opening hours"), ("We open at nine.", "Sundays we are closed.", "Ring the bell."))
BUDGET = Passage("预算.md", ("预算",), ("每日预算上限为一百元。", "超出后由人工处理。"))
PARKING = Passage("note.txt", (), ("Visitors park behind the house.",))
SEARCH = Search([RETURNS, HOURS, BUDGET, PARKING])


@pytest.mark.parametrize(("passages", "indexed"), [(1, False), (INDEXED_LATER, False), (INDEXED_LATER + 1, True)])
def test_only_many_passages_are_indexed_before_the_first_question(passages: int, *, indexed: bool) -> None:
    """A start does not wait for a small index, and a question does not wait for a large one."""
    search = Search([HOURS] * passages)

    assert ("_ranking" in vars(search)) is indexed
    assert search.find("opening hours", 1)[0].passage == HOURS
    assert "_ranking" in vars(search)


def test_questions_that_come_first_together_build_one_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that has just started may get many questions at once, each in a thread."""
    built: list[Ranking] = []

    def build(passages: Sequence[Passage], language: str) -> Ranking:
        time.sleep(0.05)  # long enough for all threads to find that there is no index
        built.append(Ranking(passages, language))
        return built[-1]

    monkeypatch.setattr("chassis.search.ranking.Ranking", build)
    search = Search([RETURNS, HOURS])

    with ThreadPoolExecutor(8) as threads:
        hits = list(threads.map(search.find, ["opening hours"] * 8, [1] * 8))

    assert [hit.passage for [hit] in hits] == [HOURS] * 8
    assert len(built) == 1


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("Hindi", "हिन्दी में प्रश्न", ["हिन्दी", "में", "प्रश्न"]),
        ("Tamil", "தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("Bengali", "বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("Arabic", "اللُّغَةُ العَرَبِيَّة", ["اللُّغَةُ", "العَرَبِيَّة"]),
        ("Hebrew", "שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("Vietnamese, decomposed", "tie\u0302\u0301ng Vie\u0323\u0302t", ["tiếng", "việt"]),
        ("English", "Don't PANIC, e-mail #42!", ["don", "t", "panic", "e", "mail", "42"]),
    ],
)
def test_marks_stay_with_their_letter(language: str, text: str, words: list[str]) -> None:
    """A vowel sign is part of its word in every script that writes vowels as marks."""
    assert plain_words(text) == words, language


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("co\u00adoperate", "cooperate"),  # a soft hyphen
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645",
        ),  # Persian, with a joiner
        ("\u0643\u0640\u0640\u062a\u0627\u0628", "\u0643\u062a\u0627\u0628"),  # Arabic, lengthened
        ("\u0130stanbul", "istanbul"),
        ("\ufb01le \u2764\ufe0f", "file"),  # a ligature, and an emoji with its color
        ("cafe\u0301", "caf\u00e9"),
        ("\ufeffwo\u2060rd", "word"),
        ("\u1112\u1161\u11ab", "\ud55c"),  # Korean, decomposed
        ("na\u200bme", "na me"),  # a space without width is a space
    ],
)
def test_one_word_in_two_spellings_is_one_word(written: str, asked: str) -> None:
    """What a reader does not see does not divide or change a word."""
    assert plain_words(written) == plain_words(asked)


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("Thai", "ที่นี่", ["ที่", "นี่", "ที่นี่"]),
        ("Khmer", "ខ្មែរ", ["ខ្", "មែ", "រ", "ខ្មែ", "មែរ"]),
        ("Chinese", "北京", ["北", "京", "北京"]),
        ("Japanese and Latin", "RAGの", ["rag", "の"]),
    ],
)
def test_scripts_without_spaces_are_found_by_pairs_of_characters(language: str, text: str, terms: list[str]) -> None:
    """A mark belongs to the character before it there too."""
    assert sorted(index_words(text, "english")) == sorted(terms), language


def test_words_are_stemmed_and_have_trigrams() -> None:
    """The stemmer is that of the language."""
    assert index_words("returning parcels", "english") == ["return", "parcel"]
    assert index_words("die Häuser", "german") == ["die", "haus"]
    assert trigrams("Parcels, me") == [" pa", "par", "arc", "rce", "cel", "els", "ls ", " me", "me "]
    assert trigrams("预算上") == ["预算", "算上"]


def test_an_unknown_language_stops_the_start() -> None:
    """The error lists the known ones."""
    with pytest.raises(
        ConfigError, match=r"LANGUAGE: 'klingon' is not a language with a stemmer\. Use one of .*english"
    ):
        Search([RETURNS], language="klingon")


@pytest.mark.parametrize("method", ["magic", "", "Hybrid", None, 1])
def test_an_unknown_method(method: Any) -> None:
    """It is refused, instead of searching by words."""
    with pytest.raises(ConfigError, match=r"METHOD: .* is not a search method\. Use one of lexical, hybrid"):
        Search([RETURNS], method=method)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How can I return my parcels?", RETURNS),
        ("are you OPEN on sunday", HOURS),
        ("每日上限是多少", BUDGET),
        ("预算", BUDGET),
        ("Where do visitors park?", PARKING),
        ("visitor parkng", PARKING),
    ],
)
def test_the_passage_that_answers_comes_first(question: str, expected: Passage) -> None:
    """Regardless of case, word endings, misspellings and scripts without spaces."""
    assert SEARCH.find(question, limit=1)[0].passage == expected


@pytest.mark.parametrize("question", ["", "?!", "*", '"', "…", "xq", "zzz qqq", "北京", "\x00"])
def test_nothing_is_found_if_nothing_matches(question: str) -> None:
    """Punctuation, unknown words and unknown scripts match no passage."""
    assert SEARCH.find(question, limit=3) == []


def test_a_heading_counts_more_than_the_text_below_others() -> None:
    """The same word in a long passage says less."""
    mention = Passage("a.md", ("Delivery",), ("We deliver daily, and a refund is described elsewhere in detail.",))
    page = Passage("b.md", ("Refund",), ("Send us the form, and we pay within a week.",))

    assert [hit.passage for hit in Search([mention, page]).find("refund", limit=2)] == [page, mention]


def test_confidence_is_high_only_for_what_the_documents_answer() -> None:
    """It is almost 1 for a question in the words of a heading, and low for one that shares only common words."""
    answered = SEARCH.find("How do I return a parcel?", limit=1)[0].confidence
    unanswered = [hit.confidence for hit in SEARCH.find("How do I bake a chocolate cake?", limit=1)]

    assert 0.9 < answered <= 1
    assert max(unanswered, default=0) < 0.75


def test_two_documents_that_fit_equally_lower_the_confidence() -> None:
    """Either may be the wrong one; passages of one document are no rivals."""
    twin = Passage("copy.md", RETURNS.headings, RETURNS.sentences)
    same = Passage("shop.md", RETURNS.headings, RETURNS.sentences)
    question = "How do I return a parcel?"

    assert Search([RETURNS, twin, HOURS, PARKING]).find(question, limit=1)[0].confidence < 0.2
    assert Search([RETURNS, same, HOURS, PARKING]).find(question, limit=1)[0].confidence > 0.8


@pytest.mark.parametrize(
    ("question", "share"),
    [
        ("return parcel", 1.0),  # in the heading, not in the text
        ("Send it back", 1.0),
        ("returned parcels", 1.0),  # other forms
        ("opening parcel", 0.66),  # the first is on another page, and the second in no text, so it counts more
        ("closed sundays", 0.0),
    ],
)
def test_coverage_is_the_share_of_words_that_a_passage_has(question: str, share: float) -> None:
    """Words that few passages have count more; those of its headings count too."""
    ranking = Ranking(SEARCH.passages, "english")

    assert ranking.coverage(question, 0) == pytest.approx(share, abs=0.02)


def test_a_word_that_no_passage_has_lowers_the_confidence() -> None:
    """The page is about the right thing and lacks what was asked for."""
    known, unknown = (SEARCH.find(f"return a parcel {word}", 1)[0] for word in ("back", "zzqxj"))

    assert known.passage == unknown.passage == RETURNS
    assert unknown.confidence < known.confidence - 0.05


def test_no_more_passages_than_the_limit_are_found() -> None:
    """The best come first."""
    hits = SEARCH.find("When can I return a parcel, and when do you open?", limit=2)

    assert [hit.passage for hit in hits] == [RETURNS, HOURS]
    assert hits[0].confidence >= hits[1].confidence


def test_an_excerpt_follows_a_heading_that_asks_the_question() -> None:
    """They are the first two sentences below it."""
    assert SEARCH.excerpt("Opening hours?", HOURS) == "We open at nine.\nSundays we are closed."


def test_an_excerpt_is_the_two_sentences_that_cover_most() -> None:
    """The words of the heading do not count."""
    assert SEARCH.excerpt("Are the opening hours the same, must I ring the bell on Sundays?", HOURS) == (
        "Sundays we are closed.\nRing the bell."
    )
    assert SEARCH.excerpt("Where do visitors park?", PARKING) == "Visitors park behind the house."


def test_an_excerpt_of_a_table_names_its_columns() -> None:
    """A row alone does not say what its cells are."""
    table = """# Plans\n\nChoose by size.\n
| Plan | Price | Users |
| :--- | ---: | --- |
| Solo | $9 | 1 |
| Team | $49 | 25 |
| Enterprise | $199 | unlimited |\n\nPrices are per month.\n"""
    [plans] = split("plans.md", table)
    search = Search([plans])

    assert search.excerpt("Which plan is unlimited? Enterprise?", plans) == (
        "| Plan | Price | Users |\n| Team | $49 | 25 |\n| Enterprise | $199 | unlimited |"
    )
    assert search.excerpt("Is Solo $9?", plans) == "| Plan | Price | Users |\n| Solo | $9 | 1 |"
    assert search.excerpt("What do I choose by size?", plans).splitlines() == [
        "Choose by size.",
        "| Plan | Price | Users |",
    ]


def test_threads_may_share_a_search() -> None:
    """The baseline runs in worker threads, several at a time; nothing is locked because nothing changes."""

    def best(question: str) -> Passage:
        return SEARCH.find(question, limit=1)[0].passage

    with ThreadPoolExecutor(8) as threads:
        passages = list(threads.map(best, ["return a parcel", "opening hours"] * 100))

    assert passages == [RETURNS, HOURS] * 100
    assert not [name for name, value in vars(SEARCH).items() if "lock" in type(value).__name__.lower()]


def test_bm25_is_the_formula() -> None:
    """One text of three contains the term, twice among four terms, and texts have three terms on average."""
    index = BM25([["a", "a", "b", "c"], ["b", "c", "d"], ["d", "e"]])
    idf = 0.980829253011726  # ln(1 + (3 - 1 + 0.5) / (1 + 0.5))

    assert index.scores(["a", "unknown"]).tolist() == pytest.approx([idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3)), 0, 0])
    assert index.weight(["a", "d", "a"]) == pytest.approx(idf + 0.470003629245736)
    assert index.weight(["unknown"]) == pytest.approx(2.079441541679836)  # ln(1 + (3 + 0.5) / 0.5)
    assert BM25([]).scores(["a"]).tolist() == []
    assert Search([]).find("anything", limit=1) == []


@pytest.mark.parametrize("fillers", [1, 5, 20])
def test_a_page_without_headings_is_found_among_pages_with_them(fillers: int) -> None:
    """Its text says what is asked; the headings of the others resemble the question, and their texts do not."""
    note = Passage("note.txt", (), ("The invoice is sent by email on the first of each month.",))
    others = [
        Passage(f"{number}.md", ("Billing", f"When the order {number} is sent"), ("It depends on the carrier.",))
        for number in range(fillers)
    ]

    for question in ("When is the invoice sent by email?", "Is an invoice sent each month?"):
        assert Search([*others, note]).find(question, limit=1)[0].passage == note
