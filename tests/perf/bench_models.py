"""Latency of models on omserve's CPU devices against ONNX Runtime, in alternating runs.

    bench_models.py --bin BUILD/bin [--models FOLDER ...] [--only NAME ...] [--rounds N]

For each model: one device with 1 and with 2 threads against ONNX Runtime with as many, and two devices with one thread
each (tensor parallel 2) against ONNX Runtime with two. A ratio above 1 means omserve is faster. Both sides run in their
own process, take turns in small batches, and the medians are compared, so that a busy machine slows both.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import time

import onnx
import onnxruntime


class Ours:
    """A model_bench process."""

    def __init__(self, binary, model, shapes, devices, threads):
        command = [binary, model, "--tensor-parallel", str(devices), "--threads", str(threads)]
        if shapes:
            command += ["--input-shape", ";".join(f"{n}:{','.join(map(str, s))}" for n, s in shapes.items())]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env=dict(os.environ, OMP_WAIT_POLICY="passive"))  # as omserved sets it
        ready = self.process.stdout.readline()
        if not ready.startswith("ready"):
            raise RuntimeError(self.process.stderr.read().strip())

    def run(self, count):
        self.process.stdin.write(f"run {count}\n")
        self.process.stdin.flush()
        return [float(x) for x in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    """ONNX Runtime with a number of threads."""

    def __init__(self, model, feeds, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Idle threads that spin would slow the other side down.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.feeds = feeds

    def run(self, count):
        times = []
        for _ in range(count):
            start = time.perf_counter()
            self.session.run(None, self.feeds)
            times.append((time.perf_counter() - start) * 1e3)
        return times


def feeds_of(folder):
    """The inputs of the first data set, by name; names come from the graph's real inputs, in order."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    weights = {t.name for t in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in weights]
    feeds = {}
    for i, name in enumerate(names):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((folder / "test_data_set_0" / f"input_{i}.pb").read_bytes())
        feeds[name] = onnx.numpy_helper.to_array(tensor)
    return feeds


def compare(name, folder, binary, devices, threads, rounds):
    feeds = feeds_of(folder)
    shapes = {n: list(a.shape) for n, a in feeds.items()}
    try:
        ours = Ours(binary, folder / "model.onnx", shapes, devices, threads)
    except RuntimeError as error:
        print(f"{name:<24} {devices} x {threads}      {error}")
        return
    peer = Peer(folder / "model.onnx", feeds, devices * threads)
    batch = 1
    for side in (ours, peer):
        warm = side.run(3)
        batch = max(batch, min(50, int(100 / max(min(warm), 0.01))))
    a, b = [], []
    for _ in range(rounds):
        a += ours.run(batch)
        b += peer.run(batch)
    ours.close()
    ratio = statistics.median(b) / statistics.median(a)
    print(f"{name:<24} {devices} x {threads} {statistics.median(a):10.3f} {min(a):9.3f} {statistics.median(b):10.3f} "
          f"{min(b):9.3f} {ratio:7.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, nargs="*", default=[], help="folders of model folders")
    parser.add_argument("--only", nargs="*", help="names of models to run")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'model':<24} dev x thr   ours med      best  onnxrt med      best   ratio   (ms; ratio > 1: omserve faster)")
    for root in arguments.models:
        for folder in sorted(p.parent for p in root.glob("*/model.onnx")):
            if arguments.only and folder.name not in arguments.only:
                continue
            for devices, threads in ((1, 1), (1, 2), (2, 1)):
                compare(folder.name, folder, arguments.bin / "model_bench", devices, threads, arguments.rounds)


if __name__ == "__main__":
    main()
