"""What was found in a session whose names, numbers and e-mail addresses are hidden."""

from collections.abc import Sequence
from dataclasses import replace

from batch.analyze import Findings
from speech.masking import hidden, masked
from speech.words import Word


def masked_findings(findings: Findings, words: Sequence[Word]) -> Findings:
    """The same numbers, without words that are to be hidden: what a remark on the wording quotes cannot be masked in part."""
    spans = [(words[one.first].start, words[one.stop - 1].end) for one in hidden(words, findings.entities)]

    def free(start: int, end: int) -> bool:
        return all(end <= first or last <= start for first, last in spans)

    shown = masked(words, findings.entities)
    return replace(
        findings,
        language_issues=tuple(issue for issue in findings.language_issues if free(issue.start, issue.end)),
        disfluencies=tuple(
            one
            if free(one.start, one.end)
            else replace(one, text=" ".join(w.text for w in shown if w.start < one.end and one.start < w.end))
            for one in findings.disfluencies
        ),
    )
