"""From bytes to ids: corpus readers, cleaning, sentence splitting, tokenizers and the vocabulary."""
