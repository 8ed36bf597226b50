"""Sentence embeddings are those that the model's authors published."""

from pathlib import Path

import numpy as np
import pytest

from config import models
from config.errors import Unusable
from recognition.embedding import DIMENSIONS, Embedder
from speech.audio import Floats
from tests.api_server import settings_for

# The first numbers of the model card's example, and the similarities that the Sentence Transformers documentation prints for the model.
EXAMPLE = {
    "This is an example sentence": (0.0676569, 0.0634959, 0.0487131),
    "Each sentence is converted": (0.0864386, 0.1027626, 0.0053946),
}
WEATHER = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
ALIKE = ((1.0, 0.6660, 0.1046), (0.6660, 1.0, 0.1411), (0.1046, 0.1411, 1.0))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder(settings_for(tmp_path_factory.mktemp("data")))


def vectors(embedder: Embedder, *texts: str) -> Floats:
    found = embedder(texts)
    assert found is not None
    return found


def test_the_vectors_are_the_published_ones(embedder: Embedder) -> None:
    assert vectors(embedder, *EXAMPLE)[:, :3] == pytest.approx(np.array([*EXAMPLE.values()]), abs=1e-5)
    weather = vectors(embedder, *WEATHER)
    assert weather @ weather.T == pytest.approx(np.array(ALIKE), abs=1e-4)


def test_company_and_case_change_nothing_and_length_is_cut(embedder: Embedder) -> None:
    texts = [" ".join(["word"] * n) for n in (1, 40, 7, 300, 500)] * 7
    together = vectors(embedder, *texts)
    assert together.shape == (35, DIMENSIONS)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(35), abs=1e-5)
    for n in (0, 1, 2, 3):
        assert vectors(embedder, texts[n].upper())[0] == pytest.approx(together[n], abs=1e-5)
    assert together[3] == pytest.approx(together[4], abs=1e-6)  # both are longer than the model reads
    assert vectors(embedder).shape == (0, DIMENSIONS)


def test_weights_are_converted_once_and_damaged_ones_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(tmp_path)
    assert Embedder(settings)(["once"]) is not None
    (folder,) = (tmp_path / "models").glob("all-minilm-*")
    written = (folder / "model.bin").stat()
    assert Embedder(settings)(["twice"]) is not None
    assert (folder / "model.bin").stat().st_mtime_ns == written.st_mtime_ns
    monkeypatch.setattr(models, "EMBEDDINGS_SHA256", 64 * "0")
    with pytest.raises(Unusable) as refused:
        Embedder(settings)(["damaged"])
    assert refused.value.code == "model-damaged"
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == [folder.name]


def test_without_the_wheel_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "EMBEDDINGS", "no-such-distribution")
    assert Embedder(settings_for(tmp_path))(["nothing"]) is None
    assert not (tmp_path / "models").exists()
