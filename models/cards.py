"""The cards of the shipped models, and what the manifest tells of each."""

from __future__ import annotations

import json
from typing import Any

WATTS = 15
"""What a busy core of a server takes, roughly, its share of memory and cooling included."""

NOVELS = """\
- 174 English novels, 1839 to 1929 (126 MB): ELTeC-eng (public domain by age; its markup, CC BY 4.0, removed) and
  *100 English novels* of the Computational Stylistics Group (public domain by age)."""
STORIES = """\
- children's stories (4.5 MB): [African Storybook](https://www.africanstorybook.org) (CC BY 4.0; authors and
  translators as named there), [StoryWeaver by Pratham Books](https://storyweaver.org.in) (CC BY 4.0; authors,
  illustrators and translators as named there), the texts of FairytaleQA (Apache-2.0, from public-domain books);
- TinyStories, the part for training (3.5 MB): Eldan & Li 2023, CDLA-Sharing-1.0, written by another language
  model."""
PLAYS = """\
- plays by Shakespeare (2.1 MB): *tinyshakespeare* and NLTK's corpus `shakespeare` (Jon Bosak's XML), public
  domain."""
CLASSICS = """\
- from NLTK's data: `gutenberg` but for its plays (Austen, Blake, Carroll, Chesterton, Melville, Milton, Whitman,
  the King James Bible; 10 MB), `inaugural` and `state_union` (2.9 MB), public domain."""

FACTS: dict[str, dict[str, Any]] = {
    "english": {
        "summary": "novels and tales, of another century for the most part",
        "languages": ["en"],
        "licence": "CC-BY-4.0 AND CDLA-Sharing-1.0",
        "measured_on": "the first 300,000 bytes of novels by three other authors",
    },
    "chinese": {
        "summary": "Tang poems and classical prose, traditional and simplified",
        "languages": ["zh"],
        "licence": "MIT",
        "measured_on": "poems, prose and lyrics set aside by author or title, in both scripts in turns",
    },
    "shakespeare": {
        "summary": "speeches of plays; ' / ' stands for a line's end",
        "languages": ["en"],
        "licence": "public domain",
        "measured_on": "speeches that were set aside",
    },
    "stories": {
        "summary": "tales for children, in simple words",
        "languages": ["en"],
        "licence": "CC-BY-4.0 AND CDLA-Sharing-1.0 AND Apache-2.0",
        "measured_on": "paragraphs that were set aside",
    },
}

ABOUT = {
    "english": """\
An n-gram model and a small Transformer with one byte-level BPE of 8,192 entries, mixed token by token. It is what every
command of ngramgen uses where no model is named.

**For** trying ngramgen, finishing sentences, scoring and ranking English text, a baseline beside larger models, and
text in the manner of old novels and fairy tales. **Not for** facts, advice, news, code, or anything where a wrong
sentence does harm: it knows no fact reliably, follows no instruction and answers no question.

**Limits.** It keeps to its thread for a sentence or two. Its world is that of its books: mostly Britain between 1839
and 1929, with that time's views of women, servants, colonies and races, and words that hurt today. The names, people
and events it writes are invented or half remembered; phrases of the books may come out as they are (`ngramgen novelty`
measures that, for a model with a copy filter).""",
    "chinese": """\
An n-gram model and a small Transformer with one byte-level BPE of 8,192 entries, mixed token by token, on classical
Chinese. It goes on in the script of its prompt, traditional or simplified.

**For** poems in regular form (`ngramgen generate --style poem`), lines in the manner of Tang and Song, scoring and
ranking classical Chinese. **Not for** modern Chinese, which it has never seen, for facts, or for passing its lines
off as old ones.

**Limits.** It keeps the number of characters and the parallel of a couplet often, tones and rhymes only by chance, and
a theme for a line or two. Lines may be those of a poem that there is.""",
    "shakespeare": """\
A word n-gram model of plays: speakers' names, speeches and lines. In its text ` / ` stands for the end of a line and
` // ` for that of a speech; `ngramgen generate --style play` shows them as they are printed.

**For** play, and as a very small model to try things on. **Not for** anything else: it has the words and no sense.

**Limits.** Word after word sounds right, and no speech says anything.""",
    "stories": """\
A word n-gram model of stories for children, for machines on which even the model `english` is too much.

**For** small devices, word games, and as a very small model to try things on. **Not for** stories to be read to a
child without reading them first.

**Limits.** It has no thread: each sentence begins anew.""",
}

DATA = {
    "english": "\n".join([f"{NOVELS[:-1]};", f"{STORIES[:-1]};", f"{PLAYS[:-1]};", CLASSICS]),
    "chinese": """\
- the Complete Tang Poems: 57,607 poems, without those that have editors' marks or lost characters, and without
  editors' notes;
- classical prose: the Analects, Mencius, the Great Learning, the Doctrine of the Mean, and *Guwen Guanzhi*, 222
  pieces;
- Song lyrics: *Song Ci Sanbai Shou*, 280 lyrics.

The texts are in the public domain, the collection (chinese-poetry) is under the MIT licence. Texts in traditional
characters were taken in as they are and, behind all of them, a second time in simplified ones, made by OpenCC.

**Set aside**, 5 %, half for tuning and half for measuring: of the poems four stretches of 720 in the order of the
collection, which is by author (from 9,000, 23,000, 37,000 and 51,000 on), with all poems elsewhere left out that share
half of their verses with one of them; every twentieth piece of *Guwen Guanzhi*; the last two books of the Analects and
the last of Mencius; the lyrics of Yan Shu and Wang Yisun.""",
    "shakespeare": PLAYS,
    "stories": STORIES,
}


SITTINGS = {
    "english": "the first 4 M of them while the printed lines of some books were not yet joined to paragraphs, the "
    "first 16.9 M of them in windows of 256 tokens",
    "chinese": "the first 1.6 M of them while a text in simplified characters still came right behind the same in "
    "traditional ones, the first 4 M of them in windows of 256 tokens",
}
"""What a network that is shipped now read otherwise than `train.py` would give it."""


def card(name: str, facts: dict[str, Any], samples: list[str]) -> str:
    """The README.md of a model's folder."""
    told = FACTS[name]
    texts = "\n\n".join(f"> {sample}" for sample in samples)
    return f"""\
# {name}: {told["summary"]}

{ABOUT[name]}

## What it was trained on

{DATA[name]}

Licence of the model: {told["licence"]}, as the data ask for it.

## How

Made by `python models/train.py {name}`{_onward(facts)}.

{_training(facts, SITTINGS.get(name, ""))}

## How well

Bits per byte of {told["measured_on"]} (no model was trained or tuned on them; lower is better):

{_bits(facts["bits_per_byte"])}

## What it writes

Five texts as they come, the first five of fifty, with the options of its generation.json:

{texts}
"""


def _onward(facts: dict[str, Any]) -> str:
    is_onward = "init_from" in facts.get("training", {})
    return " and, in later sittings, with `--onward`; the options below are those of the last" if is_onward else ""


def _bits(bits: dict[str, float]) -> str:
    names = {"never": "n-gram alone (`--neural never`)", "only": "network alone (`only`)", "always": "both (`always`)"}
    rows = "\n".join(f"| {names[part]} | {number:.3f} |" for part, number in bits.items())
    return f"| | bits per byte |\n|---|---|\n{rows}"


def _training(facts: dict[str, Any], sittings: str) -> str:
    ngram = f"The n-gram took {facts['ngram_seconds']} s."
    if "training" not in facts:
        return ngram
    training = facts["training"]
    before = training.get("init_from", {"tokens": 0, "seconds": 0})
    hours = (before["seconds"] + training["seconds"]) / 3600
    options = {name: value for name, value in training["options"].items() if value is not None}
    tokens = (before["tokens"] + training["tokens"]) / 1e6
    read = f"{tokens:.1f} M tokens" + (f" ({sittings})" if sittings and before["tokens"] else "")
    return f"""\
The network has {training["parameters"] / 1e6:.1f} M parameters and read {read}, in
{hours:.1f} hours on one or two cores of a server with bfloat16 and no GPU: at most {2 * hours:.1f} core hours, with
{WATTS} W a core {2 * hours * WATTS / 1000:.2f} kWh, some tens of grams of CO2. {ngram}

```json
{json.dumps(options)}
```"""
