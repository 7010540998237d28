"""Every error that ngramgen raises on purpose.

NgramgenError
├── OptionError (ValueError)              an argument or option out of its range
│   ├── PromptTypeError (TypeError)        a prompt that is no text and no chat
│   └── NoPromptError (IndexError)         a list of prompts that is empty
├── ConstraintError (ValueError)          no text of the model meets what was asked of it
├── CorpusError (ValueError)              text that cannot be read: names file and line
├── TrainingError (ValueError)            a corpus or option from which no model can be estimated
├── TokenizerError (ValueError)           a tokenizer that is unknown or does not fit
├── ModelNotFoundError (FileNotFoundError)  no model of that name or path
├── ModelFormatError (ValueError)         a damaged or foreign model file
│   └── ArpaError                         an ARPA file: names the line
└── MissingDependencyError (ImportError)  an extra that is not installed: names the pip command

Each is also the built-in that fits, so ``except ValueError`` works as one would expect.
"""

from __future__ import annotations


class NgramgenError(Exception):
    """The root of ngramgen's errors; its message is one sentence meant for a person."""


class OptionError(NgramgenError, ValueError):
    """An argument or command-line option is out of its range."""


class PromptTypeError(OptionError, TypeError):
    """A prompt is no text and no chat."""


class NoPromptError(OptionError, IndexError):
    """A list of prompts is empty."""


class ConstraintError(NgramgenError, ValueError):
    """No text was found that is what the constraints ask for; the message says what was tried."""


class CorpusError(NgramgenError, ValueError):
    """A text could not be read; the message names the file and the line."""


class TrainingError(NgramgenError, ValueError):
    """No model can be estimated from this corpus with these options."""


class TokenizerError(NgramgenError, ValueError):
    """A tokenizer is unknown or does not fit the model."""


class ModelNotFoundError(NgramgenError, FileNotFoundError):
    """There is no model of that name or path."""

    def __str__(self) -> str:  # FileNotFoundError would print an errno tuple
        return str(self.args[0]) if self.args else ""


class ModelFormatError(NgramgenError, ValueError):
    """A model file is damaged or of another kind."""


class ArpaError(ModelFormatError):
    """An ARPA file breaks the format; the message names the line."""


class MissingDependencyError(NgramgenError, ImportError):
    """An optional package is not installed; the message gives the pip command."""
