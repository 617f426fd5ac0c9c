"""What several test modules share: quiet hypothesis settings, one thread, small parameters."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from phonemes.params import Augment, Data, Params, Train, load

# The same examples on every machine and run; tiny networks are fastest on one thread.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")
torch.set_num_threads(1)

TALLY = pytest.StashKey[Counter]()


@pytest.fixture(scope="session")
def tally(pytestconfig) -> Counter:
    """Return counts of what was tried, by name; printed at the end."""
    return pytestconfig.stash.setdefault(TALLY, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tried := terminalreporter.config.stash.get(TALLY, None):
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(tried.items()))
        terminalreporter.write_line(f"bad data: {counts}")


@pytest.fixture(scope="session")
def shipped() -> Params:
    """Return the parameters that come with the project."""
    return load(Path(__file__).parent.parent / "params.yaml")


@pytest.fixture(scope="session")
def tiny() -> Train:
    """Return how to train a network of two narrow blocks for two epochs, nothing random in it."""
    return Train(
        whole=0,
        neighbours=0,
        hidden=(8, 6),
        activation="relu",
        normalization="none",
        normalize="before",
        dropout=0.0,
        residual=False,
        initialization="default",
        optimizer="sgd",
        lr=0.1,
        momentum=0.0,
        weight_decay=0.0,
        schedule="constant",
        gamma=0.5,
        step_epochs=1,
        patience=0,
        warmup_epochs=0,
        epochs=2,
        batch_size=16,
        label_smoothing=0.0,
        class_weights="none",
        clip_norm=0.0,
        early_stopping=0,
        precision="fp32",
        shuffle="full",
        fused="never",
        augment=Augment(
            mel_scale=0.0,
            mel_shift=0.0,
            speed=0.0,
            gain=0.0,
            tilt=0.0,
            noise=0.0,
            time_masks=0,
            time_mask=2,
            band_masks=0,
            band_mask=2,
        ),
        seed=1,
    )


@pytest.fixture(scope="session")
def one_side() -> Data:
    """Return a context of one frame on each side, zeros beyond an utterance."""
    return Data(k=1, padding="zero")
