"""Where a score comes from: planted pauses, ums and stretches, the worst first."""

from dataclasses import replace

from speech.analysis import Filler, LanguageIssue, Pause, Stretch
from speech.audio import RATE_HZ, Span
from speech.evidence import MOST, Material, evidence
from speech.scoring import Curve
from speech.words import Word
from tests.samples import samples

NOTHING = Material((), (), (), (), (), ())
CURVE = Curve(((60.0, 0.0), (140.0, 100.0), (190.0, 100.0), (290.0, 0.0)))


def stretch(at_s: float, rate_wpm: float | None) -> Stretch:
    return Stretch(samples(at_s), samples(at_s + 10), rate_wpm, None, None, None, None, None)


def test_stretches_come_worst_first_and_apart() -> None:
    rates = [150.0, 250.0, 245.0, 200.0, None, 80.0, 150.0]  # every 5 s, of 10 s
    found = evidence("speech_rate_wpm", CURVE, replace(NOTHING, stretches=[stretch(5 * i, rate) for i, rate in enumerate(rates)]))
    assert found == tuple(Span(samples(at_s), samples(at_s + 10)) for at_s in (25, 5, 15))


def test_what_is_best_is_no_evidence() -> None:
    assert evidence("speech_rate_wpm", CURVE, replace(NOTHING, stretches=[stretch(0, 150.0)])) == ()


def test_pauses_inside_clauses_come_longest_first_with_what_they_interrupt() -> None:
    pauses = [
        Pause(samples(10), samples(10.4), "silent", "within_clause"),
        Pause(samples(20), samples(21), "silent", "within_clause"),
        Pause(samples(30), samples(33), "silent", "between_clauses"),
        Pause(samples(40), samples(40.2), "silent", "within_clause"),
    ]
    found = evidence("pauses_within_clause_per_100_syl", CURVE, replace(NOTHING, pauses=pauses))
    assert found == (Span(samples(19), samples(22)), Span(samples(9), samples(11.4)))


def test_there_are_no_more_than_one_listens_to() -> None:
    fillers = [Filler("um", samples(3 * i), samples(3 * i + 0.3), "filled_pause", "recogniser") for i in range(9)]
    found = evidence("filled_pauses_per_100_words", CURVE, replace(NOTHING, fillers=fillers))
    assert len(found) == MOST
    assert found[0].start == 0  # not before the recording


def test_unclear_words_and_issues_are_shown_where_they_are() -> None:
    words = [Word("clear", 0, RATE_HZ, 0.9), Word("dim", 3 * RATE_HZ, 4 * RATE_HZ, 0.4), Word("dark", 6 * RATE_HZ, 7 * RATE_HZ, 0.1)]
    assert [span.start // RATE_HZ for span in evidence("unclear_words_per_100_words", CURVE, replace(NOTHING, words=words))] == [5, 2]
    issues = [LanguageIssue("hedge", "rule", "maybe", 5 * RATE_HZ, 6 * RATE_HZ, "reason", ())]
    assert evidence("hedges_per_100_words", CURVE, replace(NOTHING, issues=issues)) == (Span(4 * RATE_HZ, 7 * RATE_HZ),)
    assert evidence("grammar_issues_per_100_words", CURVE, replace(NOTHING, issues=issues)) == ()


def test_what_belongs_to_the_whole_has_no_place() -> None:
    assert evidence("mattr_50", CURVE, NOTHING) == ()
