"""Serves the exported sentence encoder on two devices and compares sentences: what scripts/quickstart runs.

    compare_sentences.py --bin BUILD/bin --model MINILM.onnx --tokenizer TOKENIZER.json [SENTENCE ...]
"""

import argparse
import pathlib
import tempfile

import numpy as np
import omserve
from tokenizers import Tokenizer

SENTENCES = [
    "A man is eating food.",
    "Someone is having a meal.",
    "The stock market fell sharply today.",
    "Shares lost a lot of value this afternoon.",
    "How do I bake sourdough bread?",
    "A recipe for a loaf with natural yeast.",
]
LENGTH = 32


def tokens(path, sentences):
    """input_ids and attention_mask, [sentences, LENGTH] each."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_padding(length=LENGTH)
    tokenizer.enable_truncation(LENGTH)
    encoded = tokenizer.encode_batch(sentences)
    return {"input_ids": np.array([e.ids for e in encoded], dtype=np.int64),
            "attention_mask": np.array([e.attention_mask for e in encoded], dtype=np.int64)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of omserved")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    arguments = parser.parse_args()
    inputs = tokens(arguments.tokenizer, arguments.sentences)
    shapes = {name: list(array.shape) for name, array in inputs.items()}

    print(f"starting omserved standalone with {arguments.devices} CPU devices")
    with omserve.Server.standalone(devices=arguments.devices, bin=str(arguments.bin)) as server, \
            server.client() as client, tempfile.TemporaryDirectory() as folder:
        om = pathlib.Path(folder) / "minilm.om"
        result = client.build(arguments.model, om, input_shapes=shapes, tensor_parallel=arguments.devices)
        print(f"built {om.name} ({om.stat().st_size / 1e6:.1f} MB): {result.plan}")
        client.load(om, name="minilm")
        for model in client.models():
            for piece in model.slices:
                print(f"  {piece.name} on device {piece.device} of worker {piece.worker}: "
                      f"{piece.weight_bytes / 1e6:.1f} MB of weights")
        embeddings = client.run("minilm", inputs)["sentence_embedding"]

    scores = embeddings @ embeddings.T
    print("\nhow alike the sentences are (1 = same meaning)")
    for i, sentence in enumerate(arguments.sentences):
        row = "".join(f"{score:6.2f}" for score in scores[i])
        print(f"{row}   {sentence}")
    np.fill_diagonal(scores, -1)
    print("\nclosest to each")
    for i, sentence in enumerate(arguments.sentences):
        print(f"  {sentence}  ~  {arguments.sentences[int(scores[i].argmax())]}")


if __name__ == "__main__":
    main()
