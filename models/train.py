"""Make the shipped models again from the data.

    python models/train.py english --data DATA --work build            prepares, trains, tunes, measures
    python models/train.py english --data DATA --work build --ship     and takes the model into models/english
    python models/train.py english --data DATA --work build --onward   begins with the network that is shipped

DATA is the folder that models/README.md describes. What was made before is taken up again: a text that is there is not
prepared anew, a network goes on from its checkpoint until its time is used up. Delete the folder under --work to begin
from nothing. A model is shipped only if it predicts its test text better than the one that is shipped. Needs
pip install -e '.[train]', and opencc for chinese.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cards
import manifest
import texts
import texts_chinese

import ngramgen
from ngramgen.atomic import replacing
from ngramgen.neural.training import NetworkCorpus, train_network
from ngramgen.tuning import tune

MODELS = Path(__file__).resolve().parent
MEASURED = 300_000  # bytes of a text, from its beginning
SAMPLES = 50
SMALL_NETWORK = ("config.json", "tokenizer.json", "training.json", "model_int8.onnx")

DRAWN = {"temperature": 0.8, "top_p": 0.95, "dry_multiplier": 0.8, "end_sentence": True}
"""How a hybrid draws: below temperature 1 its cache would have a text repeat itself, which DRY keeps it from."""
NETWORK = {"context": 512, "batch_size": 8, "decay_share": 0.6, "evaluations": 5}
"""What a network is trained with; each measurement takes the time of some 0.2 M tokens."""


@dataclass(frozen=True)
class Recipe:
    """How a model is made; ``minutes`` is 0 for an n-gram alone."""

    name: str
    texts: Callable[[Path], dict[str, Iterable[str]]]  # "train", "tune" and "test", as lines
    max_ngrams: int
    order: int = 5
    smoothing: str = "modified-kneser-ney"
    tokenizer: str = "word"
    prune: tuple[int, ...] = (0, 0, 1)
    minutes: float = 0
    settings: dict[str, Any] = field(default_factory=dict)
    generation: dict[str, Any] = field(default_factory=dict)
    prompts: tuple[str, ...] = ("",)


def english_texts(data: Path) -> dict[str, Iterable[str]]:
    """The first bytes of the validation text are for measuring, what follows them for tuning."""
    lines = (data / "fiction/valid.txt").read_bytes()
    test, rest = lines[:MEASURED], lines[MEASURED:]
    return {
        "train": texts.english(data),
        "tune": rest.partition(b"\n")[2].decode().splitlines(),
        "test": [test.decode(errors="ignore")],
    }


def chinese_texts(data: Path) -> dict[str, Iterable[str]]:
    parts = texts_chinese.chinese(data)
    in_turns = texts_chinese.in_turns
    return {
        "train": texts_chinese.in_both_scripts(parts.train),
        "tune": in_turns(parts.valid),
        "test": in_turns(parts.test),
    }


def parted(lines: Callable[[Path], Iterator[str]]) -> Callable[[Path], dict[str, Iterable[str]]]:
    """Every fiftieth stretch of 40 lines is for measuring."""

    def made(data: Path) -> dict[str, Iterable[str]]:
        numbered = list(enumerate(lines(data)))
        test = {number for number, _ in numbered if number // 40 % 50 == 7}
        return {
            "train": [line for number, line in numbered if number not in test],
            "test": [line for number, line in numbered if number in test],
        }

    return made


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "english",
            english_texts,
            max_ngrams=3_200_000,
            minutes=220,
            settings=NETWORK | {"value_embeddings": 3},
            generation=DRAWN | {"dry_allowed_length": 3, "max_new_tokens": 160},
            prompts=(
                "Once upon a time",
                "It was a dark and stormy night",
                "The old man looked at her",
                "",
                "In London",
            ),
        ),
        Recipe(
            "chinese",
            chinese_texts,
            max_ngrams=1_900_000,
            order=4,
            minutes=35,
            settings=NETWORK,
            generation=DRAWN | {"max_new_tokens": 120},
            prompts=("床前明月光", "春", "子曰：“", "", "白日依山"),
        ),
        Recipe(
            "shakespeare",
            parted(texts.scenes),
            max_ngrams=950_000,
            smoothing="witten-bell",  # of little text it reads best
            prune=(),
            generation={"temperature": 0.8, "top_k": 200, "top_p": 0.95, "max_new_tokens": 160, "end_sentence": True},
            prompts=("", "ROMEO: /", "First Citizen: /", "KING RICHARD III: /", "HAMLET: / To be"),
        ),
        Recipe(
            "stories",
            parted(texts.stories),
            max_ngrams=700_000,
            generation={"temperature": 0.8, "top_k": 200, "top_p": 0.95, "max_new_tokens": 160, "end_sentence": True},
            prompts=("Once upon a time", "There was a little girl", "The lion", "One day", ""),
        ),
    )
}


def main() -> None:
    options = arguments()
    recipe, work = RECIPES[options.model], options.work / options.model
    if options.minutes is not None:
        recipe = replace(recipe, minutes=options.minutes)
    folder = work / "model"
    folder.mkdir(parents=True, exist_ok=True)
    prepare(recipe, options.data, work)
    if recipe.minutes:
        network(recipe, work, options.onward)
    seconds = ngram(recipe, work)
    write(folder / "generation.json", json.dumps(recipe.generation, indent=2) + "\n")
    if recipe.minutes:
        say(f"tuned: {tune(folder, work / 'tune.txt')['bits_per_byte']}")
    facts = measured(recipe, work, seconds)
    written(recipe, work, facts)
    if options.ship:
        ship(recipe, folder, facts)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=RECIPES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="time for the network, in place of the recipe's")
    parser.add_argument("--onward", action="store_true", help="begin with the shipped network, not from nothing")
    parser.add_argument("--ship", action="store_true", help="take the model into models/ if it is better")
    options = parser.parse_args()
    if options.onward and not RECIPES[options.model].minutes:
        parser.error(f"{options.model} has no network to train onward; leave --onward out")
    return options


def prepare(recipe: Recipe, data: Path, work: Path) -> None:
    """Writes train.txt, tune.txt and test.txt, once."""
    if (work / "train.txt").exists():
        return
    for part, lines in sorted(recipe.texts(data).items()):  # that of training last: its file says that all are there
        with replacing(work / f"{part}.txt") as file:
            file.writelines(f"{line}\n".encode() for line in lines)
        say(f"{part}.txt: {(work / f'{part}.txt').stat().st_size / 1e6:.1f} MB")


def network(recipe: Recipe, work: Path, onward: bool) -> None:
    """Trains the network until its time is used up, and takes its files into the model's folder.

    A training onward reads the text in another order than the one before it, and counts its own time alone.
    """
    folder, settings = work / "network", recipe.settings
    is_begun = (folder / "training" / "latest.pt").exists()
    seed = sitting(work, MODELS / recipe.name if onward else None)
    if onward:
        settings = {name: value for name, value in settings.items() if name != "value_embeddings"}  # it has them
    train_network(
        NetworkCorpus([work / "train.txt"], [work / "test.txt"]),
        folder,
        seconds=recipe.minutes * 60,
        seed=seed,
        init_from=MODELS / recipe.name if onward and not is_begun else None,
        resume=is_begun,
        precisions=("int8",),
        report=lambda progress: progress.point and say(f"{progress.share:.0%}  {progress.point}"),
        notify=say,
        **settings,
    )
    for name in SMALL_NETWORK:
        shutil.copyfile(folder / name, work / "model" / name)


def sitting(work: Path, begin: Path | None) -> int:
    """The seed of a training that begins with a model's folder or with nothing, kept for when it is taken up again."""
    path, onward = work / "sitting.json", begin is not None
    if not path.exists():
        last = 0 if begin is None else int(json.loads((begin / "training.json").read_text())["options"]["seed"])
        write(path, json.dumps({"onward": onward, "seed": last + 1}) + "\n")
    told = json.loads(path.read_text())
    if told["onward"] != onward:
        sys.exit(f"the training in {work} was begun {'with' if told['onward'] else 'without'} --onward; go on so")
    return int(told["seed"])


def ngram(recipe: Recipe, work: Path) -> float:
    """Trains the n-gram, of the network's tokens where there is one, once; gives the seconds that it took."""
    told = work / "ngram.json"
    if told.exists():
        return float(json.loads(told.read_text())["seconds"])
    begun = time.monotonic()
    tokenizer = f"bpe:{work / 'network' / 'tokenizer.json'}" if recipe.minutes else recipe.tokenizer
    model = ngramgen.train(
        work / "train.txt",
        order=recipe.order,
        smoothing=recipe.smoothing,
        tokenizer=tokenizer,
        prune=recipe.prune,
        max_ngrams=recipe.max_ngrams,
    )
    model.save(work / "model" / "model.ngram", compress=True)
    seconds = time.monotonic() - begun
    write(told, json.dumps({"seconds": round(seconds, 1), "sizes": model.model.table.sizes}) + "\n")
    return seconds


def measured(recipe: Recipe, work: Path, ngram_seconds: float) -> dict[str, Any]:
    """Bits per byte of the test text by each part and together, and what the making took."""
    parts = ("never", "only", "always") if recipe.minutes else ("never",)
    bits = {
        part: round(ngramgen.load(work / "model", neural=part).perplexity(work / "test.txt").bits_per_byte, 4)
        for part in parts
    }
    say(f"bits per byte: {bits}")
    facts: dict[str, Any] = {"bits_per_byte": bits, "ngram_seconds": round(ngram_seconds)}
    if recipe.minutes:
        facts["training"] = json.loads((work / "model" / "training.json").read_text())
    return facts


def written(recipe: Recipe, work: Path, facts: dict[str, Any]) -> None:
    """The texts that a person reads before the model is shipped, the card with the first of them, and model.json."""
    model = ngramgen.load(work / "model")
    made = [model.generate(recipe.prompts[i % len(recipe.prompts)], seed=i) for i in range(SAMPLES)]
    write(work / "samples.txt", "\n\n".join(map(str, made)) + "\n")
    folder = work / "model"
    write(folder / "README.md", cards.card(recipe.name, facts, [str(one) for one in made[:5]]))
    about = {"bits_per_byte": facts["bits_per_byte"], **cards.FACTS[recipe.name]}
    write(folder / "model.json", json.dumps(about, ensure_ascii=False, indent=2) + "\n")


def ship(recipe: Recipe, folder: Path, facts: dict[str, Any]) -> None:
    """Takes the model into models/, unless the one that is there predicts as well."""
    target, best = MODELS / recipe.name, "always" if recipe.minutes else "never"
    if (target / "model.json").exists():
        before = json.loads((target / "model.json").read_text())["bits_per_byte"][best]
        if facts["bits_per_byte"][best] >= before:
            sys.exit(f"not shipped: {facts['bits_per_byte'][best]} is no better than {before}")
    target.mkdir(exist_ok=True)
    for name in (*manifest.FILES, "model.json"):
        if (folder / name).exists():
            with replacing(target / name) as file:
                file.write((folder / name).read_bytes())
    manifest.main()


def write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def say(message: object) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
