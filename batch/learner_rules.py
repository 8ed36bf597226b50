"""Grammar that learners of English often miss in speech, as rules over a parsed text.

Every rule is narrow on purpose: a correct sentence called wrong costs more trust than a wrong one missed. A rule reads the written forms
first and asks the tagger and parser only for what the forms cannot tell, because both were trained on correct English and bend errors
into it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spacy.tokens import Doc, Token

from batch import english_verbs as verbs


@dataclass(frozen=True, slots=True)
class Finding:
    """One error: the tokens first..last (inclusive) of the document, why, and what to say instead of them."""

    rule: str
    first: int
    last: int
    reason: str
    suggestions: tuple[str, ...]


Rule = Callable[[Doc], Iterator[Finding]]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BE = _set("am is are was were 'm 're 's ’m ’re ’s")
_HAVE = _set("have has had 've 'd ’ve ’d")
_NOMINATIVE = _set("i you he she it we they")
_PERSONS = _set("i you he she we they")
_OBJECTS = _set("me him us them")
_DETERMINERS = _set("a an the my your his her its our their this that these those some any no every each another one")
_POSSESSIVES = _set("my your his her its our their")
_CLAUSE_OPENERS = _set("that because when if but so and while although though since where as whether until before after , ; : . ? ! - –")
_TIME_NOUNS = _set("second minute hour day night week weekend month year summer winter spring autumn fall morning evening afternoon decade")
_WEEKDAYS = _set("monday tuesday wednesday thursday friday saturday sunday")
_MONTHS = _set("january february april june july august september october november december")
_ENDS = _set(". , ; : ? ! and but or so because when in on at for from to with by now here there today yesterday as that who which - –")
_SMALL_NUMBERS = _set("two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty")
_AMOUNTS = _set(
    "dollars euros pounds cents percent years months weeks days hours minutes seconds miles kilometers kilometres meters metres "
    "feet inches degrees kilos kilograms tons liters litres times points thousands hundreds millions"
)
_SINGULAR_IN_S = _set(
    "news physics mathematics maths economics politics athletics gymnastics linguistics statistics ethics electronics measles "
    "diabetes series species means headquarters crossroads works barracks gallows lens gas bus glass class business process success "
    "access address progress boss loss press kiss stress mess pass mass grass cross dress chess illness fitness wilderness witness "
    "happiness darkness kindness weakness aids thanks sports united states philippines netherlands analysis basis crisis thesis "
    "oasis emphasis tennis virus campus census focus bonus genius chaos canvas christmas texas paris mars jesus james corps"
)
_UNCOUNTABLE = {
    "informations": "information",
    "advices": "advice",
    "furnitures": "furniture",
    "equipments": "equipment",
    "homeworks": "homework",
    "luggages": "luggage",
    "baggages": "baggage",
    "knowledges": "knowledge",
    "softwares": "software",
    "hardwares": "hardware",
    "feedbacks": "feedback",
    "sceneries": "scenery",
    "machineries": "machinery",
    "jewelries": "jewelry",
    "stuffs": "stuff",
    "trafics": "traffic",
    "traffics": "traffic",
    "housework's": "housework",
    "houseworks": "housework",
    "progresses": "progress",
    "researches": "research",
    "evidences": "evidence",
    "garbages": "garbage",
    "staffs": "staff",
    "moneys": "money",
    "transports": "transport",
    "peoples": "people",
    "childrens": "children",
    "mens": "men",
    "womens": "women",
}
_ALSO_VERBS = _set("researches evidences progresses transports peoples staffs moneys")
_UNCOUNTABLE_NOUNS = frozenset(_UNCOUNTABLE.values()) - {"people", "children", "men", "women", "staff", "transport"}
_COLLECTIVES = _set(
    "family team staff group crowd crew audience government committee company band class club police public majority minority "
    "number lot couple pair rest half part variety range series species data media kind sort type class bunch handful dozen percent "
    "set press jury orchestra council parliament board party army navy community population generation youth management england "
    "france germany britain world"
)
_RELATIVES_AND_ROLES = _set(
    "brother sister mother father mom mum dad son daughter wife husband friend boss teacher neighbor neighbour uncle aunt cousin "
    "grandmother grandfather grandma grandpa girlfriend boyfriend manager colleague doctor student boy girl man woman child kid "
    "baby dog cat car train bus city country house company school program project problem teacher phone computer"
)
_PROFESSIONS = _set(
    "accountant actor actress architect artist assistant baker banker barber bricklayer builder businessman businesswoman butcher "
    "carpenter cashier chemist cleaner clerk coach consultant cook dancer dentist designer developer doctor driver economist "
    "electrician engineer farmer firefighter fisherman freelancer gardener guide hairdresser housewife interpreter journalist "
    "lawyer lecturer librarian mechanic musician nurse painter pharmacist photographer physicist pilot plumber policeman "
    "policewoman politician postman professor programmer psychologist receptionist reporter researcher salesman scientist secretary "
    "singer soldier student surgeon tailor teacher technician translator tutor vet waiter waitress worker writer"
)
_COUNTABLE = _set(
    "friend brother sister student teacher child kid book day week month hour problem country city language word dog cat car phone "
    "house room question idea person reason example mistake game song movie film picture place job meeting company product customer "
    "colleague project"
)
_THINGS_ONE_HAS = _set(
    "car house dog cat phone computer laptop question idea problem bicycle bike brother sister boyfriend girlfriend job camera "
    "umbrella ticket table chair bottle hotel room son daughter dream suggestion meeting appointment exam apple banana orange "
    "sandwich hamburger pizza cake cup bag pen pencil shirt jacket dress hat guitar movie film song letter email photo picture "
    "story mistake decision"
)
_PERSONS_ONE_SEES = _set(
    "girl boy man woman child student teacher friend dog cat problem car house shop restaurant hotel park bridge river tree"
)
_SUBJECTS_OF_STUDY = _set(
    "math maths mathematics physics chemistry biology history geography english french german spanish chinese japanese grammar "
    "sport sports football soccer tennis basketball chess cooking swimming singing dancing drawing painting writing reading "
    "speaking programming music science"
)


def _w(doc: Doc) -> list[str]:
    return [token.lower_.replace("’", "'") for token in doc]


def _at(words: list[str], i: int) -> str:
    return words[i] if 0 <= i < len(words) else "."


def _tag(doc: Doc, i: int) -> str:
    return doc[i].tag_ if 0 <= i < len(doc) else "."


def _opens_clause(words: list[str], i: int) -> bool:
    """Whether the token before i lets a clause begin at i."""
    return i == 0 or words[i - 1] in _CLAUSE_OPENERS


def _object_follows(doc: Doc, words: list[str], i: int) -> bool:
    return _at(words, i) in _DETERMINERS | _OBJECTS | {"you", "it", "her"} or _tag(doc, i) in ("NN", "NNS", "NNP", "JJ")


def _is_base(token: Token) -> bool:
    return token.tag_ in ("VB", "VBP") or token.lower_ in verbs.IRREGULAR


def _plain(token: Token) -> str:
    """The lower-case base form the lemmatizer sees in a verb; for irregular pasts the table, which does not depend on the tag."""
    return verbs.BASE_OF_PAST.get(token.lower_, str(token.lemma_).lower())


# ---- tense ---------------------------------------------------------------------------------------------------------------------------


def _past_times(doc: Doc, words: list[str]) -> Iterator[tuple[int, int]]:
    """First and last token of expressions that place the clause in a finished time."""
    for i, word in enumerate(words):
        if word == "yesterday" and _at(words, i + 1) not in ("'s", "is", "was"):
            last = i + 1 if _at(words, i + 1) in ("morning", "evening", "afternoon", "night") else i
            yield i, last
        elif word == "last" and _at(words, i + 1) in _TIME_NOUNS | _WEEKDAYS and _at(words, i + 2) not in ("'s", "is", "was", "of"):
            yield i, i + 1
        elif word == "ago" and i >= 2:
            first = i - 2
            while first > 0 and (words[first - 1] in ("a", "about", "few") or doc[first - 1].like_num):
                first -= 1
            yield first, i
        elif word == "in" and re.fullmatch(r"1[5-9]\d\d|20[01]\d", _at(words, i + 1)) and _at(words, i + 2) not in ("'s", "and", "-"):
            yield i, i + 1


_BLOCKS_TIME = _set(
    "since from until till than of about before by for to between the my 's like after every that was is remember remembers recall forget"
)


def _clause_verb(doc: Doc, first: int, last: int) -> Token | None:
    """The finite or bare verb whose clause the time expression belongs to, found by nearness and confirmed by the parse."""
    head = doc[last]
    while head.i >= first and head.i <= last and head.head.i != head.i:
        head = head.head
    if first <= head.i <= last:
        return None
    if head.dep_ in ("prep", "agent"):
        return None
    return head if head.pos_ in ("VERB", "AUX") else None


def _subject(verb: Token) -> Token | None:
    return next((child for child in verb.lefts if child.dep_ in ("nsubj", "expl")), None)


def tense_with_past_time(doc: Doc) -> Iterator[Finding]:
    """ "Yesterday I go", "he go to school yesterday", "I have seen him yesterday"."""
    words = _w(doc)
    for first, last in _past_times(doc, words):
        if _at(words, first - 1) in _BLOCKS_TIME:
            continue
        verb = _clause_verb(doc, first, last)
        if verb is None:
            continue
        year = words[first] == "in"
        will = next((c for c in verb.lefts if words[c.i] in ("will", "'ll") and c.tag_ == "MD"), None)
        if will is not None and not year and verb.tag_ == "VB" and _between_is_one_clause(doc, verb.i, first) and first > verb.i:
            reason = f"“{doc[first : last + 1].text}” is past, so “will” does not fit."
            yield Finding("tense_with_past_time", will.i, verb.i, reason, (verbs.past(_plain(verb)), f"would {verb.lower_}"))
            continue
        have = next(
            (c for c in verb.lefts if c.dep_ == "aux" and words[c.i] in ("have", "has", "'ve", "'s") and c.tag_ in ("VBP", "VBZ", "VB")),
            None,
        )
        subject = _subject(verb)
        if have is not None and verb.tag_ in ("VBN", "VBD") and words[have.i] != "'s" and subject is not None:
            between = [c for c in verb.lefts if c.i > have.i and c.dep_ in ("aux", "auxpass")]
            if year or between or first < subject.i - 2 or not _between_is_one_clause(doc, verb.i, first):
                continue
            said = verbs.past(_plain(verb))
            yield Finding(
                "perfect_with_past_time",
                have.i,
                verb.i,
                f"“{doc[first : last + 1].text}” is a finished time, so English uses the simple past here.",
                (said,),
            )
            continue
        if verb.tag_ not in ("VBP", "VBZ", "VB") or any(c.dep_ in ("aux", "auxpass") for c in verb.lefts) or subject is None:
            continue
        if subject.i > verb.i or (verb.dep_ == "ccomp" and not _is_finite_complement(verb)):
            continue
        if year and words[subject.i] not in ("i", "we", "they", "he", "she"):
            continue
        if any(c.dep_ in ("mark",) and words[c.i] in ("if", "unless") for c in verb.lefts):
            continue
        inside = range(min(first, subject.i), max(last, verb.i) + 1)
        if any(doc[k].tag_ in ("VBD", "MD") or (words[k] in ("had", "did", "was", "were")) for k in inside):
            continue
        if not _between_is_one_clause(doc, verb.i, first):
            continue
        base = _plain(verb)
        said = {"are": "were"}.get(words[verb.i]) or verbs.past(base)
        if said == words[verb.i]:
            continue
        yield Finding(
            "tense_with_past_time",
            verb.i,
            verb.i,
            f"“{doc[first : last + 1].text}” puts this in the past, so the verb needs its past form.",
            (said,),
        )


def _is_finite_complement(verb: Token) -> bool:
    """ "I think he goes" but not "I saw him go": the subject of a finite complement is nominative or the verb is inflected."""
    subject = _subject(verb)
    head = verb.head.lemma_
    return (
        verb.tag_ != "VB"
        and not (subject is not None and subject.lower_ in (*_OBJECTS, "her"))
        and head not in ("see", "hear", "make", "let", "watch", "help", "have", "feel")
    )


def _between_is_one_clause(doc: Doc, verb: int, time: int) -> bool:
    """No other finite verb, and no break between clauses, between the verb and the time expression."""
    low, high = sorted((verb, time))
    between = doc[low + 1 : high]
    return not any(token.tag_ in ("VBD", "VBP", "VBZ", "MD", "WRB", "WDT", "WP") or token.lower_ in (";", ":", ".") for token in between)


def past_frame(doc: Doc) -> Iterator[Finding]:
    """ "When I was a child I play football"."""
    words = _w(doc)
    for i in range(len(words) - 4):
        if words[i] != "when" or words[i + 1] not in ("i", "we") or words[i + 2] not in ("was", "were"):
            continue
        end = next(
            (
                k
                for k in range(i + 3, min(i + 8, len(words)))
                if words[k]
                in ("child", "kid", "young", "little", "small", "baby", "teenager", "student", "boy", "girl", "children", "kids", "old")
            ),
            None,
        )
        if end is None:
            continue
        k = end + 1 + (_at(words, end + 1) == ",")
        if _at(words, k) == words[i + 1] and _tag(doc, k + 1) in ("VBP", "VB") and _opens_main(words, i):
            verb = doc[k + 1]
            said = {"am": "was", "are": "were"}.get(verb.lower_) or verbs.past(_plain(verb))
            if said != verb.lower_:
                yield Finding(
                    "tense_with_past_time",
                    verb.i,
                    verb.i,
                    "You are telling of a time that is over, so the verb needs its past form.",
                    (said,),
                )


def _opens_main(words: list[str], i: int) -> bool:
    return i == 0 or words[i - 1] in (".", "and", "but", "so", ",", "because")


_SINCE_POINTS = _WEEKDAYS | _MONTHS | _set("morning yesterday childhood christmas march may birth school university")


def present_with_since(doc: Doc) -> Iterator[Finding]:
    """ "She lives in Berlin since 2012", "I know him since five years", "I live here since three years"."""
    words = _w(doc)
    for i, word in enumerate(words):
        if word != "since" or _at(words, i - 1) in ("ever", "been", "long", "and"):
            continue
        duration = _duration_length(doc, words, i + 1)
        ago = duration and _at(words, i + 1 + duration) == "ago"
        k = i + 1 + (_at(words, i + 1) in ("last", "this", "my", "the", "i"))
        point = (
            bool(re.fullmatch(r"(19|20)\d\d", _at(words, k)))
            or _at(words, k) in _SINCE_POINTS
            or (_at(words, k - 1) == "last" and _at(words, k) in _TIME_NOUNS)
        )
        start = max((k for k in range(i) if words[k] in (".", "?", "!", ";")), default=-1) + 1
        stop = next((k for k in range(i, len(words)) if words[k] in (".", "?", "!", ";")), len(words))
        if duration and not ago and _at(words, i + 1 + duration) not in ("later", "before", "after", "passed", "have", "had"):
            yield Finding(
                "since_duration",
                i,
                i + duration,
                "“Since” goes with a starting point; for a length of time say “for”.",
                ("for " + doc[i + 1 : i + 1 + duration].text,),
            )
        if not (duration or point) or any(words[k] in _HAVE or words[k] == "been" for k in range(start, stop)):
            continue
        verb = _main_verb_before(doc, start, i)
        if verb is None:
            continue
        subject = _subject(verb)
        if subject is None or words[subject.i] in ("it", "this", "that", "what", "which"):
            continue
        have = "has" if words[subject.i] in ("he", "she") or subject.tag_ in ("NN", "NNP") else "have"
        auxiliary = next((c for c in verb.lefts if c.dep_ == "aux"), None)
        if auxiliary is None:
            said = "been" if verb.lemma_ == "be" else verbs.participle(_plain(verb))
            yield Finding(
                "present_with_since",
                verb.i,
                verb.i,
                "With “since” the action began earlier and still goes on, so use the present perfect.",
                (f"{have} {said}",),
            )
        elif words[auxiliary.i] in _BE and verb.tag_ == "VBG" and words[auxiliary.i] not in ("was", "were"):
            yield Finding(
                "present_with_since",
                auxiliary.i,
                verb.i,
                "With “since” the action began earlier and still goes on, so use the present perfect.",
                (f"{have} been {verb.lower_}",),
            )


def _main_verb_before(doc: Doc, start: int, end: int) -> Token | None:
    """The only finite verb between start and end if it is in the present."""
    finite = [doc[k] for k in range(start, end) if doc[k].tag_ in ("VBP", "VBZ", "VBD", "MD")]
    if len(finite) != 1 or finite[0].tag_ not in ("VBP", "VBZ"):
        return None
    verb = finite[0]
    if verb.dep_ == "aux":
        if verb.head.tag_ != "VBG" or verb.head.i > end:
            return None
        return verb.head
    return None if any(child.dep_ == "auxpass" for child in verb.head.lefts) and verb.dep_ == "auxpass" else verb


def _duration_length(doc: Doc, words: list[str], i: int) -> int:
    """How many tokens from i say a length of time: "three years", "a few weeks", "a long time"."""
    if words[i : i + 3] == ["a", "long", "time"]:
        return 3
    k = i
    while k < len(words) and (
        words[k] in ("a", "few", "many", "several", "about", "almost", "couple", "of")
        or (doc[k].like_num and not re.fullmatch(r"(19|20)\d\d", words[k]))
    ):
        k += 1
    singular = k > i and words[i] in ("a", "an", "one") and k == i + 1 and _at(words, k) in _TIME_NOUNS
    plural = k > i and _at(words, k).endswith("s") and _at(words, k)[:-1] in _TIME_NOUNS
    return k + 1 - i if singular or plural else 0


# ---- forms after auxiliaries -----------------------------------------------------------------------------------------------------------

_MODALS = _set("can could will would should must may might 'll ca wo")


def forms_after_auxiliary(doc: Doc) -> Iterator[Finding]:
    """ "can to swim", "didn't went", "doesn't likes", "will can", "could went", "I am agree"."""
    words = _w(doc)
    for i, word in enumerate(words):
        following = _at(words, i + 1)
        tag = doc[i].tag_
        subject_before = i > 0 and (
            words[i - 1] in _NOMINATIVE or doc[i - 1].tag_ in ("NNS", "NNP", "NN") or words[i - 1] in ("n't", "not")
        )
        if word in _MODALS and tag == "MD" and subject_before:
            k = i + 1 + (following in ("n't", "not", "also", "always"))
            if (_at(words, k) == "to" and _tag(doc, k + 1) in ("VB", "VBP") and word not in ("will", "might", "'ll")) or (
                _at(words, k) == "to" and word in ("will", "'ll", "might") and words[i - 1] in _PERSONS and _tag(doc, k + 1) == "VB"
            ):
                yield Finding(
                    "modal_with_to",
                    i,
                    k + 1,
                    f"After “{doc[i].text}” the verb comes without “to”.",
                    (_join(doc, i, k) + " " + words[k + 1],),
                )
            elif _at(words, k) in ("can", "could", "must", "should", "will", "would", "may") and _tag(doc, k) == "MD" and word != "might":
                fixed = {"can": "be able to", "could": "be able to", "must": "have to"}.get(words[k])
                yield Finding(
                    "double_modal",
                    i,
                    k,
                    "Two modal verbs cannot follow each other.",
                    (f"{doc[i].text} {fixed}",) if fixed else (doc[i].text,),
                )
            elif (
                _at(words, k) in verbs.BASE_OF_PAST
                and _tag(doc, k) in ("VBD", "VB")
                and verbs.IRREGULAR[verbs.BASE_OF_PAST[words[k]]][1] != words[k]
            ):
                yield Finding(
                    "past_after_modal",
                    i,
                    k,
                    f"After “{doc[i].text}” the verb keeps its base form.",
                    (_join(doc, i, k) + " " + verbs.BASE_OF_PAST[words[k]],),
                )
            elif _tag(doc, k) == "VBZ" and k == i + 1 and words[k] not in _BE:
                yield Finding(
                    "past_after_modal", i, k, f"After “{doc[i].text}” the verb keeps its base form.", (f"{doc[i].text} {_plain(doc[k])}",)
                )
        if word in ("did", "do", "does"):
            k = i + 1
            negated = following in ("n't", "not")
            k += negated
            asked = (
                not negated
                and following in _NOMINATIVE
                and (i == 0 or words[i - 1] in (".", ",", "?", "what", "where", "when", "why", "how", "who", "and", "but", "so"))
            )
            k += asked
            if (
                word in ("does", "did")
                and not negated
                and not asked
                and following in _DETERMINERS - {"that", "no"}
                and _tag(doc, i + 2) == "NN"
            ):
                verb_form = _at(words, i + 3)
                ends = _at(words, i + 4) in ("?", ".", "at", "in", "to", "on", "a", "the", "from", "for")
                inflected = _tag(doc, i + 3) == "VBZ" or (_tag(doc, i + 3) == "NNS" and word == "does" and ends)
                if inflected and verb_form.endswith("s"):
                    reason = f"After “{doc[i].text}” the verb keeps its base form."
                    yield Finding("form_after_do", i + 3, i + 3, reason, (str(doc[i + 3].lemma_).lower(),))
            if not (negated or asked) or k >= len(words):
                continue
            verb = words[k]
            wrong_past = (
                verb in verbs.BASE_OF_PAST and verb not in ("found", "left", "felt", "lay", "saw", "fell", "wound", "ground")
            ) or (verb in ("saw", "found", "left", "felt", "fell") and _tag(doc, k) in ("VBD", "VB", "VBP", "VBN"))
            wrong_regular = _tag(doc, k) in ("VBD", "VBZ") and verb not in _BE and verb not in _HAVE and verb.endswith(("ed", "s"))
            if wrong_past or wrong_regular or verb in ("has", "had"):
                yield Finding(
                    "form_after_do", i, k, f"After “{doc[i].text}” the verb keeps its base form.", (f"{_join(doc, i, k)} {_plain(doc[k])}",)
                )
        if word in ("am", "are", "'m", "'re", "is", "was", "were"):
            yield from _be_with_base_verb(doc, words, i)


_NEVER_AFTER_BE = _set(
    "agree go come work want need know think appreciate believe have study learn understand depend feel eat drink speak prefer stay "
    "try wait write read listen write teach see get give take make buy meet remember forget enjoy travel arrive miss send bring "
    "sleep start"
)


def _be_with_base_verb(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    """ "I'm agree", "Are you agree", "we are go to the beach", "I am very appreciate"."""
    k = i + 1
    asked = (i == 0 or words[i - 1] in (".", ",", "?", "and", "so", "but")) and _at(words, k) in ("you", "they", "we")
    if not asked and _at(words, i - 1) not in _PERSONS:
        return
    k += asked
    while _at(words, k) in ("not", "n't", "very", "really", "always", "totally", "completely", "also", "so", "fully"):
        k += 1
    verb = _at(words, k)
    lives = (
        verb == "live" and words[i - 1] in ("i", "he", "she") and _at(words, k + 1) == "in" and _tag(doc, k + 2) in ("NNP", "DT", "PRP$")
    )
    if (verb not in _NEVER_AFTER_BE and not lives) or _tag(doc, k) in ("NNP",):
        return
    if (
        words[i - 1] in ("all", "what")
        or (i >= 2 and words[i - 2] in ("all", "what", "whatever", "who", "that", "where"))
        or _at(words, k + 1) in ("-",)
    ):
        return
    if verb in ("go", "work", "study", "make", "start", "sleep", "travel", "get", "read") and _at(words, k + 1) not in (
        "to",
        "in",
        "at",
        "with",
        "for",
        "on",
        "a",
        "the",
        "my",
        ".",
        ",",
        "every",
        "here",
        "there",
    ):
        return
    if verb == "go" and _at(words, k + 1) == "for":  # we are go for launch
        return
    subject = words[i + 1] if asked else words[i - 1]
    negated = "not" if any(word in ("not", "n't") for word in words[i:k]) else ""
    adverb = " ".join(word for word in words[i + 1 + asked : k] if word in ("really", "always", "also", "totally", "completely", "fully"))
    if words[i] in ("was", "were"):
        said = f"{subject} " + (f"did not {verb}" if negated else verbs.past(verb))
    elif subject in ("he", "she"):
        said = f"{subject} " + (f"doesn't {verb}" if negated else verbs.third_person(verb))
    else:
        said = f"{subject} " + (f"don't {verb}" if negated else f"{adverb} {verb}".strip())
    if asked:
        said = f"{'did' if words[i] in ('was', 'were') else 'do'} {subject} {verb}"
    shown = said.replace("i ", "I ", 1) if said.startswith("i ") else said
    yield Finding(
        "be_with_verb", i if asked else i - 1, k, f"“{verb.capitalize()}” is a verb of its own and takes no “be” before it.", (shown,)
    )


def _join(doc: Doc, first: int, stop: int) -> str:
    return str(doc[first:stop].text)


# ---- agreement -------------------------------------------------------------------------------------------------------------------------

_PLURAL_OF_BE = {"is": "are", "was": "were", "has": "have", "does": "do", "isn't": "aren't"}
_PLURAL_HEADS = _set("people children men women police")


def there_is_many(doc: Doc) -> Iterator[Finding]:
    """ "There is many people", "there was three dogs". "There's" with a plural is common speech and passes."""
    words = _w(doc)
    for i in range(len(words) - 3):
        if words[i] != "there" or words[i + 1] not in ("is", "was", "has"):
            continue
        k = i + 2 + (words[i + 2] in ("so", "too", "not", "n't", "also", "only", "still"))
        has_been = words[i + 1] == "has"
        if has_been:
            if _at(words, k) != "been":
                continue
            k += 1
        quantity = _at(words, k)
        if quantity in ("a", "the") and _at(words, k + 1) in ("lot", "few") and (_at(words, k + 2) == "of" or _at(words, k + 1) == "few"):
            noun = k + 2 + (_at(words, k + 1) == "lot")
        elif quantity in ("lots",) and _at(words, k + 1) == "of":
            noun = k + 2
        elif (
            quantity in ("many", "several", "some", "few", "both") or (quantity in _SMALL_NUMBERS) or re.fullmatch(r"[2-9]|\d\d+", quantity)
        ):
            noun = k + 1
        else:
            continue
        while _tag(doc, noun) in ("JJ", "JJR", "JJS", "RB", "VBG") and _at(words, noun) not in _PLURAL_HEADS:
            noun += 1
        plural = (_tag(doc, noun) == "NNS" or _at(words, noun) in _PLURAL_HEADS) and _at(words, noun) not in _AMOUNTS | _SINGULAR_IN_S
        if plural and _at(words, noun + 1) not in ("'s", "'"):
            said = {"is": "there are", "was": "there were", "has": "there have"}[words[i + 1]]
            yield Finding("there_is_plural", i, i + 1, f"“{doc[noun].text}” is plural, so say “{said}”.", (said,))


def subject_and_verb(doc: Doc) -> Iterator[Finding]:
    """ "People is", "my parents is", "everybody know", "my brother live", "he have", "it don't", "the news are"."""
    words = _w(doc)
    for i in range(len(words) - 1):
        yield from _pronoun_and_verb(doc, words, i)
        yield from _plural_noun_and_verb(doc, words, i)
        yield from _singular_noun_and_verb(doc, words, i)


_PRONOUN_VERB = {
    **{(p, "have"): "has" for p in ("he", "she", "it")},
    **{(p, "do"): "does" for p in ("he", "she", "it")},
    **{(p, "are"): "is" for p in ("he", "she", "it")},
    **{(p, "has"): "have" for p in ("i", "you", "we", "they")},
    **{(p, "does"): "do" for p in ("i", "you", "we", "they")},
    **{(p, "is"): "are" for p in ("you", "we", "they")},
    **{(p, "was"): "were" for p in ("you", "we", "they")},
    ("i", "is"): "am",
    ("i", "are"): "am",
    ("i", "were"): "was",
}
_THINKING = _set("think know say believe guess mean hope feel")
_NO_FINITE_AFTER = _set(
    "do does did will would can could should must may might shall let lets make makes made help helps helped see saw hear heard "
    "have has had and or nor than if though wish as whether is are was were am 's 've who that which what like of to with for ought "
    "not n't suggest insist demand require 'll 'd lest neither either both"
)


def _pronoun_and_verb(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    fixed = _PRONOUN_VERB.get((words[i], words[i + 1]))
    adverb = 0
    if fixed is None and _at(words, i + 1) in ("always", "never", "often", "usually", "still", "also") and i + 2 < len(words):
        fixed, adverb = _PRONOUN_VERB.get((words[i], words[i + 2])), 1
    verb = i + 1 + adverb
    previous = _at(words, i - 1)
    if words[i] in ("it", "you") and i and doc[i - 1].pos_ in ("VERB", "ADP") and doc[i - 1].lemma_ not in _THINKING:
        return  # the object of that verb: "the people who run it are"
    if previous == "that" and words[verb] not in ("have", "do", "were", "are"):
        previous = ""
    if (
        previous in ("and", "as", "is", "was")
        and words[i] in ("i", "he", "she", "it")
        and (_at(words, i - 2) in (",", ".") or (doc[i - 1].dep_ == "cc" and doc[i - 2].pos_ not in ("PRON", "PROPN", "NOUN")))
    ):
        previous = "" if previous == "and" and words[verb] in ("have", "do", "has", "is", "was") else previous
    if fixed is None or previous in _NO_FINITE_AFTER:
        pass
    elif words[verb] in ("do", "does", "have", "are", "is", "was", "were", "has") and not any(
        words[k] in ("did", "does", "do", "will", "would", "should", "could", "can") for k in range(max(0, i - 3), i)
    ):
        if words[i + 1] == "were" or (words[verb] == "have" and _at(words, verb + 1) == "been" and previous == "'d"):
            return
        yield Finding("agreement", i, verb, f"“{doc[i].text}” takes “{fixed}”.", (f"{_join(doc, i, verb)} {fixed}",))
        return
    if (
        words[i] in ("he", "she")
        and fixed is None
        and (doc[i + 1].tag_ in ("VBP", "VB") or (words[i + 1] == "like" and _tag(doc, i + 2) in ("NN", "NNS", "TO", "PRP$", "DT", "JJ")))
        and (previous == "." or previous in ("because", "when", ",", "so", "but", "and", "since", "while", "where"))
        and words[i + 1] not in _BE | _HAVE | _set("do be lest")
        and words[i + 1].isalpha()
        and words[i + 1] not in verbs.BASE_OF_PAST
        and not words[i + 1].endswith(("ed", "s"))
        and words[i + 1]
        not in ("put", "cut", "hit", "set", "let", "shut", "hurt", "cost", "quit", "read", "bet", "spread", "beat", "burst", "upset")
        and not (
            previous in ("and", "but", ",")
            and any(words[k] in _NO_FINITE_AFTER - {"and", "as", "that", "is", "who"} for k in range(max(0, i - 8), i - 1))
        )
    ):
        said = verbs.third_person(_plain(doc[i + 1]))
        yield Finding("agreement", i, i + 1, f"After “{doc[i].text}” the verb ends in -s.", (f"{doc[i].text} {said}",))


def _noun_phrase_start(doc: Doc, i: int) -> int:
    first = i
    if i >= 2 and doc[i - 1].lower_ == "of" and doc[i - 2].lower_ in ("lots", "lot"):
        first = i - 2
    while first > 0 and doc[first - 1].tag_ in ("DT", "PRP$", "JJ", "CD", "JJR", "JJS") and doc[first - 1].lower_ not in ("that", "this"):
        first -= 1
    return first


def _plural_noun_and_verb(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    word, verb = words[i], words[i + 1]
    if word == "news" and verb in ("are", "were", "have"):
        said = {"are": "is", "were": "was", "have": "has"}[verb]
        if _noun_phrase_start(doc, i) == 0 or _opens_clause(words, _noun_phrase_start(doc, i)):
            yield Finding("agreement", i, i + 1, "“News” is singular in English.", (f"news {said}",))
        return
    plural = word in _PLURAL_HEADS - {"police"} or (doc[i].tag_ == "NNS" and word.endswith("s") and word != doc[i].lemma_)
    if not plural or word in _SINGULAR_IN_S | _AMOUNTS or word in _UNCOUNTABLE:
        return
    first = _noun_phrase_start(doc, i)
    if not _opens_clause(words, first) or (first > 1 and words[first - 1] in ("and", ",", "as", "so", "before", "after", "since")):
        return
    if first > 0 and words[first - 1] == "that" and _tag(doc, first - 1) == "DT":
        return
    if any(doc[k].like_num for k in range(first, i)) or words[first] in ("each", "every"):
        return
    be = verb in ("is", "was", "has", "does")
    inflected = doc[i + 1].tag_ == "VBZ" and verb.endswith("s") and verb.isalpha() and doc[i].dep_ == "nsubj" and doc[i].head.i == i + 1
    inflected = inflected or (
        word == "people" and doc[i + 1].tag_ == "VBZ" and words[i - 1 : i] == ["of"] and first == i - 2 and verb != "'s"
    )
    if verb == "does" and _at(words, i + 2) not in ("not", "n't"):
        return
    if be and _at(words, i + 2) in ("what", "when", "how", "where", "why", "that"):
        return
    if be and doc[i].dep_ not in ("nsubj", "nsubjpass") and word not in _PLURAL_HEADS:
        return
    if be or inflected:
        said = _PLURAL_OF_BE.get(verb) or _plain(doc[i + 1])
        yield Finding("agreement", i, i + 1, f"“{doc[i].text}” is plural, so the verb is “{said}”.", (f"{doc[i].text} {said}",))


def _singular_noun_and_verb(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    word, verb = words[i], doc[i + 1]
    form = verb.lower_
    if word in ("everybody", "everyone", "nobody", "somebody", "someone", "everything", "nothing"):
        first = i
    elif doc[i].tag_ == "NN" and word not in _COLLECTIVES and not word.endswith(("s", "ing")):
        first = i
        while first > 0 and doc[first - 1].tag_ in ("JJ", "JJS"):
            first -= 1
        if first == 0 or words[first - 1] not in _POSSESSIVES | {"the", "this", "a", "every", "each"}:
            return
        first -= 1
        role = word in _RELATIVES_AND_ROLES
        if not role and not (
            doc[i].dep_ == "nsubj"
            and doc[i].head.i == i + 1
            and form not in ("are", "were", "do")
            and (form != "have" or _tag(doc, i + 2) in ("DT", "JJ", "CD", "TO", "NNS"))
        ):
            return
    else:
        return
    if not _opens_clause(words, first) or (
        first > 0 and words[first - 1] in ("that", "if", "as", "and", "before", "after", "until", "since", ",")
    ):
        return
    if any(
        words[k] in _NO_FINITE_AFTER - {"that", "is", "and", "as", "was", "who", "of", "to", "with", "for", "are"}
        for k in range(max(0, first - 4), first)
    ):
        return
    bare = verb.tag_ == "VBP" or (form in _NEVER_NOUNS | {"run", "work", "live", "want"} and not _other_finite_verb(doc, words, i + 1))
    if form in ("have", "do", "are", "were") or (
        bare and form.isalpha() and form not in verbs.BASE_OF_PAST and not form.endswith(("s", "ed"))
    ):
        if (
            form in ("put", "cut", "hit", "set", "let", "shut", "hurt", "cost", "quit", "read", "spread", "beat", "come", "run")
            and verb.tag_ != "VBP"
            and form != "run"
        ):
            return
        if form in ("put", "cut", "hit", "set", "let", "shut", "hurt", "cost", "quit", "read", "spread", "beat") or form in _BE - {
            "are",
            "were",
        }:
            return
        if form == "do" and _at(words, i + 2) not in ("not", "n't"):
            return
        said = {"have": "has", "do": "does", "are": "is", "were": "was"}.get(form) or verbs.third_person(form)
        yield Finding("agreement", i, i + 1, f"“{doc[i].text}” is singular, so the verb is “{said}”.", (f"{doc[i].text} {said}",))


def _other_finite_verb(doc: Doc, words: list[str], i: int) -> bool:
    """Whether the sentence around token i holds another finite verb."""
    start = max((k for k in range(i) if words[k] in (".", "?", "!")), default=-1) + 1
    stop = next((k for k in range(i, len(words)) if words[k] in (".", "?", "!")), len(words))
    return any(doc[k].tag_ in ("VBD", "VBZ", "VBP", "MD") for k in range(start, stop) if k != i)


# ---- nouns, articles and quantity --------------------------------------------------------------------------------------------------------

_NO_PLURAL_FORM = _set("series species means headquarters people sheep fish deer aircraft spacecraft data media staff crew")


def number_of_nouns(doc: Doc) -> Iterator[Finding]:
    """ "informations", "this books", "every students", "one of my friend", "many problem", "much problems"."""
    words = _w(doc)
    for i, word in enumerate(words):
        if word in _UNCOUNTABLE and (
            word not in _ALSO_VERBS or _at(words, i - 1) in ("many", "some", "these", "those", "several", "few", "any", "all", "new")
        ):
            if word == "peoples" and _at(words, i - 1) not in ("many", "some", "several", "few", "these", "those", "any"):
                continue
            yield Finding("uncountable", i, i, f"“{_UNCOUNTABLE[word].capitalize()}” has no plural with -s.", (_UNCOUNTABLE[word],))
        if (
            word in ("a", "an", "another")
            and _at(words, i + 1) in _UNCOUNTABLE_NOUNS
            and _tag(doc, i + 2) not in ("NN", "NNS", "NNP", "VBG", "-", "HYPH", "JJ")
        ):
            noun = words[i + 1]
            yield Finding(
                "uncountable",
                i,
                i + 1,
                f"“{noun.capitalize()}” cannot be counted with “{word}”.",
                (noun, f"some {noun}", f"a piece of {noun}"),
            )
        k = i + 1
        while _tag(doc, k) in ("JJ", "JJS", "RBS") and _at(words, k) not in ("few", "many", "other"):
            k += 1
        noun, tag, after = _at(words, k), _tag(doc, k), _tag(doc, k + 1)
        plural = tag == "NNS" and noun.endswith("s") and noun not in _SINGULAR_IN_S | _NO_PLURAL_FORM and doc[k].lemma_ != noun
        compound = after in ("NN", "NNS", "NNP", "NNPS", "HYPH", "POS", "CD") or _at(words, k + 1) in ("'", "'s", "-")
        if (
            word == "this"
            and plural
            and not compound
            and doc[i].tag_ == "DT"
            and doc[i].head.i == k
            and k == i + 1
            and _noun_after_this(doc, i)
        ):
            yield Finding("this_with_plural", i, k, f"“{doc[k].text}” is plural, so say “these”.", (f"these {doc[i + 1 : k + 1].text}",))
        if (
            word in ("these", "those")
            and tag == "NN"
            and not compound
            and doc[i].tag_ == "DT"
            and doc[i].head.i == k
            and noun in _COUNTABLE
        ):
            yield Finding("this_with_plural", i, k, f"After “{word}” the noun is plural.", (f"{doc[i:k].text} {_plural(noun)}",))
        if word in ("every", "each") and plural and k == i + 1 and noun not in _AMOUNTS:
            yield Finding("every_with_plural", i, k, f"After “{word}” the noun is singular.", (f"{doc[i:k].text} {doc[k].lemma_}",))
        if (
            word in ("many", "several", "few", "two", "three", "four", "five", "six", "ten", "both") or re.fullmatch(r"[2-9]", word)
        ) and tag == "NN":
            closed = _at(words, k + 1) in _ENDS - {"-", "–"} or k + 1 >= len(words) or after in ("VBZ", "VBD", "VBP", "MD")
            if (
                noun in _COUNTABLE
                and closed
                and k == i + 1
                and _at(words, i - 1) not in ("number", "the", "grade", "part", "chapter", "day", "room")
            ):
                yield Finding("plural_after_number", i, k, f"After “{word}” the noun is plural.", (f"{doc[i:k].text} {_plural(noun)}",))
        if (
            word == "of"
            and _at(words, i - 1) in ("lot", "lots")
            and noun in _COUNTABLE - {"time", "room", "product", "company"}
            and tag == "NN"
            and k == i + 1
        ) and (_at(words, k + 1) in _ENDS - {"-", "–"} or k + 1 >= len(words)):
            yield Finding("plural_after_number", i, k, "After “a lot of” what can be counted is plural.", (f"of {_plural(noun)}",))
        if word == "much" and noun == "people" and k == i + 1:
            yield Finding("much_with_plural", i, k, "“People” can be counted, so say “many”.", ("many people",))
        if (
            word == "much"
            and plural
            and k == i + 1
            and doc[k].pos_ == "NOUN"
            and _at(words, i - 1) in ("too", "so", "how", "not", "very", "have", "has", "n't", "as")
        ):
            if noun in _UNCOUNTABLE:
                continue
            yield Finding("much_with_plural", i, k, f"“{doc[k].text}” can be counted, so say “many”.", (f"many {doc[k].text}",))
        if word == "many" and noun in _UNCOUNTABLE_NOUNS | {"money", "time"} and k == i + 1 and tag == "NN" and not compound:
            if noun == "time":
                continue
            yield Finding(
                "much_with_plural", i, k, f"“{noun.capitalize()}” cannot be counted, so say “much”.", (f"much {noun}", f"a lot of {noun}")
            )
        if word == "one" and _at(words, i + 1) == "of":
            yield from _one_of(doc, words, i)
        if (
            word in ("most", "many", "some")
            and _at(words, i + 1) == "of"
            and _at(words, i + 2) in ("people", "students", "children")
            and _at(words, i - 1) != "the"
        ):
            yield Finding("quantity_with_of", i, i + 2, f"Without “the”, say “{word} {words[i + 2]}”.", (f"{word} {words[i + 2]}",))


def _noun_after_this(doc: Doc, i: int) -> bool:
    """ "This books are" and "in this books" but not "this results in": many plurals are also verbs."""
    if i and doc[i - 1].pos_ in ("ADP", "VERB") and doc[i - 1].lower_ not in ("of", "that", "like"):
        return True
    return _tag(doc, i + 2) in ("VBP", "VBZ", "VBD", "MD")


def _one_of(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    k = i + 2
    if _at(words, k) not in _POSSESSIVES | {"the", "these", "those"}:
        return
    k += 1
    while _tag(doc, k) in ("JJ", "JJS", "RBS", "RB"):
        k += 1
    noun = _at(words, k)
    if _tag(doc, k) != "NN" or noun in _COLLECTIVES or noun in _UNCOUNTABLE_NOUNS or noun.endswith("s") or noun == "other":
        return
    if _tag(doc, k + 1) in ("NN", "NNS", "NNP", "NNPS", "POS", "HYPH", "CD", "JJ", "VBG", "VBN") or _at(words, k + 1) in (
        "'s",
        "-",
        "and",
        "or",
        ",",
    ):
        return
    yield Finding("one_of", i, k, "“One of” picks from several, so the noun is plural.", (f"{doc[i:k].text} {_plural(noun)}",))


def _plural(noun: str) -> str:
    irregular = {"child": "children", "person": "people", "man": "men", "woman": "women"}
    if noun in irregular:
        return irregular[noun]
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


_TAKING_AN_OBJECT = _set(
    "have has had buy buys bought want wants wanted need needs needed got rent rented eat eats ate see saw find found lost sell "
    "sold make made write wrote send sent watch watched read take took"
)


def missing_article(doc: Doc) -> Iterator[Finding]:
    """ "I am engineer", "she works as teacher", "we have car"."""
    words = _w(doc)
    for i, word in enumerate(words):
        k = i + 1
        while _at(words, k) in ("not", "n't", "also", "still", "now"):
            k += 1
        while _tag(doc, k) in ("JJ",) and _at(words, k) not in _DETERMINERS and _at(words, k) not in _PROFESSIONS:
            k += 1
        noun = _at(words, k)
        if noun in _PROFESSIONS and _at(words, k + 1) in _PROFESSIONS:
            continue
        if k > i + 1 and _at(words, k - 1) in ("enough", "same", "other"):
            continue
        compound = _tag(doc, k + 1) in ("NN", "NNS", "NNP", "POS", "HYPH", "NNPS") or _at(words, k + 1) in ("'s", "-")
        compound = compound and _at(words, k + 1) not in ("yesterday", "today", "tomorrow", "last")
        if noun in _PROFESSIONS and not compound and _tag(doc, k) in ("NN", "JJ", "VB"):
            copula = word in _BE - {"are", "were", "'re"} or word in ("become", "became", "becomes")
            person = i > 0 and (
                words[i - 1] in ("i", "he", "she", "who") or words[i - 1] in _RELATIVES_AND_ROLES or doc[i - 1].tag_ == "NNP"
            )
            if word in ("become", "became", "becomes"):
                person = True
            if (copula and person and noun != "cook") or (
                word == "as" and _at(words, i - 1) in ("work", "works", "worked", "working", "job") and doc[k].pos_ == "NOUN"
            ):
                yield _article(doc, i, k, f"A job in the singular needs “a” or “an”: “{_with_article(doc, i + 1, k)}”.")
        if word in ("is", "was") and _at(words, i - 1) == "there" and noun in _PERSONS_ONE_SEES and _tag(doc, k) == "NN" and not compound:
            yield _article(doc, i, k, f"“{noun.capitalize()}” in the singular needs “a”, “the” or a word like “my”.")
        verb = word in _TAKING_AN_OBJECT and (i == 0 or doc[i - 1].tag_ not in ("DT", "PRP$", "JJ"))
        ends = _at(words, k + 1) in (_ENDS | {"this", "last"}) - {"-", "–"} or k + 1 >= len(words)
        if verb and noun in _THINGS_ONE_HAS and _tag(doc, k) == "NN" and not compound and i > 0 and k <= i + 2 and ends:
            also_mass = noun in ("room", "dream", "pizza", "cake", "film", "story", "letter", "orange")
            quantity = k > i + 1 and words[i + 1] in ("enough", "more", "much", "most", "less")
            if not also_mass and not quantity:
                yield _article(doc, i, k, f"“{noun.capitalize()}” in the singular needs “a”, “the” or a word like “my”.")


def _with_article(doc: Doc, first: int, last: int) -> str:
    text = str(doc[first : last + 1].text)
    return ("an " if text[0].lower() in "aeiou" and not text.lower().startswith(("uni", "use", "one")) else "a ") + text


def _article(doc: Doc, i: int, k: int, reason: str) -> Finding:
    return Finding("missing_article", i, k, reason, (f"{doc[i].text} {_with_article(doc, i + 1, k)}",))


# ---- patterns of words -------------------------------------------------------------------------------------------------------------------

_PREPOSITIONS: tuple[tuple[frozenset[str], frozenset[str], str, frozenset[str]], ...] = (
    # head words, wrong prepositions, right one, tokens that make the wrong one right
    (_set("depend depends depended depending"), _set("of from at"), "on", _set("time least")),
    (_set("married"), _set("with"), "to", _set("children kids child no only two three four five a-kid")),
    (_set("interested"), _set("on about for at"), "in", frozenset()),
    (_set("responsible"), _set("of about"), "for", frozenset()),
    (_set("afraid scared"), _set("from"), "of", frozenset()),
    (_set("capable"), _set("for in"), "of", frozenset()),
    (_set("participate participates participated participating"), _set("to at on"), "in", _set("least once times present all any")),
    (_set("consists consist consisted"), _set("from on"), "of", frozenset()),
    (_set("full"), _set("with"), "of", frozenset()),
    (_set("proud"), _set("for about"), "of", frozenset()),
    (_set("jealous"), _set("from"), "of", frozenset()),
    (_set("similar"), _set("with than as"), "to", frozenset()),
    (_set("insist insists insisted"), _set("in"), "on", frozenset()),
    (_set("congratulate congratulated"), _set("for"), "on", frozenset()),
    (_set("arrive arrived arrives arriving"), _set("to"), "in", frozenset()),
    (_set("famous"), _set("of"), "for", frozenset()),
    (_set("bored"), _set("from"), "with", frozenset()),
    (_set("satisfied"), _set("from of"), "with", frozenset()),
    (_set("addicted"), _set("with of in"), "to", frozenset()),
    (_set("succeed succeeded"), _set("on"), "in", frozenset()),
    (_set("concentrate concentrated focused"), _set("in"), "on", frozenset()),
    (_set("rely relies relied"), _set("in of"), "on", frozenset()),
    (_set("aware"), _set("about"), "of", frozenset()),
    (_set("belongs belong belonged"), _set("for"), "to", frozenset()),
    (_set("congratulations"), _set("with"), "on", frozenset()),
)
_NO_PREPOSITION = (
    (_set("discuss discusses discussed discussing"), _set("about")),
    (_set("enter entered enters entering"), _set("to")),
    (
        _set("phoned contacted contact answered reached attended attend attends mention mentioned lack lacks emphasize emphasized"),
        _set("to"),
    ),
    (_set("mention mentioned mentions emphasize emphasized describe described"), _set("about")),
    (_set("attend attended attends"), _set("in at")),
    (_set("marry married marries"), _set("with")),
)


def prepositions(doc: Doc) -> Iterator[Finding]:
    """ "depend of", "married with", "discuss about", "listen music", "good in maths", "in Monday"."""
    words = _w(doc)
    for i, word in enumerate(words[:-1]):
        following = words[i + 1]
        after = _at(words, i + 2)
        for heads, wrong, right, exceptions in _PREPOSITIONS:
            if word in heads and following in wrong and after not in exceptions and _tag(doc, i + 2) not in ("VB", ".", ",", "CC"):
                if word == "full" and _at(words, i - 1) in ("the", "a", "in"):
                    continue
                if word == "married" and after not in _DETERMINERS | {"him", "her", "me", "you"} and _tag(doc, i + 2) != "NNP":
                    continue
                if word.startswith("arriv") and after in ("find", "discover"):
                    continue
                if word == "interested" and following == "at" and after not in _DETERMINERS:
                    continue
                said = ("in", "at") if word.startswith("arriv") else (right,)
                yield Finding(
                    "preposition", i, i + 1, f"“{word.capitalize()}” goes with “{right}”.", tuple(f"{doc[i].text} {p}" for p in said)
                )
        for heads, extra in _NO_PREPOSITION:
            if (
                word in heads
                and following in extra
                and doc[i].pos_ == "VERB"
                and _object_follows(doc, words, i + 2)
                and doc[i].tag_ != "VBN"
            ):
                if word.startswith("marr") and after not in _DETERMINERS:
                    continue
                yield Finding("preposition", i, i + 1, f"“{word.capitalize()}” takes its object without “{following}”.", (doc[i].text,))
        yield from _missing_preposition(doc, words, i)
        if (
            word in ("good", "bad", "excellent", "terrible")
            and following == "in"
            and (after in _SUBJECTS_OF_STUDY)
            and _person_before(doc, words, i)
        ):
            yield Finding("preposition", i, i + 1, f"For a skill say “{word} at”.", (f"{doc[i].text} at",))
        if (
            word in ("in", "at")
            and following in _WEEKDAYS
            and _tag(doc, i + 2) not in ("NN", "NNS", "POS", "NNP")
            and after not in ("'s", "and", "or")
        ):
            yield Finding("preposition", i, i + 1, "Days take “on”.", (f"on {doc[i + 1].text}",))
        if (
            word in ("on", "at")
            and following in _MONTHS
            and not doc[i + 2 : i + 3].text[:1].isdigit()
            and after not in ("the", "'s")
            and _tag(doc, i + 2) not in ("NN", "CD", "NNP", "JJ")
        ):
            yield Finding("preposition", i, i + 1, "Months take “in”.", (f"in {doc[i + 1].text}",))
        if (
            (
                word in ("go", "went", "going", "goes", "come", "came", "coming", "return", "returned", "back", "get", "got")
                and following == "to"
                and after in ("home", "here", "abroad", "there", "downtown")
            )
            and _tag(doc, i + 3) not in ("NN", "NNS", "NNP")
            and (after == "home" or word != "back")
        ):
            yield Finding("preposition", i + 1, i + 2, f"“{after.capitalize()}” takes no “to” here.", (after,))


def _person_before(doc: Doc, words: list[str], i: int) -> bool:
    k = i - 1
    while k > 0 and words[k] in ("very", "really", "so", "not", "n't", "pretty", "quite", "too"):
        k -= 1
    return k > 0 and words[k] in _BE and (words[k - 1] in _PERSONS or doc[k - 1].tag_ in ("NNP", "NN", "NNS"))


_HEARD = _set("music radio song songs podcast podcasts jazz news")


def _missing_preposition(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    word, following, after = words[i], words[i + 1], _at(words, i + 2)
    if word in ("listen", "listens", "listened", "listening"):
        heard = following in _HEARD or (
            following in _DETERMINERS | {"me", "him", "them"}
            and following not in ("no", "that")
            and (following in _OBJECTS or _tag(doc, i + 2) in ("NN", "NNS", "JJ"))
        )
        if heard and following != "you":
            yield Finding("preposition", i, i + 1, "“Listen” needs “to” before what is heard.", (f"{doc[i].text} to {doc[i + 1].text}",))
    if (
        word in ("waiting", "wait", "waits", "waited")
        and following in ("the", "my", "a", "me", "him", "them", "us", "you", "her", "our")
        and doc[i].pos_ == "VERB"
    ):
        timed = any(
            words[k] in _TIME_NOUNS
            or words[k].rstrip("s") in _TIME_NOUNS
            or words[k] in ("turn", "moment", "while", "time", "bit", "sec", "whole", "table", "tables")
            for k in range(i + 1, min(i + 4, len(words)))
        )
        if (
            not timed
            and (following in _OBJECTS | {"you"} or _tag(doc, i + 2) in ("NN", "NNS"))
            and (following not in ("you", "her") or after in (".", ",", "at", "in"))
        ):
            yield Finding("preposition", i, i + 1, "“Wait” needs “for” before what is awaited.", (f"{doc[i].text} for {doc[i + 1].text}",))


_GERUND_VERBS = _set(
    "enjoy enjoys enjoyed avoid avoids avoided dislike dislikes disliked finish finished finishes suggest suggests suggested deny "
    "denied denies postpone postponed practise practice practiced keep keeps kept recommend recommends recommended miss misses "
    "missed appreciate imagine"
)
_PURPOSE_AFTER = _set(
    "practise practice practiced keep keeps kept miss misses missed recommend recommends recommended appreciate imagine finish finished"
)
_GERUND_AFTER = {
    "insist": "insist on",
    "insists": "insists on",
    "insisted": "insisted on",
    "capable": "capable of",
    "thinking": "thinking of",
    "succeed": "succeed in",
    "succeeded": "succeeded in",
    "interested": "interested in",
    "responsible": "responsible for",
}


def verb_patterns(doc: Doc) -> Iterator[Finding]:
    """ "look forward to meet", "enjoy to play", "used to wake" after be, "suggested me to go", "want that you", "explain me", "said me"."""
    words = _w(doc)
    for i, word in enumerate(words[:-1]):
        following, after = words[i + 1], _at(words, i + 2)
        base_after_to = following == "to" and i + 2 < len(words) and _bare_verb(doc, words, i + 2)
        if (
            word == "forward"
            and following in ("at", "for")
            and any(w.startswith("looking") for w in words[max(0, i - 2) : i])
            and _at(words, i - 3) != "not"
        ):
            yield Finding("preposition", i, i + 1, "Say “look forward to”.", ("forward to",))
        elif word == "forward" and base_after_to and any(w.startswith("look") for w in words[max(0, i - 3) : i]):
            yield _gerund(doc, i, i + 2, f"{doc[i].text} to", "After “look forward to” the verb ends in -ing.")
        elif word == "used" and base_after_to and i >= 2 and _used_to_after_be(words, i):
            yield _gerund(doc, i, i + 2, "used to", "“Be used to” means “be accustomed to”, and the verb after it ends in -ing.")
        elif word == "accustomed" and base_after_to:
            yield _gerund(doc, i, i + 2, "accustomed to", "After “accustomed to” the verb ends in -ing.")
        elif word in _GERUND_VERBS and base_after_to and doc[i].pos_ == "VERB" and _at(words, i - 1) not in _BE | {"been", "be"}:
            if word in _PURPOSE_AFTER and not (word.startswith("finish") and _object_follows(doc, words, i + 3)):
                continue
            yield _gerund(doc, i, i + 2, doc[i].text, f"After “{word}” the second verb ends in -ing.")
        elif word in _GERUND_AFTER and base_after_to:
            if word == "interested" and after in ("know", "hear", "see", "learn", "find", "read", "note", "discover"):
                continue
            if word == "thinking" and not (_at(words, i - 1) in _BE | {"been"} and after not in ("be", "have")):
                continue
            yield _gerund(doc, i, i + 2, _GERUND_AFTER[word], f"Say “{_GERUND_AFTER[word]}” and the verb in -ing.")
        if (
            word in ("suggest", "suggests", "suggested", "recommend", "recommends", "recommended", "propose", "proposed", "suggesting")
            and following in _OBJECTS | {"you", "her"}
            and after == "to"
            and i + 3 < len(words)
        ):
            if _tag(doc, i + 3) in ("VB", "VBP", "NN"):
                subject = {"me": "I", "him": "he", "us": "we", "them": "they", "her": "she", "you": "you"}[following]
                yield Finding(
                    "verb_pattern",
                    i,
                    i + 3,
                    f"“{word.capitalize()}” is not followed by a person and “to”.",
                    (f"{doc[i].text} that {subject} {words[i + 3]}",),
                )
        elif word in ("suggest", "suggests", "suggested") and following in _OBJECTS and _tag(doc, i + 2) in ("DT", "JJ", "NN", "NNS"):
            yield Finding("verb_pattern", i, i + 1, "“Suggest” needs “to” before the person.", (f"{doc[i].text} … to {following}",))
        if word in ("want", "wants", "wanted") and following == "that" and _wanted_clause(doc, words, i + 2):
            yield Finding(
                "verb_pattern",
                i,
                i + 2,
                "After “want” say who, then “to” and the verb: “want you to come”.",
                (f"{doc[i].text} {_object_form(doc, i + 2)} to",),
            )
        if (
            word in ("explain", "explains", "explained", "explaining", "describe", "described")
            and following in _OBJECTS
            and after not in ("as",)
        ):
            verb = doc[i].text
            yield Finding(
                "verb_pattern",
                i,
                i + 1,
                f"“{word.capitalize()}” needs “to” before the person, after the thing.",
                (f"{verb} … to {following}", f"{verb} to {following}"),
            )
        if word in ("said", "say", "says") and following in _OBJECTS | {"her"} and _at(words, i - 1) in _NOMINATIVE | {"not", "n't", "to"}:
            if following == "her" and _tag(doc, i + 2) in ("NN", "NNS", "JJ"):
                continue
            tell = {"said": "told", "say": "tell", "says": "tells"}[word]
            yield Finding(
                "verb_pattern", i, i + 1, "“Say” takes no person; “tell” does.", (f"{tell} {following}", f"{doc[i].text} to {following}")
            )
        if word in ("thank", "thanks") and following in ("you", "for"):
            k = i + 2 if following == "you" else i + 1
            if (
                _at(words, k) == "for"
                and _at(words, k + 1)
                in _set("help give invite teach tell show send come let make listen have be support call join explain bring take wait")
                and _at(words, k + 2) in _OBJECTS | {"us", "to", "here", "with", "your", "the", "this"}
            ):
                if words[k + 1] in ("help", "support", "call") and words[k + 2] not in _OBJECTS | {"us"}:
                    continue
                yield _gerund(doc, k, k + 1, "for", "After “for” the verb ends in -ing.")
        if word in ("prefer", "prefers", "preferred") and following != "that":
            than = next((m for m in range(i + 2, min(i + 6, len(words))) if words[m] == "than"), None)
            if than is not None and not any(
                words[m] in ("rather", "more", "other", "less") or words[m].endswith("er") or words[m] == "to" for m in range(i + 1, than)
            ):
                k = than
                yield Finding("verb_pattern", i, k, "With “prefer” the second thing follows “to”, not “than”.", (f"{doc[i:k].text} to",))
        if (
            word in ("like", "love", "likes", "loves")
            and i > 0
            and words[i - 1] in _NOMINATIVE
            and following in _NEVER_NOUNS | {"travel"}
            and _tag(doc, i + 1) != "NN"
        ):
            yield Finding(
                "verb_pattern", i, i + 1, f"“{word.capitalize()}” needs “to” before the next verb.", (f"{doc[i].text} to {following}",)
            )
        if word == "like" and _at(words, i - 1) in ("would", "'d") and following == "that" and _wanted_clause(doc, words, i + 2):
            reason = "After “would like” say who, then “to” and the verb."
            yield Finding("verb_pattern", i, i + 2, reason, (f"like {_object_form(doc, i + 2)} to",))
        wants = _set("want wants wanted need needs needed hope hopes decided decide plan plans")
        if (
            word in wants
            and i > 0
            and words[i - 1] in _NOMINATIVE
            and following
            in _set("go buy see know learn eat make take speak visit become get have be do find tell say travel meet improve ask")
            and word not in ("need",)
        ):
            yield Finding(
                "verb_pattern", i, i + 1, f"“{word.capitalize()}” needs “to” before the next verb.", (f"{doc[i].text} to {following}",)
            )
        elif (
            word == "need"
            and i > 0
            and words[i - 1] in ("i", "we", "they")
            and following in _set("go buy see learn eat visit get find improve ask")
        ):
            yield Finding("verb_pattern", i, i + 1, "“Need” needs “to” before the next verb.", (f"{doc[i].text} to {following}",))


def _used_to_after_be(words: list[str], i: int) -> bool:
    k = i - 1
    while k > 0 and words[k] in ("not", "n't", "already", "very", "also", "so"):
        k -= 1
    if words[k] in ("get", "got", "getting", "become", "became"):
        return True
    return words[k] in ("am", "'m", "is", "was", "'s", "are", "'re", "were") and words[k - 1] in ("i", "he", "she", "we", "you")


def _bare_verb(doc: Doc, words: list[str], i: int) -> bool:
    known = words[i] in verbs.IRREGULAR or words[i] in _set("work visit learn play talk help travel receive wake improve live study start")
    noun = doc[i].tag_ in ("NN", "NNP", "NNS", "JJ", "DT") and not (words[i] in verbs.IRREGULAR and _object_follows(doc, words, i + 1))
    return doc[i].tag_ in ("VB", "VBP") or (known and not noun)


def _gerund(doc: Doc, first: int, verb: int, lead: str, reason: str) -> Finding:
    return Finding("verb_pattern", first, verb, reason, (f"{lead} {verbs.gerund(doc[verb].lower_)}",))


def _wanted_clause(doc: Doc, words: list[str], i: int) -> bool:
    if _at(words, i) in _NOMINATIVE:
        return _tag(doc, i + 1) in ("VBP", "VBZ", "VB", "VBD", "MD")
    return _at(words, i) in _DETERMINERS and _tag(doc, i + 1) in ("NN", "NNS") and _tag(doc, i + 2) in ("VBP", "VBZ", "VB", "MD")


def _object_form(doc: Doc, i: int) -> str:
    return {"i": "me", "he": "him", "she": "her", "we": "us", "they": "them"}.get(doc[i].lower_, doc[i].text)


def age(doc: Doc) -> Iterator[Finding]:
    """ "I have 25 years old"."""
    words = _w(doc)
    be = {"have": "are", "has": "is", "had": "was", "'ve": "am"}
    for i, word in enumerate(words):
        if word not in be or i + 2 >= len(words) or not doc[i + 1].like_num or words[i + 2] not in ("years", "year"):
            continue
        old = _at(words, i + 3) == "old"
        ends = _at(words, i + 3) in (".", ",", "and", "?") and _at(words, i - 1) in ("i", "he", "she")
        if (old and _tag(doc, i + 4) not in ("NN", "NNS")) or (
            ends and not any(words[k] in ("experience", "left", "to") for k in range(i, min(i + 8, len(words))))
        ):
            said = "am" if _at(words, i - 1) == "i" else be[word]
            yield Finding("age", i, i + 2 + old, "English gives an age with “be”, not “have”.", (f"{said} {words[i + 1]} years old",))


_SHORT_ADJECTIVES = {
    "tall": "taller",
    "big": "bigger",
    "small": "smaller",
    "old": "older",
    "young": "younger",
    "fast": "faster",
    "slow": "slower",
    "cheap": "cheaper",
    "strong": "stronger",
    "short": "shorter",
    "long": "longer",
    "high": "higher",
    "low": "lower",
    "hard": "harder",
    "easy": "easier",
    "happy": "happier",
    "heavy": "heavier",
    "good": "better",
    "bad": "worse",
    "rich": "richer",
    "cold": "colder",
    "hot": "hotter",
    "warm": "warmer",
    "nice": "nicer",
    "large": "larger",
    "new": "newer",
    "weak": "weaker",
    "light": "lighter",
    "near": "nearer",
    "far": "farther",
    "early": "earlier",
    "late": "later",
    "great": "greater",
    "smart": "smarter",
    "clean": "cleaner",
    "deep": "deeper",
    "wide": "wider",
    "safe": "safer",
    "funny": "funnier",
    "pretty": "prettier",
    "quick": "quicker",
    "thin": "thinner",
    "fat": "fatter",
    "close": "closer",
    "busy": "busier",
}
_MANNER = _set(
    "speak speaks spoke teach teaches taught do does did sing sings sang dance dances danced drive drives drove play plays played "
    "cook cooks cooked swim swims swam write writes wrote draw draws drew run runs ran works sleep slept sleeps paint paints "
    "explain explains explained understand understands"
)


def comparison_and_manner(doc: Doc) -> Iterator[Finding]:
    """ "more easier", "more tall than", "most cheapest", "he speaks English very good"."""
    words = _w(doc)
    comparatives = frozenset(_SHORT_ADJECTIVES.values())
    for i, word in enumerate(words[:-1]):
        following = words[i + 1]
        if word == "more" and following in comparatives - {"later", "closer"} and _tag(doc, i + 2) not in ("NN", "NNS"):
            yield Finding(
                "double_comparative", i, i + 1, f"“{following.capitalize()}” is already a comparative; drop “more”.", (following,)
            )
        elif word == "more" and following in _SHORT_ADJECTIVES and _at(words, i + 2) == "than" and _tag(doc, i + 3) != "JJ":
            yield Finding(
                "comparative",
                i,
                i + 1,
                f"The comparative of “{following}” is “{_SHORT_ADJECTIVES[following]}”.",
                (_SHORT_ADJECTIVES[following],),
            )
        elif (
            word == "most"
            and following.endswith("est")
            and doc[i + 1].tag_ in ("JJS", "RBS", "JJ")
            and following not in ("honest", "modest", "earnest", "interest", "dishonest")
        ):
            yield Finding(
                "double_comparative", i, i + 1, f"“{following.capitalize()}” is already a superlative; drop “most”.", (following,)
            )
        if (
            word in ("very", "really", "so", "pretty")
            and following in ("good", "bad")
            and _at(words, i + 2) in (".", "and", "but", ",", "?", "!", "because")
        ):
            k = next((k for k in range(i - 1, max(-1, i - 4), -1) if words[k] in _MANNER and doc[k].pos_ == "VERB"), None)
            if k is None or any(
                words[m] in _DETERMINERS | {"something", "anything", "nothing", ",", "is", "was", "everything"} for m in range(k + 1, i)
            ):
                continue
            said = {"good": "well", "bad": "badly"}[following]
            yield Finding("adverb", i, i + 1, f"How something is done takes an adverb: “{said}”.", (f"{doc[i].text} {said}",))


_ASKED = _set("ask asks asked know knows tell tells told wonder wonders understand remember explain show")
_QUESTION = _set("where when why how what")


def indirect_question(doc: Doc) -> Iterator[Finding]:
    """ "She asked me where do I live", "tell me where is the station"."""
    words = _w(doc)
    for i, word in enumerate(words):
        if word not in _ASKED:
            continue
        k = i + 1 + (_at(words, i + 1) in _OBJECTS | {"you", "her"})
        if _at(words, k) not in _QUESTION:
            continue
        question, auxiliary, subject = words[k], _at(words, k + 1), _at(words, k + 2)
        if auxiliary in ("do", "does", "did") and subject in _NOMINATIVE and _tag(doc, k + 3) in ("VB", "VBP", "VBD", "VBZ"):
            verb = words[k + 3]
            form = verbs.past(verb) if auxiliary == "did" else verbs.third_person(verb) if auxiliary == "does" else verb
            yield Finding(
                "indirect_question",
                k,
                k + 3,
                "Inside another sentence a question keeps the order of a statement.",
                (f"{question} {doc[k + 2].text} {form}",),
            )
        elif auxiliary in ("is", "are", "was", "were", "can", "will", "should") and (
            (subject in _PERSONS | {"it"} and _tag(doc, k + 3) not in ("DT", "PRP$") and auxiliary != "'s")
            or (
                question in ("where", "when", "why")
                and subject in _POSSESSIVES | {"the"}
                and _tag(doc, k + 3) == "NN"
                and _at(words, k + 4) in (".", "?")
            )
        ):
            if question == "what" and auxiliary in ("is", "was") and subject == "it":
                pass
            last = k + 2 if subject in _NOMINATIVE else k + 3
            yield Finding(
                "indirect_question",
                k,
                last,
                "Inside another sentence a question keeps the order of a statement.",
                (f"{question} {doc[k + 2 : last + 1].text} {auxiliary}",),
            )


def although_but(doc: Doc) -> Iterator[Finding]:
    """ "Although it was late, but we continued"."""
    words = _w(doc)
    for i, word in enumerate(words):
        if word not in ("although", "though") or not (i == 0 or words[i - 1] in (".", "even", "?", "!")):
            continue
        k = next((k for k in range(i + 1, len(words)) if words[k] in ("but", ".")), None)
        if k is None or words[k] != "but" or _at(words, k + 1) not in _NOMINATIVE | {"the", "my", "there"}:
            continue
        finite = [m for m in range(i, k) if doc[m].tag_ in ("VBD", "VBP", "VBZ", "MD")]
        if len(finite) == 1:
            yield Finding("although_but", k, k, f"“{doc[i].text}” already makes the contrast; leave out “but”.", ("",))


_NEVER_NOUNS = _set(
    "see eat be write speak give know meet find think tell go buy sell teach learn forget begin become hear lose send bring keep understand"
)
_CLEAR_PASTS = _set("went came ate took gave bought wrote knew did had got told drank drove sang swam began forgot understood")
_DROPS_TO = _set("make makes made making")
_STATIVE = {"knowing": "know", "believing": "believe", "belonging": "belong", "owning": "own", "preferring": "prefer", "needing": "need"}
_POSSESSIONS = _set("car cars brother brothers sister sisters house houses dog dogs cat cats degree son daughter")
_SPORTS = _set("shopping swimming fishing dancing hiking skiing camping jogging")


def small_patterns(doc: Doc) -> Iterator[Finding]:
    """Errors told by a few neighbouring words alone: "don't have no", "made me to cry", "I not like", "for to buy", "he is knowing"."""
    words = _w(doc)
    for i, word in enumerate(words):
        one, two, three = _at(words, i + 1), _at(words, i + 2), _at(words, i + 3)
        opens = i == 0 or words[i - 1] in (".", "?", "!", ",", "and", "but", "so", "because", "when")
        if (
            word in ("do", "does", "did", "ca", "wo", "have", "has")
            and one == "n't"
            and doc[min(i + 2, len(doc) - 1)].tag_ in ("VB", "VBN", "VBP")
        ) and (
            three in ("no", "nothing", "nobody", "none", "nowhere")
            and _at(words, i + 4) not in ("matter", "longer", ",")
            and two not in ("mean", "say", "care")
        ):
            said = {"no": "any", "nothing": "anything", "nobody": "anybody", "none": "any", "nowhere": "anywhere"}[three]
            yield Finding("double_negative", i, i + 3, "Two negatives in one clause cancel each other.", (f"{doc[i : i + 3].text} {said}",))
        if word in _DROPS_TO and one in _OBJECTS | {"her", "you"} and two == "to" and _tag(doc, i + 3) == "VB":
            yield Finding(
                "verb_pattern", i, i + 3, f"After “{word} {one}” the verb comes without “to”.", (f"{doc[i : i + 2].text} {three}",)
            )
        if (
            word in _PERSONS
            and one in ("not", "no")
            and opens
            and two in _NEVER_NOUNS | _set("like want need have work live come agree")
            and _tag(doc, i + 3) != "VBG"
        ):
            helper = "doesn't" if word in ("he", "she") else "don't"
            yield Finding("negation", i, i + 2, f"English negates a verb with “{helper}”.", (f"{doc[i].text} {helper} {two}",))
        if word in _PERSONS and one in ("have", "has", "'ve") and two in _NEVER_NOUNS and opens and verbs.participle(two) != two:
            yield Finding(
                "participle", i + 1, i + 2, f"After “{one}” comes the participle.", (f"{doc[i + 1].text} {verbs.participle(two)}",)
            )
        if (
            word == "to"
            and one in _CLEAR_PASTS
            and i
            and doc[i - 1].pos_ in ("VERB", "AUX", "ADJ")
            and words[i - 1] not in ("due", "according")
        ):
            yield Finding("form_after_to", i, i + 1, "After “to” the verb keeps its base form.", (f"to {verbs.BASE_OF_PAST[one]}",))
        if word in _PERSONS and one == "very" and two in ("like", "love", "want", "enjoy", "appreciate", "need"):
            yield Finding(
                "word_order",
                i,
                i + 2,
                "“Very” cannot stand before a verb; use “really”, or “very much” at the end.",
                (f"{doc[i].text} really {two}",),
            )
        if word in _PERSONS and one == "born" and opens:
            be = "was" if word in ("i", "he", "she") else "were"
            yield Finding("passive_form", i, i + 1, "“Born” needs a form of “be”.", (f"{doc[i].text} {be} born",))
        if word == "it" and one in ("is", "'s") and two in ("depend", "depends", "mean", "means"):
            yield Finding(
                "be_with_verb",
                i,
                i + 2,
                f"“{two.capitalize()}” is a verb of its own and takes no “be” before it.",
                (f"it {two.rstrip('s')}s",),
            )
        if (
            word == "for"
            and ((one == "to" and _tag(doc, i + 2) == "VB") or one in _set("buy see eat learn speak find meet understand improve become"))
            and _at(words, i - 1) not in ("what", "up", "go", "as")
            and (one != "to" or _at(words, i - 1) not in ("is", "was", "ask", "asked", "allow"))
        ):
            last = i + 2 if one == "to" else i + 1
            yield Finding("verb_pattern", i, last, "A purpose is told by “to” and the verb.", (f"to {words[last]}",))
        if word in ("go", "goes", "went", "going") and one == "to" and two in _SPORTS and _tag(doc, i + 3) not in ("NN", "NNS"):
            yield Finding("preposition", i, i + 2, f"Say “go {two}”, without “to”.", (f"{doc[i].text} {two}",))
        if (
            word in ("in", "on", "at")
            and (
                one in ("yesterday", "tomorrow")
                or (one in ("last", "next") and two in _TIME_NOUNS | _WEEKDAYS and three not in ("'s", "or", "and"))
            )
            and (one in ("last", "next") or (two not in ("'s",) and word != "at"))
        ):
            last = i + 1 + (one in ("last", "next"))
            yield Finding("preposition", i, last, f"“{one.capitalize()}” takes no preposition before it.", (doc[i + 1 : last + 1].text,))
        if one in _STATIVE and word in _BE and i and words[i - 1] in _PERSONS:
            verb = verbs.third_person(_STATIVE[one]) if words[i - 1] in ("he", "she") else _STATIVE[one]
            yield Finding("stative", i, i + 1, "This verb names a state and is not used with -ing.", (verb,))
        if (
            one == "having"
            and word in _BE
            and i
            and words[i - 1] in _PERSONS
            and (doc[min(i + 2, len(doc) - 1)].like_num or two == "a")
            and three in _POSSESSIONS
        ):
            yield Finding(
                "stative",
                i,
                i + 1,
                "For what one owns “have” is not used with -ing.",
                ("has" if words[i - 1] in ("he", "she") else "have",),
            )
        if (
            word == "if"
            and one in ("i", "he", "she", "we", "they", "it")
            and two in ("will", "'ll")
            and (i == 0 or words[i - 1] in (".", "?", "!"))
        ):
            yield Finding("conditional", i + 1, i + 2, "After “if” English uses the present for the future.", (doc[i + 1].text,))
        if (
            word in ("where", "when", "why", "what", "how")
            and one in ("you", "he", "she", "they", "we")
            and (i == 0 or words[i - 1] in (".", "?", "!"))
        ):
            stop = next((k for k in range(i, min(i + 12, len(words))) if words[k] in (".", "?", "!", ",")), None)
            if two in ("are", "is", "can", "will", "were", "was") and stop is not None and words[stop] == "?":
                yield Finding(
                    "question_order", i, i + 2, "In a question the auxiliary comes before the subject.", (f"{doc[i].text} {two} {one}",)
                )
        if word == "what" and one == "means" and two in ("this", "that", "the") and (i == 0 or words[i - 1] in (".", "?", "!", ",")):
            yield Finding("question_order", i, i + 2, "A question about meaning needs “does”.", (f"{doc[i].text} does {two} … mean",))
        if word in ("is", "was") and (i == 0 or words[i - 1] in (".", "!", "?")):
            k = i + 1 + (one in ("very", "not", "so", "really", "too"))
            stop = next((m for m in range(i, len(words)) if words[m] in (".", "?", "!")), None)
            subjectless = _at(words, k) in ("raining", "snowing") or (
                _tag(doc, k) == "JJ" and _at(words, k + 1) in ("to", "that", "for", "because")
            )
            if subjectless and ((stop is not None and words[stop] == ".") or k > i + 1):
                yield Finding("missing_subject", i, i, "An English sentence needs its subject, if only “it”.", (f"it {word}",))
        if (
            (
                doc[i].tag_ in ("JJS", "RBS")
                and word != "most"
                and one in ("from", "between")
                and two in ("all", "my", "the", "them", "us")
                and two != "my"
            )
            and one == "from"
            and two == "all"
            and three in (".", ",", "the", "my", "of", "?")
        ):
            yield Finding("preposition", i + 1, i + 1, "A superlative chooses “of” several.", ("of",))
        if word == "for" and _duration_length(doc, words, i + 1) and any(y in words[i + 1 : i + 5] for y in ("year", "years")):
            yield from _present_for_years(doc, words, i)
        yield from _missing_be(doc, words, i, opens)
        if word in _HAVE and word != "'s":
            k = i + 1
            while _at(words, k) in ("n't", "not", "never", "already", "just", "ever", "always"):
                k += 1
            if (
                _at(words, k) in _CLEAR_PASTS - {"got"} | {"saw", "spoke", "broke", "chose"}
                and verbs.IRREGULAR[verbs.BASE_OF_PAST[words[k]]][1] != words[k]
            ):
                yield Finding(
                    "participle",
                    i,
                    k,
                    f"After “{doc[i].text}” comes the participle.",
                    (f"{doc[i:k].text} {verbs.participle(verbs.BASE_OF_PAST[words[k]])}",),
                )
        if (
            word == "the"
            and one in _COUNTRIES
            and two not in ("of", "that", "we", "i", "'s", "-")
            and _tag(doc, i + 2) not in ("NN", "NNS", "NNP", "JJ", "POS", "NNPS")
        ):
            yield Finding("article", i, i + 1, "Most countries take no “the”.", (doc[i + 1].text,))
        if (
            word in ("like", "love")
            and (one, two) == ("very", "much")
            and i
            and words[i - 1] in ("i", "we")
            and three in (".", "!")
            and (i == 1 or words[i - 2] in (".", ","))
        ):
            yield Finding("missing_object", i, i + 2, f"“{word.capitalize()}” needs to say what.", (f"{word} it very much",))
        if word == "how" and one in ("is", "are", "was") and two in ("it", "this", "that", "he", "she") and three == "called":
            yield Finding("how_call", i, i, "A name is asked for with “what”.", ("what",))
        if word == "the" and one == "police" and two in ("is", "was", "has") and opens:
            yield Finding("agreement", i + 1, i + 2, "“Police” is plural.", (f"police {_PLURAL_OF_BE[two]}",))
        if word in _PERSONS and one in ("am", "'m", "is", "are") and two == "born" and three in ("in", "on"):
            yield Finding("passive_form", i + 1, i + 2, "A birth is past.", ("was born" if word in ("i", "he", "she") else "were born",))
        if word == "a" and one == "work" and two in (".", ",", "because", "?"):
            yield Finding("uncountable", i, i + 1, "“Work” cannot be counted with “a”.", ("work", "a job"))
        if word == "every" and one in ("people", "children"):
            yield Finding(
                "every_with_plural", i, i + 1, "After “every” the noun is singular.", ("everyone" if one == "people" else "every child",)
            )
        if word in ("lost", "lose", "losing") and one in ("the", "my", "our") and two in ("bus", "train", "flight", "plane"):
            said = {"lost": "missed", "lose": "miss", "losing": "missing"}[word]
            yield Finding("collocation", i, i, f"A {two} is missed, not lost.", (said,))
        if (
            word in ("sun", "sky", "moon", "internet", "government")
            and one in ("is", "was")
            and (i == 0 or words[i - 1] in (".", "?", "!"))
        ):
            yield Finding("article", i, i, f"There is only one {word} meant, so it takes “the”.", (f"the {word}",))
        if word == "tomorrow":
            yield from _present_for_tomorrow(doc, words, i)
        if (
            (
                opens
                and doc[i].tag_ == "NNP"
                and (
                    (
                        one in ("live", "work", "like", "want", "need", "know")
                        and doc[i + 1].tag_ in ("VBP", "VB", "IN")
                        and _tag(doc, i + 2) in ("IN", "TO", "DT", "PRP$", "RB", "NN", "NNS")
                    )
                    or (one, two) == ("have", "to")
                )
            )
            and not word.endswith("s")
            and not _other_finite_verb(doc, words, i + 1)
        ):
            said = verbs.third_person(one)
            yield Finding("agreement", i, i + 1, f"“{doc[i].text}” is singular, so the verb is “{said}”.", (f"{doc[i].text} {said}",))
        if (
            word == "how"
            and one in ("do", "to")
            and (
                (two in ("you", "we") and three == "call" and _at(words, i + 4) in ("it", "this", "that"))
                or (two == "call" and three in ("it", "this", "that"))
            )
        ):
            yield Finding("how_call", i, i, "A name is asked for with “what”.", ("what",))
        if word in ("these", "those") and one in ("is", "was") and opens and two not in ("what", "why", "how"):
            yield Finding("agreement", i, i + 1, f"“{doc[i].text}” is plural.", (f"{doc[i].text} {_PLURAL_OF_BE[one]}",))
        if word == "this" and one in ("are", "were") and opens and (i == 0 or words[i - 1] == "."):
            yield Finding(
                "agreement", i, i + 1, "“This” is singular.", (f"{doc[i].text} {'is' if one == 'are' else 'was'}", f"these {one}")
            )
        if one in ("interesting", "exciting") and two in ("in", "about") and word in _BE and i and words[i - 1] in _PERSONS:
            right = {"interesting": "interested in", "exciting": "excited about"}[one]
            yield Finding("participle", i + 1, i + 2, f"The person who feels it is “{right.split()[0]}”.", (right,))
        if (
            word == "too"
            and one == "much"
            and two
            in _SHORT_ADJECTIVES.keys() - {"good", "light", "cold", "fat", "hard", "far", "long"}
            | _set("expensive difficult tired beautiful dangerous important")
            and _tag(doc, i + 3) not in ("NN", "NNS")
        ):
            yield Finding("too_much", i, i + 2, "Before an adjective say “too”, without “much”.", (f"too {two}",))
        if word in ("make", "makes", "made", "making") and ("homework" in (one, two) and one in _POSSESSIVES | {"homework", "the"}):
            yield Finding(
                "collocation",
                i,
                i,
                "Homework is done, not made.",
                ({"make": "do", "makes": "does", "made": "did", "making": "doing"}[word],),
            )
        if (
            word in ("chose", "choose", "decided", "agreed", "refused", "promised", "managed", "tried")
            and one in _NEVER_NOUNS | {"start"}
            and doc[i].pos_ == "VERB"
            and _tag(doc, i + 1) in ("VB", "VBP")
        ):
            yield Finding("verb_pattern", i, i + 1, f"“{word.capitalize()}” needs “to” before the next verb.", (f"{doc[i].text} to {one}",))


_COUNTRIES = _set(
    "germany france spain italy russia china japan mexico brazil india england europe asia africa poland turkey canada australia "
    "egypt korea vietnam thailand argentina colombia chile peru portugal greece sweden norway ukraine iran iraq"
)
_PROMISES = _set("call tell send write help ask talk explain buy do give bring")


def _missing_be(doc: Doc, words: list[str], i: int, opens: bool) -> Iterator[Finding]:
    """ "I going tomorrow", "she my friend"."""
    word, one = words[i], _at(words, i + 1)
    if not opens or word not in ("i", "he", "she", "we", "they"):
        return
    be = {"i": "am", "he": "is", "she": "is"}.get(word, "are")
    going = _tag(doc, i + 1) == "VBG" and one not in ("being", "having", "according", "including")
    named = (
        one in ("my", "a", "the", "very")
        and _tag(doc, i + 2) in ("NN", "JJ")
        and not _other_finite_verb(doc, words, i)
        and (i == 0 or words[i - 1] == ".")
    )
    if going or named:
        yield Finding("missing_be", i, i + 1, f"The verb is missing: say “{doc[i].text} {be}”.", (f"{doc[i].text} {be} {one}",))


def _present_for_tomorrow(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    """ "I call you tomorrow", "tomorrow I talk to him": a promise or plan takes "will"."""
    for k in range(max(1, i - 5), min(len(words), i + 3)):
        if words[k] in _PROMISES and doc[k].tag_ in ("VBP", "VB") and words[k - 1] in ("i", "we"):
            before = _at(words, k - 2)
            if before in (".", ",", "and", "but", "so", "tomorrow") and not any(
                words[m] in (".", "?", "!", "if", "when") for m in range(min(k, i), max(k, i))
            ):
                yield Finding("future", k - 1, k, "What is promised for tomorrow takes “will”.", (f"{doc[k - 1].text} will {words[k]}",))


_GOING_ON = _set("live lives work works know knows study studies learn learns teach teaches")


_GOING_ON_NOW = _set("living working studying learning teaching")


def _present_for_years(doc: Doc, words: list[str], i: int) -> Iterator[Finding]:
    """ "I know him for five years": present simple of a lasting state with a length of time up to now."""
    k = next((k for k in range(i - 1, max(-1, i - 6), -1) if words[k] in _GOING_ON | _GOING_ON_NOW), None)
    progressive = k is not None and words[k] in _GOING_ON_NOW
    if k is not None and progressive and k >= 2 and words[k - 1] in ("am", "'m", "is", "are", "'re") and words[k - 2] in _PERSONS:
        if not any(words[m] in (".", ",", "and", "to", "when", "if") for m in range(k, i)):
            have = "has" if words[k - 2] in ("he", "she") else "have"
            reason = "For a time that lasts until now use the present perfect."
            yield Finding("present_with_for", k - 1, k, reason, (f"{have} been {words[k]}",))
        return
    if k is None or progressive or k == 0 or words[k - 1] not in _PERSONS or any(words[m] in (".", ",", "and", "to") for m in range(k, i)):
        return
    start = max((m for m in range(k) if words[m] in (".", "?", "!")), default=-1) + 1
    if any(words[m] in ("if", "when", "will", "would", "every", "each", "they", "then", "you") for m in range(start, i)):
        return
    have = "has" if words[k - 1] in ("he", "she") else "have"
    said = verbs.participle(_plain(doc[k]))
    yield Finding("present_with_for", k, k, "For a time that lasts until now use the present perfect.", (f"{have} {said}",))


_SINGULAR_HEADS = _set(
    "quality price list box color colour size cost name purpose use goal idea problem reason result meaning taste shape speed level "
    "amount length"
)


def distant_subject(doc: Doc) -> Iterator[Finding]:
    """ "The people in my country is", "the list of items were", "each of the students have", "my hair are", "the man he is"."""
    words = _w(doc)
    for verb in doc:
        form = verb.lower_
        if form in ("is", "was") and verb.dep_ in ("ROOT", "ccomp", "advcl", "aux", "auxpass", "conj"):
            head = verb.head if verb.dep_ in ("aux", "auxpass") else verb
            subject = next((child for child in head.lefts if child.dep_ in ("nsubj", "nsubjpass")), None)
            if subject is None or subject.i >= verb.i - 1 or (subject.tag_ != "NNS" and subject.lower_ not in _PLURAL_HEADS - {"police"}):
                continue
            between = doc[subject.i + 1 : verb.i]
            inside = {token.i for token in subject.subtree}
            first = min(inside)
            plain = all(token.i in inside and token.pos_ in ("ADP", "DET", "NOUN", "PROPN", "ADJ", "PRON") for token in between)
            if (
                not plain
                or not between
                or between[0].pos_ != "ADP"
                or subject.lower_ in _SINGULAR_IN_S | _AMOUNTS
                or subject.lower_ not in _PLURAL_HEADS | _PLURAL_ROLES
            ):
                continue
            if any(token.tag_ in ("CC", "CD", "VBG", ",") or token.lower_ in ("each", "every", "of") for token in subject.subtree) or not (
                first == 0 or words[first - 1] in (".", "and", "because", "but", ",")
            ):
                continue
            yield Finding("agreement", verb.i, verb.i, f"The subject “{subject.text}” is plural.", (_PLURAL_OF_BE[form],))
    for i, word in enumerate(words[:-1]):
        if word == "and" and i >= 1:
            k = i + 1 + (_at(words, i + 1) in _POSSESSIVES | {"the"})
            first = i - 1 - (i >= 2 and words[i - 2] in _POSSESSIVES | {"the"})
            persons = words[i - 1] in _PEOPLE | {"me", "he", "she", "i", "you"} and _at(words, k) in _PEOPLE | {
                "me",
                "i",
                "he",
                "she",
                "you",
            }
            form = _at(words, k + 1)
            if (
                persons
                and (first == 0 or words[first - 1] in (".", "because", "but", ","))
                and (form in ("is", "was", "has") or _tag(doc, k + 1) == "VBZ")
            ):
                said = _PLURAL_OF_BE.get(form) or _plain(doc[k + 1])
                yield Finding("agreement", k, k + 1, "Two people take a plural verb.", (f"{doc[k].text} {said}",))
        opens = i == 0 or words[i - 1] in (".", "?", "!", ",", "because", "but")
        if opens and word in ("the", "my", "your", "his", "our", "their"):
            noun, following = _at(words, i + 1), _at(words, i + 2)
            if noun in _UNCOUNTABLE_NOUNS | {"hair", "money", "music", "weather", "food"} and following in ("are", "were", "have"):
                said = {"are": "is", "were": "was", "have": "has"}[following]
                yield Finding("agreement", i + 1, i + 2, f"“{noun.capitalize()}” is singular.", (f"{noun} {said}",))
            if noun in _SINGULAR_HEADS and following == "of" and word in ("the", "my"):
                k = i + 3 + (_at(words, i + 3) in _DETERMINERS)
                if _tag(doc, k) == "NNS" and _at(words, k + 1) in ("are", "were", "have") and words[k] not in _SINGULAR_IN_S:
                    said = {"are": "is", "were": "was", "have": "has"}[words[k + 1]]
                    yield Finding("agreement", k + 1, k + 1, f"The subject is “{noun}”, which is singular.", (said,))
            if noun in _PEOPLE and following in ("he", "she") and _tag(doc, i + 3) in ("VBZ", "VBD", "VBP"):
                stop = next((k for k in range(i + 4, len(words)) if words[k] in (".", "?", "!", "and", "but", "because")), len(words))
                if not any(doc[k].tag_ in ("VBZ", "VBD", "VBP", "MD") for k in range(i + 4, stop)) and stop > i + 4:
                    yield Finding("double_subject", i, i + 2, "The subject is named twice.", (doc[i : i + 2].text,))
        if (
            opens
            and word == "each"
            and _at(words, i + 1) == "of"
            and _at(words, i + 2) in _DETERMINERS
            and _tag(doc, i + 3) == "NNS"
            and _at(words, i + 4) in ("are", "were", "have")
        ):
            said = {"are": "is", "were": "was", "have": "has"}[words[i + 4]]
            yield Finding("agreement", i + 4, i + 4, "“Each” is singular.", (said,))


_PEOPLE = _set(
    "man woman boy girl brother sister mother father mom mum dad son daughter wife husband friend boss teacher uncle aunt cousin "
    "grandmother grandfather manager colleague doctor"
)
_PLURAL_ROLES = _set("students kids friends parents teachers workers employees books cars houses buildings shops streets problems things")


RULES: tuple[Rule, ...] = (
    tense_with_past_time,
    past_frame,
    present_with_since,
    forms_after_auxiliary,
    there_is_many,
    subject_and_verb,
    number_of_nouns,
    missing_article,
    prepositions,
    verb_patterns,
    age,
    comparison_and_manner,
    indirect_question,
    although_but,
    small_patterns,
    distant_subject,
)


def findings(doc: Doc) -> list[Finding]:
    """What all rules found, in order; where two overlap the one that came first in RULES stays."""
    kept: list[Finding] = []
    for rule in RULES:
        for found in rule(doc):
            if all(found.last < other.first or found.first > other.last for other in kept):
                kept.append(found)
    return [_whole_words(doc, found) for found in sorted(kept, key=lambda found: found.first)]


def _whole_words(doc: Doc, found: Finding) -> Finding:
    """ "don't" and "I'm" are two tokens but one word: what is left of the word goes into the suggestion."""
    if found.last + 1 < len(doc) and not doc[found.last].whitespace_ and doc[found.last + 1].lower_ in ("n't", "n’t"):
        return replace(found, last=found.last + 1, suggestions=tuple(f"{said}n't" for said in found.suggestions))
    return found
