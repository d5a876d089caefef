"""Runs per second of a pipeline against one device, through real workers, with many requests in flight.

    bench_pipeline.py --bin BUILD/bin [--stages N] [--rounds N] [--model MODEL.onnx]

One worker process per stage, each with one thread, against one worker with one thread, in turns; both serve the same model to as
many callers at once. A ratio of the number of stages is the limit, when there are as many cores and nobody else needs them; the
callers and the coordinator do, so the share of the machine that was busy is printed too. What `omctl plan` says of the
cut is printed beside it: the share of the time its stages work. Also one caller alone, where a pipeline can only lose.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import omserve
import onnx
from onnx import numpy_helper


def mlp(path, width=1024, layers=16, rows=64):
    """Equal layers, so that stages can be equal."""
    random = np.random.default_rng(7)
    nodes, weights, x = [], [], "x"
    for i in range(layers):
        weight = (random.standard_normal((width, width)) / np.sqrt(width)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        nodes.append(onnx.helper.make_node("MatMul", [x, f"w{i}"], [f"h{i}"]))
        nodes.append(onnx.helper.make_node("Relu", [f"h{i}"], [f"y{i}"]))
        x = f"y{i}"
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(nodes, "mlp", [info("x", onnx.TensorProto.FLOAT, [rows, width])],
                                   [info(x, onnx.TensorProto.FLOAT, [rows, width])], weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)


def rate(client, inputs, callers, runs):
    """Runs per second of so many callers at once."""
    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: client.run("m", inputs, timeout=120), range(runs)))
        return runs / (time.perf_counter() - start)


def cpu_seconds():
    """Of the whole machine: at work, and in all."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK"), sum(fields) / os.sysconf("SC_CLK_TCK")


def busy_rate(client, inputs, callers, runs):
    """Runs per second, and how much of the machine was at work."""
    before = cpu_seconds()
    answer = rate(client, inputs, callers, runs)
    after = cpu_seconds()
    return answer, (after[0] - before[0]) / max(after[1] - before[1], 1e-9)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", help="default: a generated one of sixteen equal layers")
    parser.add_argument("--rows", type=int, default=64, help="of the generated one")
    parser.add_argument("--layers", type=int, default=16, help="of the generated one")
    arguments = parser.parse_args()
    os.environ["OMSERVE_BIN"] = arguments.bin
    stages = arguments.stages
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-pipeline-"))
    model = arguments.model
    if model is None:
        model = folder / "mlp.onnx"
        mlp(model, rows=arguments.rows, layers=arguments.layers)
    cluster = {
        "cluster": [{"cluster_nodes": [{"node_id": 0, "item_list": [{"item_id": i} for i in range(stages)]}]}],
        "item_def": [{"item_type": "cpu"}],
    }
    policy = {"graph_parallel_option": {"pipeline_parallel_option": {"pipe_stage_num": stages}}}
    (folder / "c.json").write_text(json.dumps(cluster))
    (folder / "p.json").write_text(json.dumps(policy))
    plan = subprocess.run([pathlib.Path(arguments.bin) / "omctl", "plan", model, "--cluster-config", folder / "c.json",
                           "--parallel", folder / "p.json", "--output", "json"], check=True, capture_output=True, text=True)
    simulated = json.loads(plan.stdout)["simulation"]

    worker = ["--device-threads", "1"]
    with omserve.Server.cluster(workers=0) as one, omserve.Server.cluster(workers=0) as cut:
        one.start_worker(1, arguments=worker)
        for _ in range(stages):
            cut.start_worker(1, arguments=worker)
        one.wait_for_workers(1)
        cut.wait_for_workers(stages)
        with one.client() as first, cut.client() as second:
            first.build(model, folder / "one.om")
            second.build(model, folder / "cut.om", cluster_config=cluster, parallel_config=policy)
            first.load(folder / "one.om", name="m")
            loaded = second.load(folder / "cut.om", name="m").model
            random = np.random.default_rng(1)
            inputs = {t.name: random.standard_normal(t.shape).astype(t.dtype) for t in loaded.inputs}
            np.testing.assert_allclose(*[list(c.run("m", inputs).values())[0] for c in (first, second)], 1e-4, 1e-5)
            for callers in (2 * stages + 2, 1):
                runs = 20 * callers
                for client in (first, second):
                    rate(client, inputs, callers, runs)
                rounds = [(busy_rate(first, inputs, callers, runs), busy_rate(second, inputs, callers, runs))
                          for _ in range(arguments.rounds)]
                medians = [[statistics.median(values) for values in zip(*side)] for side in zip(*rounds)]
                ratio = statistics.median(b[0] / a[0] for a, b in rounds)
                print(f"{callers} callers: one device {medians[0][0]:.1f} runs/s ({100 * medians[0][1]:.0f} % of the machine), "
                      f"{stages} stages {medians[1][0]:.1f} runs/s ({100 * medians[1][1]:.0f} %), "
                      f"ratio {ratio:.2f} (limit {stages if callers > 1 else 1})", flush=True)
    print("simulated: stages work", simulated["messages_beside_work"])


if __name__ == "__main__":
    main()
