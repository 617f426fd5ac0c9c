"""The studies of docs/accuracy.md: which settings are trained and compared."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.settings import with_recipe
from phonemes.decoding.phone_model import SmoothParams
from phonemes.params import Params

STUDIES = (
    "recipes", "legal", "deep", "residual", "shipped", "second", "smoothing", "growth", "storage"
)  # fmt: skip
SHORT = "train.epochs=20 train.weight_decay=0.1"  # of residual, to compare its parts
MEL = "augment.mel_scale=0 augment.mel_shift=0"
LEVEL = "augment.gain=0 augment.spectral_tilt=0 augment.noise=0"
MASKS = "augment.time_masks=0 augment.band_masks=0"
PARTS = {  # each left out
    "no context of targets": "model.target_context=0",
    "no change of the mel axis": MEL,
    "no time warp": "augment.time_warp=0",
    "no gain, tilt and noise": LEVEL,
    "no masks": MASKS,
    "no augmentation": f"augment.time_warp=0 {MEL} {LEVEL} {MASKS}",
    "no context pooling": "model.full_rate_context=0",
    "no residual connections": "model.residual=false",
    "no label smoothing": "train.label_smoothing=0",
    "statistics of the utterance alone": "normalize.relevance=0",
    "weight decay 0.01": "train.weight_decay=0.01",
    "dropout 0.1": "model.dropout=0.1",
}
LEGAL = {  # of the recipe legal: each part left out, or as in deep
    "no equalizer": "augment.equalizer=0",
    "no background noise": "augment.background=0",
    "gain and tilt of deep": "augment.gain=0.2 augment.spectral_tilt=0.3",
    "noise of deep": "augment.noise=0.2",
    "time warp of deep": "augment.time_warp=0.3",
    "k 35": "data.k=35 model.full_rate_context=8",
    "nine hidden layers of 1360": f"model.hidden={[1360] * 9} data.k=35 model.full_rate_context=8",
    "dropout 0.15": "model.dropout=0.15",
    "dropout 0.3": "model.dropout=0.3",
    "batches of 2,048": "train.batch_size=2048",
    "30 epochs": "train.epochs=30 model.dropout=0.15",
    "60 epochs": "train.epochs=60",
}
OTHERS = {  # other values, and things added
    "weight decay 0.2": "train.weight_decay=0.2",
    "weight decay 0.3": "train.weight_decay=0.3",
    "dropout 0.2": "model.dropout=0.2",
    "dropout 0.4": "model.dropout=0.4",
    "target context 3": "model.target_context=3",
    "target context 15": "model.target_context=15",
    "full-rate context 4": "model.full_rate_context=4",
    "full-rate context 12": "model.full_rate_context=12",
    "k 25": "data.k=25",
    "k 45": "data.k=45",
    "width 1024": f"model.hidden={[1024] * 7}",
    "width 2048": f"model.hidden={[2048] * 7}",
    "five hidden layers": f"model.hidden={[1536] * 5}",
    "nine hidden layers": f"model.hidden={[1536] * 9}",
    "no residual connections, norm after the activation": (
        "model.residual=false model.norm_position=after"
    ),
    "layer normalization": "model.norm=layer",
    "ReLU": "model.activation=relu",
    "half the learning rate": "train.lr=1e-3",
    "twice the learning rate": "train.lr=4e-3",
    "batches of 1,024": "train.batch_size=1024",
    "batches of 16,384": "train.batch_size=16384",
    "larger changes of the mel axis": "augment.mel_scale=0.15 augment.mel_shift=2",
    "larger time warp": "augment.time_warp=0.3",
    "wider masks": "augment.time_mask_width=15 augment.band_mask_width=8",
    "class weights": "train.class_weights=sqrt",
    "what helps, together": (
        "model.target_context=15 train.batch_size=1024 augment.time_warp=0.3 "
        "augment.time_mask_width=15 augment.band_mask_width=8 "
        f"model.hidden={[1536] * 9}"
    ),
}
CHANGES = {  # of the shipped parameters
    "no context of targets": "model.target_context=0",
    "target context 5": "model.target_context=5",
    "target context 11": "model.target_context=11",
    "statistics of the utterance alone": "normalize.relevance=0",
    "no augmentation": MEL,
    "equalizer": "augment.equalizer=0.1",
    "gain and tilt": "augment.gain=0.2 augment.spectral_tilt=0.3",
    "masks": "augment.time_masks=2 augment.band_masks=2",
    "no dropout": "model.dropout=0",
    "dropout 0.05": "model.dropout=0.05",
    "dropout 0.2": "model.dropout=0.2",
    "lr 2e-3": "train.lr=2e-3",
    "lr 4e-3": "train.lr=4e-3",
    "batches of 1,024": "train.batch_size=1024",
    "weight decay 0.3": "train.weight_decay=0.3",
    "ReLU": "model.activation=relu",
    "residual": "model.residual=true",
    "three layers of 768": "model.hidden=[768, 768, 768]",
    "seven layers of 512": f"model.hidden={[512] * 7}",
    "five layers of 576": f"model.hidden={[576] * 5}",
    "four epochs": "train.epochs=4",
    "six epochs": "train.epochs=6",
}
STACKED = {  # of one stacked network
    "one stacked network": "",
    "four epochs": "stacking.epochs=4",
    "twelve epochs": "stacking.epochs=12",
    "dropout 0.35": "stacking.dropout=0.35",
    "dropout 0.6": "stacking.dropout=0.6",
    "context 20": "stacking.context=20",
    "context 50": "stacking.context=50",
    "width 512": "stacking.hidden=[512, 512, 512]",
    "width 2048": "stacking.hidden=[2048, 2048, 2048]",
    "two hidden layers": "stacking.hidden=[1024, 1024]",
    "five hidden layers": f"stacking.hidden={[1024] * 5}",
    "ten stacked networks": "stacking.networks=10",
}
SCALES = (  # of the phone model, durations, posteriors and the phonemes' prior
    (0.7, 0.5, 0.5, 0), (0.85, 0.5, 0.6, 0), (1, 0.6, 0.75, 0), (1, 0.7, 1, 0), (1, 1, 0.5, 0.2),
    (0.7, 0.5, 0.5, 0.2), (0.85, 0.5, 0.5, 0.2), (0.85, 0.5, 0.5, 0.3), (1, 0.5, 0.5, 0.2),
    (0, 0.5, 0.5, 0.25), (0, 0.5, 0.5, 1),
)  # fmt: skip


class Row(NamedTuple):
    """One setting to be trained with several seeds."""

    name: str
    params: Params
    share: float = 1.0  # of the training set's utterances
    # differ from `params` in stacking and smooth alone, and share its base networks
    further: Mapping[str, Params] = MappingProxyType({})

    @property
    def names(self) -> list[str]:
        """Return the names of all its results: its own, and one for each of `further`."""
        return [self.name, *(f"{self.name}, {name}" for name in self.further)]


def rows(study: str) -> Iterator[Row]:
    """Yield the rows of a study."""
    match study:
        case "recipes":
            yield from _recipes()
        case "legal":
            yield Row("legal", with_recipe("legal"))
            for name, changes in LEGAL.items():
                yield Row(f"legal: {name}", with_recipe("legal", changes=changes))
        case "deep":
            yield Row("deep", with_recipe("deep"))
            for name in (*PARTS, "target context 3"):
                params = with_recipe("deep", changes=(PARTS | OTHERS)[name])
                yield Row(f"deep: {name}", params)
        case "residual":
            yield _short()
            for name, changes in (PARTS | OTHERS).items():
                params = with_recipe("residual", changes=f"{SHORT} {changes}")
                yield Row(f"residual, short: {name}", params)
        case "shipped":
            for name, changes in CHANGES.items():
                yield Row(f"shipped: {name}", with_recipe(changes=changes))
        case "second":
            one = f"{SHORT} stacking.networks=1 stacking.context=35 stacking.dropout=0.5"
            further = {
                name: with_recipe("residual", "stacked", changes=f"{one} {changes}")
                for name, changes in STACKED.items()
            }
            yield _short()._replace(further=further)
        case "smoothing":
            residual = with_recipe("residual")
            further = {
                "{}, {}, {}, {}".format(*scales): replace(residual, smooth=SmoothParams(*scales))
                for scales in SCALES
            }
            yield Row("residual", residual, further=further)
        case "growth":
            yield from _growth()
        case "storage":
            for recipe in ((), ("course",), ("residual",), ("deep",)):
                name = "".join(recipe) or "shipped"
                yield Row(name, with_recipe(*recipe))
                for form in ("bfloat16", "int8"):
                    params = with_recipe(*recipe, changes=f"normalize.storage={form}")
                    yield Row(f"{name}: frames stored as {form}", params)


def _short() -> Row:
    return Row("residual, short: all", with_recipe("residual", changes=SHORT))


def _recipes() -> Iterator[Row]:
    yield Row("shipped", with_recipe())
    for name in ("course", "pyramid", "masks"):
        yield Row(name, with_recipe(name))
    narrow = "augment.time_mask_width=10 augment.band_mask_width=6"
    yield Row("masks, narrower", with_recipe("masks", changes=narrow))
    for name in ("residual", "deep", "quick", "wide"):
        further = {"stacked": with_recipe(name, "stacked")}
        yield Row(name, with_recipe(name), further=further)
    yield Row("legal", with_recipe("legal"))


def _growth() -> Iterator[Row]:
    """Yield rows of a part of the training set, and of all of it."""
    course, residual, deep = (
        Row(name, with_recipe(name)) for name in ("course", "residual", "deep")
    )
    for row in (course, _short(), residual, deep):
        for share in (0.1, 0.3):
            name = f"{row.name}, {share:.0%} of the training set"
            yield row._replace(name=name, share=share)
        yield row
