"""A guard against copies and one of characters, as one."""

from __future__ import annotations

import numpy as np

import ngramgen
from ngramgen.sampling.characters import CharacterGuard
from ngramgen.sampling.copying import guard_of
from ngramgen.sampling.guards import BothGuards


def test_both_guards() -> None:
    """As one they veto what either vetoes."""
    model = ngramgen.train(["a b c d e f é"] * 2, order=3, tokenizer="byte", copy_filter=9)
    prompt = model.tokenizer.encode("a b c d ")
    copies = guard_of(model.model, 4)
    characters = CharacterGuard.of(model.tokenizer)
    assert characters is not None
    both, tokens = BothGuards(copies, characters), np.arange(model.model.vocab_size)
    prompts = [prompt] * len(tokens)
    vetoed, after = both.step(both.start(prompts), tokens)
    one, other = copies.step(copies.start(prompts), tokens), characters.step(characters.start(prompts), tokens)
    assert np.flatnonzero(one[0]).tolist() == model.tokenizer.encode("e").tolist()
    assert np.count_nonzero(other[0]) == 64 + 2 + 11  # 80 to BF, C0 and C1, F5 to FF
    assert vetoed.tolist() == (one[0] | other[0]).tolist()
    assert after.columns.tolist() == np.concatenate([one[1].columns, other[1].columns], axis=1).tolist()
    logprobs = np.zeros((1, len(tokens)), np.float32)
    assert (both.mask(both.start([prompt]), logprobs)[0] == -np.inf).tolist() == vetoed.tolist()
