"""Two models of one tokenizer as one: an n-gram and a network, mixed by what the n-gram knows of a place."""
