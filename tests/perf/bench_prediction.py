"""Predicted against measured latency on our own workers.

    bench_prediction.py --bin BUILD/bin --models FOLDER [--processes 1 2 4] [--runs N]

For each number of worker processes (one device with one thread each): `omctl calibrate` measures them, `omctl plan --cost-file`
predicts models cut over them (tensor parallel, and pipeline), the same cut is built, loaded and run, and the lower quartile of the
time of a run, less that of a model with the same inputs and outputs and nothing to do, is compared with the prediction. Prints each, and the mean error.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import omserve
import onnx

MODELS = ["mnist_burn", "mnist_cntk", "stories260k", "use_lite_en", "ocr_cls", "ocr_det", "gpt2", "bert", "llama", "vit", "resnet50"]


# Seconds. The difference of two runs through the service says nothing of less.
SHORTEST = 1e-4


def nothing(path, feeds, outputs):
    """A model that does next to nothing, but takes and gives as much: what a run costs anyway."""
    node, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    constant = onnx.numpy_helper.from_array
    nodes, constants, ones = [], [constant(np.array([1], np.int64), "one")], []
    for i, (name, value) in enumerate(feeds.items()):
        for key, number in (("begin", 0), ("end", 1)):
            constants.append(constant(np.full(value.ndim, number, np.int64), f"{key}{i}"))
        ones.append(f"cast{i}")
        nodes += [node("Slice", [name, f"begin{i}", f"end{i}"], [f"first{i}"]), node("Reshape", [f"first{i}", "one"], [f"flat{i}"]),
                  node("Cast", [f"flat{i}"], [f"cast{i}"], to=onnx.TensorProto.FLOAT)]
    nodes.append(node("Sum", ones, ["sum"]))
    for i, shape in enumerate(outputs):
        constants.append(constant(np.zeros(shape, np.float32), f"zero{i}"))
        nodes.append(node("Add", ["sum", f"zero{i}"], [f"y{i}"]))
    inputs = [info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape) for name, value in feeds.items()]
    graph = onnx.helper.make_graph(nodes, "nothing", inputs,
                                   [info(f"y{i}", onnx.TensorProto.FLOAT, shape) for i, shape in enumerate(outputs)], constants)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)


def cluster(count):
    return {
        "cluster": [{"cluster_nodes": [{"node_id": n, "item_list": [{"item_id": 0}]} for n in range(count)]}],
        "item_def": [{"item_type": "cpu"}],
    }


def shapes_of(folder):
    """From the first data set, in omctl's form."""
    data = sorted((folder / "test_data_set_0").glob("input_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    names = [value.name for value in onnx.load(folder / "model.onnx", load_external_data=False).graph.input]
    feeds = {}
    for name, path in zip(names, data):
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        feeds[tensor.name or name] = onnx.numpy_helper.to_array(tensor)
    return feeds, ";".join(f"{name}:{','.join(map(str, value.shape))}" for name, value in feeds.items())


def lower_quartile(client, name, inputs, runs):
    times = []
    for i in range(runs + 2):
        start = time.perf_counter()
        client.run(name, inputs, timeout=300)
        if i >= 2:
            times.append(time.perf_counter() - start)
    return float(np.quantile(times, 0.25))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--models", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="+", default=MODELS)
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    os.environ["OMSERVE_BIN"] = arguments.bin
    omctl = pathlib.Path(arguments.bin) / "omctl"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-prediction-"))
    models = [m / name for m in arguments.models for name in arguments.only if (m / name / "model.onnx").exists()]
    every = []
    for count in arguments.processes:
        errors = []
        with omserve.Server.cluster(workers=0) as server:
            for _ in range(count):
                server.start_worker(1, arguments=["--device-threads", "1"])
            server.wait_for_workers(count)
            (folder / "c.json").write_text(json.dumps(cluster(count)))
            costs = folder / f"costs{count}.json"
            calibrated = subprocess.run([omctl, "calibrate", "--coordinator", server.address, "-o", costs],
                                        capture_output=True, text=True)
            if calibrated.returncode != 0:
                raise SystemExit(calibrated.stderr)
            with server.client() as client:
                for model in models:
                    feeds, shapes = shapes_of(model)
                    for layout in (["--tensor-parallel", count], ["--pipeline", count]) if count > 1 else (
                            ["--tensor-parallel", 1],):
                        common = [model / "model.onnx", "--cluster-config", folder / "c.json", "--input-shape", shapes,
                                  "--cost-file", costs, *map(str, layout)]
                        plan = subprocess.run([omctl, "plan", *common, "--output", "json"], capture_output=True, text=True)
                        if plan.returncode != 0:
                            print(f"{model.name} {layout}: {plan.stderr.strip()}")
                            continue
                        predicted = json.loads(plan.stdout)["simulation"]["seconds"]
                        subprocess.run([omctl, "build", *common, "-o", folder / "m.om", "--coordinator", server.address],
                                       check=True, capture_output=True, text=True)
                        loaded = client.load(folder / "m.om", name="m").model
                        measured = lower_quartile(client, "m", feeds, arguments.runs)
                        client.unload("m")
                        nothing(folder / "nothing.onnx", feeds, [tuple(output.shape) for output in loaded.outputs])
                        client.build(folder / "nothing.onnx", folder / "nothing.om")
                        client.load(folder / "nothing.om", name="nothing")
                        measured -= lower_quartile(client, "nothing", feeds, arguments.runs)
                        client.unload("nothing")
                        if measured < SHORTEST:
                            print(f"{count} processes, {model.name} {layout[0]} {layout[1]}: predicted {1e3 * predicted:.2f} ms, "
                                  f"too short to be told from an empty run (not in the mean)", flush=True)
                            continue
                        errors.append(abs(predicted / measured - 1))
                        print(f"{count} processes, {model.name} {layout[0]} {layout[1]}: predicted {1e3 * predicted:.2f} ms, "
                              f"measured {1e3 * measured:.2f} ms ({100 * (predicted / measured - 1):+.0f} %)", flush=True)
        print(f"{count} processes: mean error of {len(errors)}: {100 * np.mean(errors):.1f} %, "
              f"median {100 * np.median(errors):.1f} %", flush=True)
        every += errors
    print(f"mean error of all {len(every)}: {100 * np.mean(every):.1f} %, median {100 * np.median(every):.1f} %")


if __name__ == "__main__":
    main()
