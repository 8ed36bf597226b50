"""How far the goodness of words goes with what experts say, and how often a native reader is marked.

`python -m bench.pronunciation [--speakers N]` prints tables and writes bench/results/pronunciation.json.

The rated sentences of the shared data (speechocean762, English of speakers of Mandarin), each speaker's as one session with its script:
the mean over a sentence against the experts' accuracy, raw and as a straight line fitted in five folds by speaker, beside what was
recognised as written, the recogniser's own word probabilities without the script, and one expert against the mean of the other four.
Then read speech of natives, where every mark below `clear` counts as false, though some are slips of the reader. The shared data has no
ratings of single words, so what a single mark is worth is not measured.
"""

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from batch import analyze
from batch.decode import decode
from bench import corpus, rated_speech
from bench.corpus import Utterance
from bench.table import Row, keep, show
from config import models
from config.settings import read_settings
from recognition.lexicon import pronunciations
from recognition.pronunciation import pronounced as judged
from recognition.whisper import Recogniser
from speech.audio import RATE_HZ, Floats
from speech.goodness import goodness, level
from speech.script import compare, tokens, words_of
from speech.windows import stretches
from speech.words import Word

Doubles = NDArray[np.float64]

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Read:
    """One word of a script."""

    text: str
    verdict: str
    goodness: float  # 0 where it was left out
    heard: float  # mean probability of the words heard in its place, without the script


def read(recogniser: Recogniser, pcm: Floats, listened: analyze.Listened, heard: Sequence[Word], script: Sequence[str]) -> list[Read]:
    """As batch/pronounced.py does it, without its refusals."""
    words = [word for word in heard if word.kind == "word"]
    said = [word.text for word in words]
    compared = compare(script, said, pronunciations({token for word in (*script, *said) for token in tokens(word)}))
    spans = stretches(listened.probability, pcm.size)
    found = {one.script: goodness(one.probability) for one in judged(recogniser, pcm, spans, words, compared, lambda _: None)}
    return [
        Read(word.text, word.verdict, found.get(i, 0.0), float(np.mean([words[j].probability for j in word.heard] or [0.0])))
        for i, word in enumerate(compared.words)
    ]


def rated(recogniser: Recogniser, sessions: Sequence[rated_speech.Session]) -> tuple[list[Row], Mapping[str, float]]:
    """Sentence means against the experts' accuracy; and the cost."""
    accuracy = _accuracy()
    columns: dict[str, list[float]] = {"goodness": [], "as written": [], "heard probability": []}
    experts, speakers = [], []
    spent_s = sound_s = 0.0
    for session in sessions:
        pcm, _ = rated_speech.joined(session.sentences)
        scripts = [words_of(sentence.text) for sentence in session.sentences]
        began_s = time.process_time()
        words = iter(read(recogniser, pcm, session.listened, session.heard.transcript.words, [w for script in scripts for w in script]))
        spent_s += time.process_time() - began_s
        sound_s += pcm.size / RATE_HZ
        for sentence, script in zip(session.sentences, scripts, strict=True):
            own = [next(words) for _ in script]
            columns["goodness"].append(float(np.mean([word.goodness for word in own])))
            columns["as written"].append(float(np.mean([word.verdict == "read" for word in own])))
            columns["heard probability"].append(float(np.mean([word.heard for word in own])))
            experts.append(accuracy[sentence.name])
            speakers.append(sentence.speaker)
    by_expert = np.array(experts)
    truth = by_expert.mean(1)
    rows = [_row(name, np.array(column), truth, speakers) for name, column in columns.items()]
    others = [(by_expert[:, i], np.delete(by_expert, i, 1).mean(1)) for i in range(by_expert.shape[1])]
    ceiling = [float(np.mean([measure(one, rest)[0] for one, rest in others])) for measure in (pearsonr, spearmanr)]
    rows.append(
        {"what": "one expert, the other four", "PCC": ceiling[0], "Spearman": ceiling[1], "PCC, 5 folds": None, "PCC of speakers": None}
    )
    return rows, {"sentences": len(truth), "speakers": len(set(speakers)), "CPU s a second of sound": spent_s / sound_s}


def _row(name: str, values: Doubles, truth: Doubles, speakers: Sequence[str]) -> Row:
    names = sorted(set(speakers))
    who = np.array([names.index(speaker) for speaker in speakers])
    guessed = np.empty_like(truth)
    for fold in range(FOLDS):
        left_out = who % FOLDS == fold
        guessed[left_out] = np.polyval(np.polyfit(values[~left_out], truth[~left_out], 1), values[left_out])
    means = [[float(of[who == i].mean()) for i in range(len(names))] for of in (values, truth)]
    return {
        "what": name,
        "PCC": float(pearsonr(values, truth)[0]),
        "Spearman": float(spearmanr(values, truth)[0]),
        "PCC, 5 folds": float(pearsonr(guessed, truth)[0]),
        "PCC of speakers": float(pearsonr(*means)[0]),
    }


def _accuracy() -> dict[str, list[float]]:
    with (rated_speech.folder() / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["utt"]: [float(x) for x in row["accuracy_experts"].split(";")] for row in csv.DictReader(file)}


def marked(name: str, words: Sequence[Read]) -> Row:
    """Marks per 100 words of the script."""
    levels = ["left_out" if word.verdict == "left_out" else level(word.verdict == "read", word.goodness) for word in words]
    share = {what: 100 * levels.count(what) / len(levels) for what in ("unsure", "other", "left_out")}
    return {
        "read by": name,
        "words": len(words),
        **share,
        "not as written": 100 * sum(word.verdict != "read" for word in words) / len(words),
    }


def natives(recogniser: Recogniser, utterances: Sequence[Utterance]) -> list[Read]:
    """Every word of read speech with its text."""
    found = []
    for utterance in utterances:
        recording = decode(utterance.path)
        listened = analyze.listen(recording, lambda _: None)
        heard = analyze.recognise(recogniser, recording, listened, 1, lambda _: None)
        found += read(recogniser, recording.pcm, listened, heard.transcript.words, words_of(utterance.text))
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--speakers", type=int, default=40, help="how many of the rated speakers to take")
    speakers = parser.parse_args().speakers
    settings = read_settings()
    recogniser = Recogniser(models.asr_model(settings), models.placement(settings), 1)
    rows, cost = rated(recogniser, rated_speech.sessions(settings)[:speakers])
    show(f"Accuracy by experts, {cost['sentences']} sentences of {cost['speakers']} speakers", rows)
    print(f"{cost['CPU s a second of sound']:.3f} CPU s a second of sound")
    of_natives = [
        marked("natives, LJSpeech", natives(recogniser, corpus.ljspeech())),
        marked("natives, libri_word_align", natives(recogniser, [utterance for utterance, _ in corpus.word_aligned()])),
        marked("natives, LibriSpeech test-other", natives(recogniser, corpus.librispeech())),
    ]
    show("Marks per 100 words", of_natives)
    keep("pronunciation", {"natives": of_natives, "rated": rows, **cost})


if __name__ == "__main__":
    main()
