"""The Transformer: ONNX Runtime runs it, PyTorch trains it and exports it.

`ngramgen.neural.model` is the engine; what imports torch or onnx is in modules of its own, for the extra
``train``.
"""
