"""The n-gram engine: counting, smoothing, the table and its look-up, ARPA, the .ngram file."""
