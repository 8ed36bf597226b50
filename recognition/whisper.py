"""Whisper on CTranslate2: windows of sound in, words with times and probabilities out. Windows are encoded only as far as they need."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from config.models import AsrModel, Placement
from speech.audio import HOP, RATE_HZ, Floats, Span
from speech.edges import Placed
from speech.words import Word, WordKind

LONGEST = 30 * RATE_HZ
# A window is padded to at least _FLOOR and by at least _TAIL: tighter, the decoder does not know where to stop and loops.
_FLOOR = 12 * RATE_HZ
_TAIL = 3 * RATE_HZ
_STEP = 2 * HOP  # samples per position of the encoder
_TOKENS_PER_S = 12  # nobody speaks faster: about 9 words a second
_SLACK = 16  # tokens more, whatever the length
_BEAM = 5
_DOUBTFUL = -0.35  # mean log probability per token below which greedy decoding is not trusted
_POSITIONS = 440  # of the decoder's 448 may hold text
_MEDIAN = 5  # positions: the shorter of the usual filters keeps short words apart
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_PROMPT = " Um, uh, hmm, er, ah."  # short and static: a longer one seeds loops
_SPACE = "\u0120"  # how the vocabulary writes a space
_FILLERS = {"um": (" um", " Um"), "uh": (" uh", " Uh")}  # inside a sentence, at its start


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A batch of windows as the decoder sees them."""

    states: np.ndarray  # (batch, positions, width)
    samples: tuple[int, ...]  # of sound in each


@dataclass(frozen=True, slots=True)
class Decoded:
    """The tokens of one window and how sure the recogniser was of them."""

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]  # of each token, after those before it; 0..1
    log_probability: float  # mean per token
    no_speech: float  # 0..1


@dataclass(frozen=True, slots=True)
class Piece:
    """One recognised window of a recording."""

    span: Span
    encoded: Encoded
    row: int  # of the batch in `encoded`
    decoded: Decoded
    placed: tuple[Placed, ...]  # on the clock of the recording


class Recogniser:
    """One Whisper model in memory. Several threads may call it at once; each call is one batch."""

    def __init__(self, model: AsrModel, where: Placement, workers: int) -> None:
        self._model = ctranslate2.models.Whisper(
            str(model.folder), device=where.device, compute_type=where.compute_type, inter_threads=workers, intra_threads=1
        )
        self._vocabulary = _vocabulary(model.folder / "tokenizer.json")
        self._multilingual = bool(self._model.is_multilingual)
        self._mel = FeatureExtractor(feature_size=self._model.n_mels)

    def encode(self, windows: Sequence[Floats], padded: int | None = None) -> Encoded:
        """Sound of at most 30 s each -> what the decoder attends to. One window at a time: a batch of them costs more than its parts.

        padded: the samples that each is padded to; by default what the longest of them needs.
        """
        longest = max(w.size for w in windows)
        length = padded or min(LONGEST, max(_FLOOR, longest + _TAIL)) // _STEP * _STEP
        states = []
        for window in windows:
            mel = self._mel(np.pad(window, (0, max(0, length - window.size))), padding=0)[:, : length // HOP]
            features = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None], dtype=np.float32))
            states.append(np.array(self._model.encode(features, to_cpu=True)))
        return Encoded(np.concatenate(states), tuple(w.size for w in windows))

    def languages(self, encoded: Encoded) -> list[dict[str, float]]:
        """Of each window the probability of every language the model knows, by ISO 639-1 code."""
        if not self._multilingual:
            return [{"en": 1.0}] * len(encoded.samples)
        found = self._model.detect_language(ctranslate2.StorageView.from_array(encoded.states))
        return [{token[2:-2]: probability for token, probability in window} for window in found]

    def decode(self, encoded: Encoded, language: str) -> list[Decoded]:
        """The most probable tokens of each window, without timestamps or conditioning on earlier text.

        First greedily; a window that this leaves in doubt is searched with a beam, which is worth its cost only there.
        """
        found = self._generate(encoded, language, 1)
        for i, one in enumerate(found):
            if one.log_probability < _DOUBTFUL:
                # Alone: every beam holds keys and values of its own for the whole window, 36 MB for half a minute.
                alone = Encoded(encoded.states[i : i + 1], encoded.samples[i : i + 1])
                found[i] = self.search(alone, language)[0]
        return found

    def search(self, encoded: Encoded, language: str) -> list[Decoded]:
        """As `decode`, with a beam from the start."""
        return self._generate(encoded, language, _BEAM)

    def decode_greedily(self, encoded: Encoded, language: str) -> list[Decoded]:
        """As `decode` without its search. Each window gives what it would give alone, to the last bit, if all are encoded to one length."""
        tokenizer = self._tokenizer(language)
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        most = [_SLACK + _TOKENS_PER_S * -(-samples // RATE_HZ) for samples in encoded.samples]
        results = self._model.generate(
            ctranslate2.StorageView.from_array(encoded.states),
            [prompt] * len(most),
            beam_size=1,
            max_length=min(448, 2 * max(most)),  # CTranslate2 generates half as many
            return_logits_vocab=True,
            return_no_speech_prob=True,
        )
        found = []
        for result, own in zip(results, most, strict=True):
            tokens = tuple(result.sequences_ids[0][:own])
            sure = _likely(result.logits[0], tokens)
            found.append(Decoded(tokens, sure, float(np.mean(np.log(sure))) if sure else 0.0, float(result.no_speech_prob)))
        return found

    def _generate(self, encoded: Encoded, language: str, beam: int) -> list[Decoded]:
        tokenizer = self._tokenizer(language)
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        results = self._model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(encoded.states)),
            [prompt] * len(encoded.samples),
            beam_size=beam,
            max_length=min(448, len(prompt) + _SLACK + _TOKENS_PER_S * -(-max(encoded.samples) // RATE_HZ)),
            return_scores=True,
            return_logits_vocab=beam == 1,  # a beam does not keep them: it is asked again
            return_no_speech_prob=True,
        )
        tokens = [tuple(r.sequences_ids[0]) for r in results]
        if beam == 1:
            sure = [_likely(r.logits[0], own) for r, own in zip(results, tokens, strict=True)]
        else:
            sure = [tuple(own.tolist()) for own, _ in self._align(encoded, tokenizer, [list(own) for own in tokens])]
        return [
            Decoded(own, likely, float(r.scores[0]), float(r.no_speech_prob)) for own, likely, r in zip(tokens, sure, results, strict=True)
        ]

    def place(self, encoded: Encoded, decoded: Sequence[Decoded], language: str) -> list[list[Placed]]:
        """The words of each window with sample times from its start.

        Times come from a teacher-forced pass over the same text cut into its first letter and pairs of letters: attention then has
        something to hold on to every few hops, where whole-word tokens are known to run 50 ms early.
        """
        tokenizer = self._tokenizer(language)
        words = [_words(tokenizer, d.tokens, language) for d in decoded]
        spelt = [_spelt(tokenizer, window) for window in words]
        timed = self._align(encoded, tokenizer, [[token for word in window for piece in word for token in piece] for window in spelt])
        return [
            _placed(window, [[len(piece) for piece in word] for word in cut], one.probabilities, begins, samples)
            for window, cut, one, (_, begins), samples in zip(words, spelt, decoded, timed, encoded.samples, strict=True)
        ]

    def filler_probability(self, encoded: Encoded, window: int, heard: Span, before: Sequence[int]) -> dict[str, float]:
        """How probable each filled pause is as the next word, with a comma or without, after the tokens `before` of English; 0..1.

        heard: the samples of the window to attend to; `before` is what was said in it so far.
        """
        tokenizer = self._tokenizer("en")
        text = tokenizer.decode(list(before)).rstrip()
        form = 1 if not text or text[-1] in ".?!" else 0
        pauses: list[list[int]] = [[], tokenizer.encode(",")] if text and text[-1].isalnum() else [[]]
        asked = [(name, pause, tokenizer.encode(_FILLERS[name][form])[0]) for name in _FILLERS for pause in pauses]
        states = encoded.states[window : window + 1, heard.start // _STEP : -(-heard.end // _STEP)]
        one = Encoded(np.repeat(states, len(asked), 0), (heard.end - heard.start,) * len(asked))
        start = [tokenizer.sot_prev, *tokenizer.encode(_PROMPT), *tokenizer.sot_sequence]
        results = self._align(one, tokenizer, [[*before, *pause, token] for _, pause, token in asked], start)
        likely = dict.fromkeys(_FILLERS, 0.0)
        for (name, _, _), (probabilities, _) in zip(asked, results, strict=True):
            likely[name] += float(np.prod(probabilities[len(before) :]))
        return likely

    def tokens(self, text: str) -> list[int]:
        """A piece of English as the decoder writes it. A word begins with its space."""
        return list(self._vocabulary.encode(text, add_special_tokens=False).ids)

    def likelihood(self, encoded: Encoded, window: int, tokens: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Of each token of an English text its probability after those before it, and the sample where it begins; one more for the end."""
        one = Encoded(encoded.states[window : window + 1], encoded.samples[window : window + 1])
        return self._align(one, self._tokenizer("en"), [list(tokens)])[0]

    def text(self, tokens: Sequence[int]) -> str:
        """What these tokens say."""
        return str(self._vocabulary.decode(list(tokens)))

    def tokens_of(self, tokens: Sequence[int], first: int, last: int) -> tuple[int, ...]:
        """The tokens of the English words from `first` to before `last`."""
        ends = np.cumsum([0, *(word.tokens for word in _words(self._tokenizer("en"), tokens, "en"))])
        return tuple(tokens[ends[first] : ends[last]])

    def _align(
        self, encoded: Encoded, tokenizer: Tokenizer, tokens: Sequence[list[int]], start: Sequence[int] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        # Per window the probability of each token and the sample where each begins, one more for the end.
        blank = tokenizer.encode(" ")  # alignment of nothing is not defined
        # One window at a time: it costs no more than together, and together they hold the attention of every layer to every position.
        results = [
            self._model.align(
                ctranslate2.StorageView.from_array(np.ascontiguousarray(encoded.states[i : i + 1])),
                list(start or tokenizer.sot_sequence),
                [own or blank],
                [max(2, samples // HOP)],
                median_filter_width=_MEDIAN,
            )[0]
            for i, (own, samples) in enumerate(zip(tokens, encoded.samples, strict=True))
        ]
        out = []
        for result in results:
            text, time = np.array(result.alignments, dtype=np.int64).reshape(-1, 2).T
            first = np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)
            out.append((np.array(result.text_token_probs), time[first] * _STEP))
        return out

    def _tokenizer(self, language: str) -> Tokenizer:
        return Tokenizer(self._vocabulary, self._multilingual, task="transcribe", language=language)


def _vocabulary(path: Path) -> tokenizers.Tokenizer:
    # The bundled tokenizer.json lost the first of its merges, a space and a t: it reads " the" as " ", "the", which no decoder writes.
    written = path.read_text(encoding="utf-8")
    rules = json.loads(written)
    merges = rules["model"]["merges"]
    first = [_SPACE, "t"] if isinstance(merges[0], list) else f"{_SPACE} t"
    if first not in merges:
        merges.insert(0, first)
        written = json.dumps(rules)
    return tokenizers.Tokenizer.from_str(written)


@dataclass(slots=True)
class _Spelt:
    """One word of the transcript and the pieces it is cut into for timing."""

    text: str
    pieces: list[str]
    tokens: int  # of the decoder


def _words(tokenizer: Tokenizer, tokens: Sequence[int], language: str) -> list[_Spelt]:
    # Punctuation and parts of a word join the word before them; an opening quote waits for the word after it.
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    words: list[_Spelt] = []
    for text, group in zip(texts[:-1], groups[:-1], strict=True):
        part = not _spoken(text) or (language not in _UNSPACED and not text.startswith(" "))
        if words and (part or not _spoken(words[-1].text)):
            words[-1].text += text.strip()
            words[-1].pieces += _cut(text)
            words[-1].tokens += len(group)
        else:
            words.append(_Spelt(text.strip(), _cut(text), len(group)))
    return words if any(_spoken(word.text) for word in words) else []


def _spelt(tokenizer: Tokenizer, words: list[_Spelt]) -> list[list[list[int]]]:
    # The tokens of each piece of each word. Where that is more than the decoder has positions for, words stay whole.
    spelt = [[tokenizer.encode(piece) for piece in word.pieces] for word in words]
    if sum(len(piece) for word in spelt for piece in word) <= _POSITIONS:
        return spelt
    for word in words:
        word.pieces = ["".join(word.pieces)]
    return [[tokenizer.encode(piece) for piece in word.pieces] for word in words]


def _spoken(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _cut(text: str) -> list[str]:
    # " horses" -> " h", "or", "se", "s"
    bare = text.strip()
    pieces = [bare[:1], *(bare[i : i + 2] for i in range(1, len(bare), 2))]
    gap = " " if text.startswith(" ") else ""
    return [(gap if i == 0 else "") + piece for i, piece in enumerate(pieces) if piece]


def _likely(logits: Sequence[ctranslate2.StorageView], tokens: Sequence[int]) -> tuple[float, ...]:
    # logits: (vocabulary,) of each step, the end of the text included.
    out = []
    for step, token in zip(logits, tokens, strict=False):
        of = np.asarray(step).ravel()
        out.append(float(1.0 / np.exp(of - of[token]).sum()))
    return tuple(out)


def _placed(words: list[_Spelt], lengths: list[list[int]], sure: Sequence[float], begins: np.ndarray, samples: int) -> list[Placed]:
    # lengths: tokens of each piece of each word. sure: probability of each decoder token. begins: sample of each token of a piece.
    out = []
    token = piece = 0
    for word, counts in zip(words, lengths, strict=True):
        edge = np.cumsum([piece, *(counts)])
        voiced = [i for i, text in enumerate(word.pieces) if _spoken(text)]
        first, last = voiced[0], voiced[-1]
        start, end = int(begins[edge[first]]), int(begins[edge[last + 1]])
        kind: WordKind = "fragment" if word.text.endswith(("-", "\u2014")) else "word"
        probability = min(1.0, float(np.mean(sure[token : token + word.tokens])))
        heard = Word(word.text, start, min(max(start, end), samples), probability, kind)
        out.append(Placed(heard, int(begins[edge[first + 1]]), int(begins[edge[last]])))
        token += word.tokens
        piece = int(edge[-1])
    return out
