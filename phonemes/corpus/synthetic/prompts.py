"""Write the prompts that the voices speak: random by seed, none of them twice.

60 % are sentences made from a few templates. The others are words drawn from the lexicon,
more often those with phonemes that were rare in the prompts before. Drawn uniformly, a
third of the 71 labels would hardly occur: OY0, UH0 or AW0 are in one word of thousands.
"""

from collections.abc import Iterator
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from phonemes.inventory import ARPABET_STRESS

Pronunciation = tuple[str, ...]  # ARPAbet with stress
Prompt = tuple[tuple[str, ...], ...]  # clauses of words; a pause between two clauses

SLOTS = {
    "NOUN": """cat dog house river boy girl garden window teacher doctor measure treasure vision
        book wood foot cook engine judge church child cheese sugar ocean music voice coin toy oil
        choice mouth cloud town flower hour thing song king ring finger language bridge orange
        village summer winter water father mother brother feather weather leather bird nurse earth
        journey theory bath tooth truth shoe moon school food spoon ship fish bush pen egg head
        apple hand bag ball law horse door story daughter lake table paper train night light tire
        fire eye street week tree sea money coffee city party letter question yard year university
        beach machine garage pleasure leisure television decision mountain island picture pillow
        shadow boat road stone phone""",
    "ADJECTIVE": """good bad big small happy noisy royal loud brown proud young old new blue cool
        full wooden early dirty perfect certain angry hungry thick thin rich fresh sharp strange
        huge gentle yellow purple narrow shallow bright quiet tired wide clear near real weird fair
        rare poor sure pure warm tall short sore casual usual visual""",
    "VERB": """took found made saw heard watched enjoyed avoided pushed pulled showed carried
        measured washed caught bought brought followed borrowed visited questioned joined destroyed
        imagined managed changed closed opened wanted cooked shook loved hated used chose treasured
        painted noticed surrounded poured ignored""",
    "WHERE": "under over near behind beside with without above through around beyond between",
    "WHEN": """slowly quickly usually happily today yesterday together always never often perhaps
        however""",
}
TEMPLATES = """
the ADJECTIVE NOUN VERB the ADJECTIVE NOUN WHERE the NOUN
this NOUN VERB her ADJECTIVE NOUN , and the NOUN VERB my NOUN
WHEN , the ADJECTIVE NOUN VERB our NOUN
my NOUN and your NOUN VERB the ADJECTIVE NOUN WHEN
the NOUN WHERE the ADJECTIVE NOUN VERB it WHEN
we VERB his ADJECTIVE NOUN , but they VERB the NOUN
she VERB that ADJECTIVE NOUN WHERE the ADJECTIVE NOUN
each ADJECTIVE NOUN and ADJECTIVE NOUN VERB the NOUN WHERE the NOUN
"""
_SLOT_WORDS = {slot: tuple(words.split()) for slot, words in SLOTS.items()}
_TEMPLATES = tuple(TEMPLATES.strip().splitlines())


def read_lexicon() -> dict[str, Pronunciation]:
    """Return the pronunciation of each word of lexicon.txt, an extract of CMUdict."""
    text = (files("phonemes.corpus.synthetic") / "lexicon.txt").read_text("utf-8")
    entries = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {word: tuple(phonemes) for word, *phonemes in entries}


def write_prompts(lexicon: dict[str, Pronunciation], rng: np.random.Generator) -> Iterator[Prompt]:
    """Yield different prompts made of words of `lexicon`, without end."""
    words = list(lexicon)
    counts = {word: _count(lexicon[word]) for word in words}
    content = np.stack([counts[word] for word in words])  # (words, P)
    recent = np.zeros(len(ARPABET_STRESS))  # (P,) occurrences, older ones count less
    written = set()
    while True:
        if rng.random() < 0.6:
            prompt = _fill(_TEMPLATES[rng.integers(len(_TEMPLATES))], rng)
        else:
            need = (content @ (1 / (1 + recent)) / content.sum(axis=1)) ** 3
            chosen = rng.choice(len(words), rng.integers(3, 8), replace=False, p=need / need.sum())
            prompt = _clauses([words[index] for index in chosen], rng)
        if prompt in written:
            continue
        written.add(prompt)
        # Older prompts count less and less, so that rare phonemes come back within each split.
        recent = 0.98 * recent + sum(counts[word] for clause in prompt for word in clause)
        yield prompt


def _count(pronunciation: Pronunciation) -> NDArray[np.int64]:
    """Return how often each label occurs, (P,)."""
    labels = [ARPABET_STRESS.index(phoneme) for phoneme in pronunciation]
    return np.bincount(labels, minlength=len(ARPABET_STRESS))


def _fill(template: str, rng: np.random.Generator) -> Prompt:
    """Return a template with a random word in each slot."""
    clauses = [
        tuple(
            str(rng.choice(_SLOT_WORDS[token])) if token in _SLOT_WORDS else token
            for token in clause.split()
        )
        for clause in template.split(",")
    ]
    return tuple(clauses)


def _clauses(words: list[str], rng: np.random.Generator) -> Prompt:
    """Return the words as one clause, or as two where there are 5 or more."""
    if len(words) < 5:
        return (tuple(words),)
    pause = rng.integers(2, len(words) - 1)
    return tuple(words[:pause]), tuple(words[pause:])
