"""Generates model families with random weights, in the operators that torch's exporter writes for them.

    generate.py OUT_FOLDER [--size tiny|full] [NAME ...]

Each model becomes a folder in ONNX backend-test layout with ONNX Runtime's outputs as reference: gpt2, bert, llama, vit,
resnet50. "tiny" has the structure at a fraction of the size, for tests (also of gpt2_uneven, whose vocabulary divides by
nothing); "full" is GPT-2 124M, BERT base, ViT-B/16, ResNet-50 and a Llama of 110M, for benchmarks.
"""

import argparse
import pathlib

import numpy as np
import onnxruntime
from onnx_builder import Builder, save_case


def linear(b, x, name, n_in, n_out, bias=True):
    y = b.op("MatMul", x, b.weight(name + ".weight", n_in, n_out))
    return b.op("Add", b.vector(name + ".bias", n_out), y) if bias else y


def layer_norm(b, x, name, width):
    return b.op("LayerNormalization", x, b.vector(name + ".weight", width, 1.0), b.vector(name + ".bias", width),
                axis=-1, epsilon=1e-5)


def gelu_tanh(b, x):
    cube = b.op("Pow", x, b.scalar(3.0))
    inner = b.op("Mul", b.op("Add", x, b.op("Mul", cube, b.scalar(0.044715))), b.scalar(np.sqrt(2 / np.pi)))
    return b.op("Mul", b.op("Mul", x, b.scalar(0.5)), b.op("Add", b.op("Tanh", inner), b.scalar(1.0)))


def gelu_erf(b, x):
    erf = b.op("Erf", b.op("Div", x, b.scalar(np.sqrt(2.0))))
    return b.op("Mul", b.op("Mul", x, b.op("Add", erf, b.scalar(1.0))), b.scalar(0.5))


def causal_mask(b, scores, limit):
    """The mask of GPT-2: a constant lower triangle, sliced to the sequence, selecting scores or the least float."""
    triangle = b.tensor("mask" + scores, np.tril(np.ones((1, 1, limit, limit), dtype=bool)))
    n = b.op("Unsqueeze", b.dim(scores, -1), b.ints(0))
    mask = b.op("Slice", b.op("Slice", triangle, b.ints(0), n, b.ints(2), b.ints(1)), b.ints(0), n, b.ints(3), b.ints(1))
    return b.op("Where", mask, scores, b.scalar(np.finfo(np.float32).min))


def split_heads(b, x, heads, size, transposed=False):
    shape = b.shape_of(b.dim(x, 0), b.dim(x, 1), heads, size)
    return b.op("Transpose", b.op("Reshape", x, shape), perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3])


def join_heads(b, x, width):
    y = b.op("Transpose", x, perm=[0, 2, 1, 3])
    return b.op("Reshape", y, b.shape_of(b.dim(y, 0), b.dim(y, 1), width))


def gpt2(layers, width, heads, vocab, context, batch, sequence):
    b = Builder(1)
    ids = "input_ids"
    n = b.dim(ids, 1)
    positions = b.op("Unsqueeze", b.op("Range", b.scalar(0, np.int64), n, b.scalar(1, np.int64)), b.ints(0))
    table = b.weight("wte", vocab, width, scale=0.02)
    x = b.op("Add", b.op("Gather", table, ids, axis=0),
             b.op("Gather", b.weight("wpe", context, width, scale=0.02), positions, axis=0))
    for i in range(layers):
        h = layer_norm(b, x, f"h.{i}.ln_1", width)
        flat = b.op("Reshape", h, b.ints(-1, width))
        qkv = b.op("Gemm", flat, b.weight(f"h.{i}.attn.c_attn.weight", width, 3 * width),
                   b.vector(f"h.{i}.attn.c_attn.bias", 3 * width))
        qkv = b.op("Reshape", qkv, b.shape_of(b.dim(h, 0), b.dim(h, 1), 3 * width))
        q, k, v = b.op("Split", qkv, b.ints(width, width, width), outputs=3, axis=2)
        size = width // heads
        q, k, v = split_heads(b, q, heads, size), split_heads(b, k, heads, size, True), split_heads(b, v, heads, size)
        scores = b.op("Div", b.op("MatMul", q, k), b.op("Cast", b.op("Sqrt", b.scalar(float(size))), to=1))
        weights = b.op("Softmax", causal_mask(b, scores, context), axis=-1)
        joined = join_heads(b, b.op("MatMul", weights, v), width)
        x = b.op("Add", linear(b, joined, f"h.{i}.attn.c_proj", width, width), x)
        h = layer_norm(b, x, f"h.{i}.ln_2", width)
        h = gelu_tanh(b, linear(b, h, f"h.{i}.mlp.c_fc", width, 4 * width))
        x = b.op("Add", x, linear(b, h, f"h.{i}.mlp.c_proj", 4 * width, width))
    x = layer_norm(b, x, "ln_f", width)
    logits = b.op("MatMul", x, b.op("Transpose", table, perm=[1, 0]))
    model = b.model([(ids, np.int64, ["batch", "sequence"])],
                    [("logits", logits, np.float32, ["batch", "sequence", vocab])], name="gpt2")
    return model, {ids: b.random.integers(0, vocab, (batch, sequence))}


def bert(layers, width, heads, vocab, context, batch, sequence):
    b = Builder(2)
    n = b.op("Unsqueeze", b.dim("input_ids", 1), b.ints(0))
    positions = b.op("Slice", b.tensor("position_ids", np.arange(context, dtype=np.int64)[None]), b.ints(0), n, b.ints(1))
    x = b.op("Add", b.op("Gather", b.weight("words", vocab, width, scale=0.05), "input_ids", axis=0),
             b.op("Gather", b.weight("types", 2, width, scale=0.05), "token_type_ids", axis=0))
    x = b.op("Add", x, b.op("Gather", b.weight("positions", context, width, scale=0.05), positions, axis=0))
    x = layer_norm(b, x, "embeddings", width)
    mask = b.op("Cast", b.op("Unsqueeze", b.op("Unsqueeze", "attention_mask", b.ints(1)), b.ints(2)), to=1)
    mask = b.op("Mul", b.op("Sub", b.scalar(1.0), mask), b.scalar(np.finfo(np.float32).min))
    size = width // heads
    for i in range(layers):
        q = split_heads(b, linear(b, x, f"l.{i}.query", width, width), heads, size)
        k = split_heads(b, linear(b, x, f"l.{i}.key", width, width), heads, size, True)
        v = split_heads(b, linear(b, x, f"l.{i}.value", width, width), heads, size)
        scores = b.op("Add", b.op("Div", b.op("MatMul", q, k), b.scalar(np.sqrt(size))), mask)
        context_layer = join_heads(b, b.op("MatMul", b.op("Softmax", scores, axis=-1), v), width)
        x = layer_norm(b, b.op("Add", linear(b, context_layer, f"l.{i}.out", width, width), x), f"l.{i}.ln1", width)
        h = gelu_erf(b, linear(b, x, f"l.{i}.up", width, 4 * width))
        x = layer_norm(b, b.op("Add", linear(b, h, f"l.{i}.down", 4 * width, width), x), f"l.{i}.ln2", width)
    first = b.op("Gather", x, b.scalar(0, np.int64), axis=1)
    pooled = b.op("Tanh", b.op("Gemm", first, b.weight("pooler", width, width), b.vector("pooler.bias", width), transB=1))
    names = ("input_ids", "attention_mask", "token_type_ids")
    model = b.model([(name, np.int64, ["batch", "sequence"]) for name in names],
                    [("last_hidden_state", x, np.float32, ["batch", "sequence", width]),
                     ("pooler_output", pooled, np.float32, ["batch", width])], name="bert")
    mask = np.ones((batch, sequence), dtype=np.int64)
    mask[-1, sequence - sequence // 3:] = 0
    return model, {"input_ids": b.random.integers(0, vocab, (batch, sequence)), "attention_mask": mask,
                   "token_type_ids": b.random.integers(0, 2, (batch, sequence))}


def llama(layers, width, heads, kv_heads, hidden, vocab, batch, sequence):
    b = Builder(3)
    size = width // heads
    x = b.op("Gather", b.weight("embed", vocab, width, scale=0.05), "input_ids", axis=0)
    n = b.dim("input_ids", 1)
    positions = b.op("Range", b.scalar(0, np.int64), n, b.scalar(1, np.int64))
    frequency = b.constant((1.0 / 10000 ** (np.arange(0, size, 2) / size)).astype(np.float32)[None])
    angles = b.op("MatMul", b.op("Unsqueeze", b.op("Cast", positions, to=1), b.ints(1)), frequency)
    angles = b.op("Concat", angles, angles, axis=-1)
    cos, sin = (b.op("Unsqueeze", b.op(f, angles), b.ints(0, 1)) for f in ("Cos", "Sin"))
    column = b.op("Unsqueeze", positions, b.ints(1))
    future = b.op("Greater", b.op("Unsqueeze", positions, b.ints(0)), column)
    mask = b.op("Where", future, b.scalar(np.finfo(np.float32).min), b.scalar(0.0))

    def rms_norm(x, name):
        variance = b.op("ReduceMean", b.op("Pow", x, b.scalar(2.0)), axes=[-1])
        inverse = b.op("Div", b.scalar(1.0), b.op("Sqrt", b.op("Add", variance, b.scalar(1e-5))))
        return b.op("Mul", b.vector(name, width, 1.0), b.op("Mul", x, inverse))

    def rotate(x):
        half = b.ints(size // 2)
        first = b.op("Slice", x, b.ints(0), half, b.ints(3), b.ints(1))
        second = b.op("Slice", x, half, b.ints(np.iinfo(np.int64).max), b.ints(3), b.ints(1))
        turned = b.op("Concat", b.op("Neg", second), first, axis=-1)
        return b.op("Add", b.op("Mul", x, cos), b.op("Mul", turned, sin))

    def repeat(x):
        dims = [b.dim(x, 0), kv_heads, heads // kv_heads, b.dim(x, 2), size]
        wide = b.op("Expand", b.op("Unsqueeze", x, b.ints(2)), b.shape_of(*dims))
        return b.op("Reshape", wide, b.shape_of(dims[0], heads, dims[3], size))

    for i in range(layers):
        h = rms_norm(x, f"l.{i}.norm1")
        q = rotate(split_heads(b, linear(b, h, f"l.{i}.q", width, width, False), heads, size))
        k = rotate(split_heads(b, linear(b, h, f"l.{i}.k", width, kv_heads * size, False), kv_heads, size))
        v = split_heads(b, linear(b, h, f"l.{i}.v", width, kv_heads * size, False), kv_heads, size)
        if kv_heads != heads:
            k, v = repeat(k), repeat(v)
        scores = b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = b.op("Add", b.op("Div", scores, b.scalar(np.sqrt(size))), mask)
        joined = join_heads(b, b.op("MatMul", b.op("Softmax", scores, axis=-1), v), width)
        x = b.op("Add", x, linear(b, joined, f"l.{i}.o", width, width, False))
        h = rms_norm(x, f"l.{i}.norm2")
        gate = linear(b, h, f"l.{i}.gate", width, hidden, False)
        gate = b.op("Mul", gate, b.op("Sigmoid", gate))
        h = b.op("Mul", gate, linear(b, h, f"l.{i}.up", width, hidden, False))
        x = b.op("Add", x, linear(b, h, f"l.{i}.down", hidden, width, False))
    logits = linear(b, rms_norm(x, "norm"), "lm_head", width, vocab, False)
    model = b.model([("input_ids", np.int64, ["batch", "sequence"])],
                    [("logits", logits, np.float32, ["batch", "sequence", vocab])], name="llama")
    return model, {"input_ids": b.random.integers(0, vocab, (batch, sequence))}


def vit(layers, width, heads, image, patch, classes, batch):
    b = Builder(4)
    x = b.op("Conv", "pixel_values", b.weight("patch", width, 3, patch, patch), b.vector("patch.bias", width),
             kernel_shape=[patch, patch], strides=[patch, patch])
    shape = b.op("Concat", b.op("Slice", b.op("Shape", x), b.ints(0), b.ints(2)), b.ints(-1), axis=0)
    x = b.op("Transpose", b.op("Reshape", x, shape), perm=[0, 2, 1])
    first = b.op("Expand", b.weight("cls", 1, 1, width), b.shape_of(b.dim("pixel_values", 0), 1, width))
    tokens = (image // patch) ** 2 + 1
    x = b.op("Add", b.op("Concat", first, x, axis=1), b.weight("positions", 1, tokens, width, scale=0.05))
    size = width // heads
    for i in range(layers):
        h = layer_norm(b, x, f"l.{i}.ln1", width)
        q = split_heads(b, linear(b, h, f"l.{i}.query", width, width), heads, size)
        k = split_heads(b, linear(b, h, f"l.{i}.key", width, width), heads, size, True)
        v = split_heads(b, linear(b, h, f"l.{i}.value", width, width), heads, size)
        weights = b.op("Softmax", b.op("Div", b.op("MatMul", q, k), b.scalar(np.sqrt(size))), axis=-1)
        x = b.op("Add", linear(b, join_heads(b, b.op("MatMul", weights, v), width), f"l.{i}.out", width, width), x)
        h = gelu_erf(b, linear(b, layer_norm(b, x, f"l.{i}.ln2", width), f"l.{i}.up", width, 4 * width))
        x = b.op("Add", linear(b, h, f"l.{i}.down", 4 * width, width), x)
    x = b.op("Gather", layer_norm(b, x, "ln", width), b.scalar(0, np.int64), axis=1)
    logits = b.op("Gemm", x, b.weight("head", classes, width), b.vector("head.bias", classes), transB=1)
    model = b.model([("pixel_values", np.float32, ["batch", 3, image, image])],
                    [("logits", logits, np.float32, ["batch", classes])], name="vit")
    return model, {"pixel_values": b.random.standard_normal((batch, 3, image, image)).astype(np.float32)}


def resnet(blocks, width, classes, image, batch):
    b = Builder(5)

    def conv(x, name, n_in, n_out, kernel, stride=1, relu=True):
        y = b.op("Conv", x, b.weight(name, n_out, n_in, kernel, kernel), kernel_shape=[kernel] * 2,
                 strides=[stride] * 2, pads=[kernel // 2] * 4)
        y = b.op("BatchNormalization", y, b.vector(name + ".scale", n_out, 1.0), b.vector(name + ".shift", n_out),
                 b.vector(name + ".mean", n_out), b.tensor(name + ".var", b.random.uniform(0.5, 1.5, n_out).astype(np.float32)))
        return b.op("Relu", y) if relu else y

    x = conv("image", "stem", 3, width, 7, 2)
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    n_in = width
    for stage, count in enumerate(blocks):
        inner = width * 2 ** stage
        for block in range(count):
            name, stride = f"s{stage}.{block}", 2 if stage > 0 and block == 0 else 1
            y = conv(conv(x, name + ".a", n_in, inner, 1), name + ".b", inner, inner, 3, stride)
            y = conv(y, name + ".c", inner, 4 * inner, 1, relu=False)
            if block == 0:
                x = conv(x, name + ".skip", n_in, 4 * inner, 1, stride, relu=False)
            n_in = 4 * inner
            x = b.op("Relu", b.op("Add", y, x))
    x = b.op("Flatten", b.op("GlobalAveragePool", x), axis=1)
    logits = b.op("Gemm", x, b.weight("fc", classes, n_in), b.vector("fc.bias", classes), transB=1)
    model = b.model([("image", np.float32, ["batch", 3, image, image])],
                    [("logits", logits, np.float32, ["batch", classes])], name="resnet50")
    return model, {"image": b.random.standard_normal((batch, 3, image, image)).astype(np.float32)}


MODELS = {
    "gpt2": {"tiny": lambda: gpt2(2, 32, 4, 96, 32, 2, 12), "full": lambda: gpt2(12, 768, 12, 50257, 1024, 1, 128)},
    "gpt2_uneven": {"tiny": lambda: gpt2(2, 24, 12, 1031, 32, 2, 12)},
    "bert": {"tiny": lambda: bert(2, 32, 4, 64, 24, 2, 10), "full": lambda: bert(12, 768, 12, 30522, 512, 1, 128)},
    "llama": {"tiny": lambda: llama(2, 32, 4, 2, 48, 64, 2, 10),
              "full": lambda: llama(12, 768, 12, 12, 2048, 32000, 1, 128)},
    "vit": {"tiny": lambda: vit(2, 32, 4, 32, 8, 10, 2), "full": lambda: vit(12, 768, 12, 224, 16, 1000, 1)},
    "resnet50": {"tiny": lambda: resnet([1, 2, 1, 1], 8, 10, 32, 2), "full": lambda: resnet([3, 4, 6, 3], 64, 1000, 224, 1)},
}


def reference(path, feeds):
    """ONNX Runtime's outputs on the CPU, by output name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--size", choices=["tiny", "full"], default="tiny")
    arguments = parser.parse_intermixed_args()
    for name in arguments.names or [name for name in MODELS if arguments.size in MODELS[name]]:
        model, feeds = MODELS[name][arguments.size]()
        save_case(arguments.out / name, model, feeds, reference)
        print(arguments.out / name)


if __name__ == "__main__":
    main()
