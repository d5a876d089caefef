"""Makes omserve/v1/*_pb2*.py from the .proto files of the repository. Does nothing where they are newer already.

    python client/python/generate.py
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROTOS = HERE.parent.parent / "protos"
NAMES = ("common", "build", "model", "run", "cluster")


def generate() -> None:
    sources = [PROTOS / "omserve" / "v1" / f"{name}.proto" for name in NAMES]
    made = [HERE / "omserve" / "v1" / f"{name}{suffix}" for name in NAMES
            for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")]
    newest_source = max(path.stat().st_mtime for path in (*sources, pathlib.Path(__file__)))
    if all(path.exists() and path.stat().st_mtime > newest_source for path in made):
        return
    from grpc_tools import protoc  # needed only where something is to be made

    arguments = ["protoc", f"-I{PROTOS}", f"--python_out={HERE}", f"--pyi_out={HERE}", f"--grpc_python_out={HERE}"]
    if protoc.main([*arguments, *map(str, sources)]) != 0:
        sys.exit("generate.py: protoc failed")


if __name__ == "__main__":
    generate()
