"""The forms of English verbs, for suggestions: irregular ones by table, the others by spelling rules."""

import re


def _table(text: str) -> dict[str, tuple[str, str]]:
    """base -> (past, participle); a verb with two words has the same form for both."""
    forms = (entry.split() for entry in text.split(";") if entry.strip())
    return {form[0]: (form[1], form[-1]) for form in forms}


IRREGULAR = _table("""
be was been; become became become; begin began begun; bend bent; bet bet; bite bit bitten; bleed bled; blow blew blown;
break broke broken;
breed bred; bring brought; build built; burst burst; buy bought; catch caught; choose chose chosen; come came come; cost cost; cut cut;
deal dealt; dig dug; do did done; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen;
feed fed; feel felt;
fight fought; find found; fly flew flown; forbid forbade forbidden; forget forgot forgotten; forgive forgave forgiven;
freeze froze frozen;
get got gotten; give gave given; go went gone; grow grew grown; hang hung; have had; hear heard; hide hid hidden; hit hit;
hold held; hurt hurt;
keep kept; know knew known; lay laid; lead led; leave left; lend lent; let let; lose lost; make made; mean meant; meet met;
pay paid; put put;
quit quit; read read; ride rode ridden; ring rang rung; rise rose risen; run ran run; say said; see saw seen; seek sought;
sell sold; send sent;
set set; shake shook shaken; shine shone; shoot shot; show showed shown; shut shut; sing sang sung; sink sank sunk; sit sat; sleep slept;
speak spoke spoken; spend spent; spread spread; stand stood; steal stole stolen; stick stuck; strike struck; swear swore sworn;
sweep swept;
swim swam swum; swing swung; take took taken; teach taught; tear tore torn; tell told; think thought; throw threw thrown;
understand understood; upset upset; wake woke woken; wear wore worn; win won; write wrote written
""")
BASE_OF_PAST = {past: base for base, (past, _) in IRREGULAR.items() if past != base}

_DOUBLED = frozenset(["stop", "plan", "drop", "shop", "chat", "travel", "prefer", "jog", "rob", "hug", "beg", "admit", "permit", "control"])

_DOUBLED |= {"swim", "run", "sit", "get", "put", "cut", "win", "begin", "set", "hit", "let", "forget", "dig", "shut", "quit", "bet", "spin"}


def past(base: str) -> str:
    """go -> went, visit -> visited."""
    if base in IRREGULAR:
        return IRREGULAR[base][0]
    if base.endswith("e"):
        return base + "d"
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ied"
    return base + (base[-1] if base in _DOUBLED else "") + "ed"


def participle(base: str) -> str:
    """go -> gone, visit -> visited."""
    return IRREGULAR[base][1] if base in IRREGULAR else past(base)


def gerund(base: str) -> str:
    """make -> making, swim -> swimming."""
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")) and base != "be":
        return base[:-1] + "ing"
    return base + (base[-1] if base in _DOUBLED else "") + "ing"


def third_person(base: str) -> str:
    """go -> goes, have -> has."""
    if base in ("have", "be"):
        return {"have": "has", "be": "is"}[base]
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
