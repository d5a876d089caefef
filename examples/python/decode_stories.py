"""Decodes a story greedily with a small Llama-type model, cut tensor-parallel over two worker processes.

Starts a coordinator and two workers on this machine, builds the model for them, and predicts one token after the other:
every step is one run of both workers. The model's folder holds model.onnx, tok512.bin and, if the text is known,
greedy_text.txt to compare with.

    OMSERVE_BIN=build/release/bin python examples/python/decode_stories.py FOLDER
    OMSERVE_BIN=... OMSERVE_MODELS=MODELS python examples/python/decode_stories.py      # MODELS/stories260k
"""

import argparse
import os
import pathlib
import re
import struct
import sys
import tempfile
import time

import numpy as np

import omserve

BOS = 1
SEQUENCE = 256  # what the model is built for; shorter prefixes are padded on the right, which causal attention never sees


class Tokenizer:
    """The vocabulary of a llama2.c tokenizer file: int32 longest token, then per token float32 score, int32 length,
    bytes."""

    def __init__(self, path: pathlib.Path):
        data = path.read_bytes()
        self._pieces = []
        position = 4
        while position < len(data):
            _, length = struct.unpack_from("<fi", data, position)
            position += 8
            self._pieces.append(data[position:position + length])
            position += length

    def decode(self, ids: list) -> str:
        text = b""
        for previous, token in zip(ids, ids[1:]):
            piece = self._pieces[token]
            if previous == BOS and piece.startswith(b" "):
                piece = piece[1:]
            raw = re.fullmatch(rb"<0x([0-9A-F]{2})>", piece)
            text += bytes([int(raw.group(1), 16)]) if raw else piece
        return text.decode("utf-8", "replace")


def decode_greedily(client: omserve.Client, model: str, count: int) -> list:
    """`count` tokens after BOS, each the most likely one."""
    ids = [BOS]
    while len(ids) <= count:
        padded = np.zeros((1, SEQUENCE), np.int64)
        padded[0, :len(ids)] = ids
        logits = client.run(model, {"input_ids": padded}, timeout=60)["logits"]
        ids.append(int(logits[0, len(ids) - 1].argmax()))
    return ids


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = os.environ.get("OMSERVE_MODELS")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="folder of the model (default: in OMSERVE_MODELS)",
                        default=pathlib.Path(models) / "stories260k" if models else None)
    parser.add_argument("--tokens", type=int, default=200, help="how many to decode (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.folder is None:
        parser.error("name the folder of the model, or set OMSERVE_MODELS")
    if not 0 < arguments.tokens < SEQUENCE:
        parser.error(f"--tokens: expected 1 to {SEQUENCE - 1}")

    with tempfile.TemporaryDirectory() as work, omserve.Server.cluster(workers=2) as server, server.client() as client:
        om = os.path.join(work, "stories.om")
        client.build(arguments.folder / "model.onnx", om, name="stories", tensor_parallel=2,
                     input_shapes={"input_ids": (1, SEQUENCE)})
        loaded = client.load(om)
        for placed in loaded.model.slices:
            print(f"{placed.name}: worker {placed.worker}, {placed.weight_bytes / 1024:.0f} KiB of weights",
                  file=sys.stderr)
        start = time.monotonic()
        ids = decode_greedily(client, loaded.model.name, arguments.tokens)
        seconds = time.monotonic() - start
    text = Tokenizer(arguments.folder / "tok512.bin").decode(ids)
    print(text)
    print(f"{arguments.tokens} tokens in {seconds:.2f} s ({arguments.tokens / seconds:.0f} tokens/s)", file=sys.stderr)

    expected = arguments.folder / "greedy_text.txt"
    if arguments.tokens == 200 and expected.exists():
        if text != expected.read_text(encoding="utf-8"):
            print(f"this is not the text of {expected}", file=sys.stderr)
            return 1
        print(f"this is the text of {expected.name}, letter for letter", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
