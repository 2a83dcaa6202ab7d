"""What several of these tests take."""

import numpy as np
import pytest

from spikeline.data import mnist


@pytest.fixture
def digits(monkeypatch, tmp_path):
    """60 random pictures instead of MNIST."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 784), dtype=np.uint8) * (rng.random((60, 784)) < 0.3).astype(np.uint8)
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "load", lambda split, root=None: (pixels, np.arange(60, dtype=np.uint8) % 10))
    return pixels
