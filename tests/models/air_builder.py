"""Writes AIR files (ge.proto.ModelDef) as front ends of CANN do: for tests.

    air = AirBuilder(proto_module(folder), "slice0")
    x = air.data("x", [2, 4])
    y = air.op("MatMulV2", [x, air.const("w", array)], [2, 4], transpose_x1=False, transpose_x2=False)
    air.save(path, [y])
"""

import importlib
import pathlib
import sys

import numpy as np

PROTOS = pathlib.Path(__file__).resolve().parents[2] / "protos"


def proto_module(folder):
    """The Python module of protos/ge/ge_ir.proto, generated in `folder`."""
    from grpc_tools import protoc

    assert protoc.main(["protoc", f"-I{PROTOS}", f"--python_out={folder}", str(PROTOS / "ge" / "ge_ir.proto")]) == 0
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("ge.ge_ir_pb2")
    finally:
        sys.path.remove(str(folder))


class AirBuilder:
    """float32, but for int64 constants. Values are "name:output"."""

    def __init__(self, proto, name):
        self.proto = proto
        self.model = proto.ModelDef(name=name, version=1)
        self.graph = self.model.graph.add(name=name)
        self.descs = {}

    def _desc(self, desc, shape, dtype=np.float32):
        desc.dtype = self.proto.DT_INT64 if dtype == np.int64 else self.proto.DT_FLOAT
        desc.layout = "ND"
        desc.shape.dim.extend(shape)

    def _op(self, kind, name, inputs, shape):
        op = self.graph.op.add(name=name, type=kind)
        for value in inputs:
            op.input.append(value)
            op.input_desc.add().CopyFrom(self.descs[value])
        if shape is None:
            return op, ""
        self._desc(op.output_desc.add(), shape)
        self.descs[f"{name}:0"] = op.output_desc[0]
        return op, f"{name}:0"

    def data(self, name, shape):
        op, value = self._op("Data", name, [], shape)
        op.attr["index"].i = len(self.graph.input)
        self.graph.input.append(value)
        return value

    def const(self, name, array):
        array = np.ascontiguousarray(array, np.int64 if array.dtype == np.int64 else np.float32)
        op, value = self._op("Const", name, [], None)
        for desc in (op.output_desc.add(), op.attr["value"].t.desc):
            self._desc(desc, array.shape, array.dtype)
        value = f"{name}:0"
        self.descs[value] = op.output_desc[0]
        op.attr["value"].t.data = array.tobytes()
        return value

    def op(self, kind, inputs, shape, **attributes):
        """`shape` None: an operator without outputs."""
        op, value = self._op(kind, f"{kind.lower()}_{len(self.graph.op)}", inputs, shape)
        for key, attribute in attributes.items():
            if isinstance(attribute, bool):
                op.attr[key].b = attribute
            elif isinstance(attribute, int):
                op.attr[key].i = attribute
            elif isinstance(attribute, str):
                op.attr[key].s = attribute.encode()
            elif isinstance(attribute, list):
                op.attr[key].list.i.extend(attribute)
                op.attr[key].list.val_type = self.proto.AttrDef.ListValue.VT_LIST_INT
        return value

    def save(self, path, outputs):
        op, _ = self._op("NetOutput", "Node_Output", outputs, None)
        for value in outputs:
            self.graph.output.append(value)
        op.output_desc.extend(op.input_desc)
        path.write_bytes(self.model.SerializeToString())
