"""Sentences as vectors: all-MiniLM-L6-v2 on CTranslate2, so that what means the same lies close together."""

import json
import shutil
import struct
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config import models
from config.settings import Settings
from speech.audio import Floats

DIMENSIONS = 384
LONGEST_TOKENS = 256  # what the model was trained on; more is cut off
_BATCH = 32
_LAYERS, _HEADS = 6, 12

Tensors = Mapping[str, NDArray[np.float32]]


class Embedder:
    """Loaded when first used; takes calls of several threads, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._encoder: Any = None
        self._tokenizer: Any = None

    def __call__(self, texts: Sequence[str]) -> Floats | None:
        """(n, 384) unit vectors: the mean over the tokens of what the last layer says of each. None where the weights are not installed.
        Raises Unusable."""
        with self._lock:
            if self._encoder is None and not self._load():
                return None
            ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
            vectors = np.empty((len(ids), DIMENSIONS), np.float32)
            order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # of like length together: padding costs as much as words
            for first in range(0, len(order), _BATCH):
                some = order[first : first + _BATCH]
                states = np.asarray(self._encoder.forward_batch([ids[i] for i in some]).last_hidden_state)
                for i, state in zip(some, states, strict=True):
                    mean = state[: len(ids[i])].mean(axis=0)
                    vectors[i] = mean / np.linalg.norm(mean)
            return vectors

    def _load(self) -> bool:
        folder = models.embedding_folder(self._settings, convert)
        if folder is None:
            return False
        import ctranslate2
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(LONGEST_TOKENS)
        self._tokenizer = tokenizer
        self._encoder = ctranslate2.Encoder(str(folder), device="cpu", intra_threads=1, compute_type="float32")
        return True


def convert(files: Mapping[str, Path], folder: Path) -> None:
    """Write the published files into `folder` as CTranslate2 reads them. Its own converter does the same, but needs torch."""
    from ctranslate2.specs import common_spec, transformer_spec
    from ctranslate2.specs.model_spec import OPTIONAL

    tensors = _tensors(files["model.safetensors"])
    encoder = transformer_spec.TransformerEncoderSpec(
        _LAYERS,
        _HEADS,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
        layernorm_embedding=True,
    )
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)

    def linear(to: Any, *names: str) -> None:
        to.weight = np.concatenate([tensors[f"{name}.weight"] for name in names])
        to.bias = np.concatenate([tensors[f"{name}.bias"] for name in names])

    def norm(to: Any, name: str) -> None:
        to.gamma, to.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    encoder.scale_embeddings = False
    for to, name in zip(encoder.embeddings, ("word", "token_type"), strict=True):
        to.weight = tensors[f"embeddings.{name}_embeddings.weight"]
        to.multiply_by_sqrt_depth = OPTIONAL
    encoder.position_encodings.encodings = tensors["embeddings.position_embeddings.weight"]
    norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        of = f"encoder.layer.{number}"
        linear(layer.self_attention.linear[0], *(f"{of}.attention.self.{part}" for part in ("query", "key", "value")))
        linear(layer.self_attention.linear[1], f"{of}.attention.output.dense")
        norm(layer.self_attention.layer_norm, f"{of}.attention.output.LayerNorm")
        linear(layer.ffn.linear_0, f"{of}.intermediate.dense")
        linear(layer.ffn.linear_1, f"{of}.output.dense")
        norm(layer.ffn.layer_norm, f"{of}.output.LayerNorm")
    vocabulary: dict[str, int] = json.loads(files["tokenizer.json"].read_text(encoding="utf-8"))["model"]["vocab"]
    spec.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    spec.config.unk_token = "[UNK]"
    spec.config.layer_norm_epsilon = 1e-12
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    shutil.copyfile(files["tokenizer.json"], folder / "tokenizer.json")


def _tensors(path: Path) -> Tensors:
    """Every tensor by name. The file: 8 bytes with the length of a JSON header, the header, the numbers."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    found = {}
    for name, of in header.items():
        if name != "__metadata__" and of["dtype"] == "F32":
            first, last = of["data_offsets"]
            found[name] = np.frombuffer(content, np.float32, (last - first) // 4, 8 + length + first).reshape(of["shape"])
    return found
