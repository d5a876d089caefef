"""A small writer of ONNX graphs, for models the project generates itself."""

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Builder:
    """Collects nodes and weights of one ONNX graph. Methods that add a node return the name of its result."""

    def __init__(self, seed=0):
        self.nodes = []
        self.initializers = {}
        self.random = np.random.default_rng(seed)

    def op(self, op_type, *inputs, outputs=1, name=None, **attributes):
        name = name or f"/{op_type}_{len(self.nodes)}"
        results = [f"{name}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, list(inputs), results, name=name, **attributes))
        return results[0] if outputs == 1 else results

    def tensor(self, name, array):
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def ints(self, *values):
        return self.constant(np.array(values, dtype=np.int64))

    def scalar(self, value, dtype=np.float32):
        return self.constant(np.array(value, dtype=dtype))

    def constant(self, array):
        """A Constant node, as exporters write small values."""
        name = f"/Constant_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Constant", [], [name + "_output_0"], name=name,
                                           value=numpy_helper.from_array(array)))
        return name + "_output_0"

    def weight(self, name, *shape, scale=None):
        """Random weights whose products keep the size of what goes in."""
        if scale is None:
            scale = 1.0 / np.sqrt(np.prod(shape[1:]) if len(shape) > 2 else shape[0])
        return self.tensor(name, (self.random.standard_normal(shape) * scale).astype(np.float32))

    def vector(self, name, size, mean=0.0):
        return self.tensor(name, (mean + 0.1 * self.random.standard_normal(size)).astype(np.float32))

    def dim(self, x, axis):
        """Shape → Gather: the size of one dimension, as exporters compute it."""
        return self.op("Gather", self.op("Shape", x), self.scalar(axis, np.int64), axis=0)

    def shape_of(self, *dims):
        """Unsqueeze, Concat: a shape from known sizes (int) and computed ones (names)."""
        parts = [self.ints(d) if isinstance(d, int) else self.op("Unsqueeze", d, self.ints(0)) for d in dims]
        return self.op("Concat", *parts, axis=0)

    def model(self, inputs, outputs, opset=17, name="graph"):
        """`inputs`: (name, numpy dtype, dims); `outputs`: (public name, result, numpy dtype, dims). Dims may be names."""
        infos = []
        for public, source, dtype, dims in outputs:
            self.nodes.append(helper.make_node("Identity", [source], [public], name=f"/output/{public}"))
            infos.append(helper.make_tensor_value_info(public, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), dims))
        ins = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.dtype(t)), d) for n, t, d in inputs]
        graph = helper.make_graph(self.nodes, name, ins, infos, list(self.initializers.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8,
                                 producer_name="omserve")


def save_case(folder, model, feeds, reference):
    """Writes a folder in ONNX backend-test layout: model.onnx and test_data_set_0, with the reference's outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    data = folder / "test_data_set_0"
    data.mkdir(exist_ok=True)
    outputs = reference(folder / "model.onnx", feeds)
    for kind, values in (("input", feeds), ("output", outputs)):
        for i, (name, array) in enumerate(values.items()):
            (data / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(array, name).SerializeToString())
