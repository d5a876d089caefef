"""Client of omserve: builds models into offline models (OM), loads them on a cluster and runs them.

    import numpy as np, omserve

    with omserve.Client("127.0.0.1:7600") as client:
        client.build("model.onnx", "model.om", tensor_parallel=2, input_shapes={"input_ids": (1, 128)})
        client.load("model.om", name="mine")
        logits = client.run("mine", {"input_ids": np.zeros((1, 128), np.int64)})["logits"]

Every error of the service is an exception of this package that carries its status code: NotFound, InvalidArgument,
Unavailable and so on, all of them Error.
"""

from omserve.client import (BFloat16, BuildResult, Client, Cluster, Device, LoadResult, Model, Progress, Slice,
                            TensorDesc, Worker)
from omserve.errors import (Aborted, AlreadyExists, Cancelled, DataLoss, DeadlineExceeded, Error, FailedPrecondition,
                            Internal, InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted,
                            Unauthenticated, Unavailable, Unimplemented, Unknown)
from omserve.server import Server, ServerError

__all__ = [
    "Aborted", "AlreadyExists", "BFloat16", "BuildResult", "Cancelled", "Client", "Cluster", "DataLoss",
    "DeadlineExceeded", "Device", "Error", "FailedPrecondition", "Internal", "InvalidArgument", "LoadResult", "Model",
    "NotFound", "OutOfRange", "PermissionDenied", "Progress", "ResourceExhausted", "Server", "ServerError", "Slice",
    "TensorDesc", "Unauthenticated", "Unavailable", "Unimplemented", "Unknown", "Worker",
]
