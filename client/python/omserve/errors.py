"""Status codes of the service as exceptions. docs/errors.md says what each means and whether to retry."""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator, Type

import grpc


class Error(Exception):
    """A call that the service (or the connection to it) did not complete."""

    code: str = "UNKNOWN"
    """The status code's name: "NOT_FOUND"."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Cancelled(Error):
    """The call was given up by its caller."""

    code = "CANCELLED"


class Unknown(Error):
    """A failure without a known cause."""

    code = "UNKNOWN"


class InvalidArgument(Error):
    """What was sent can never be right: a damaged model, a wrong input; the message says what is expected."""

    code = "INVALID_ARGUMENT"


class DeadlineExceeded(Error):
    """The timeout passed first; the work has been given up everywhere."""

    code = "DEADLINE_EXCEEDED"


class NotFound(Error):
    """There is no such model; the message lists those there are."""

    code = "NOT_FOUND"


class AlreadyExists(Error):
    """The name is in use by another model."""

    code = "ALREADY_EXISTS"


class PermissionDenied(Error):
    """Not allowed, as a path that leaves its folder."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(Error):
    """A queue is full, or a model does not fit; the message says what is needed and what there is."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(Error):
    """Something else has to happen first."""

    code = "FAILED_PRECONDITION"


class Aborted(Error):
    """Another device of the run failed; the message names the first cause."""

    code = "ABORTED"


class OutOfRange(Error):
    """Past the end of something."""

    code = "OUT_OF_RANGE"


class Unimplemented(Error):
    """Not supported; for an operator the message names it and its node."""

    code = "UNIMPLEMENTED"


class Internal(Error):
    """A bug of the service."""

    code = "INTERNAL"


class Unavailable(Error):
    """Nobody answers, the model is not ready, or a worker was lost during the run: safe to try again."""

    code = "UNAVAILABLE"


class DataLoss(Error):
    """Content that does not match its digest."""

    code = "DATA_LOSS"


class Unauthenticated(Error):
    """The service does not know who is asking."""

    code = "UNAUTHENTICATED"


_BY_CODE: Dict[str, Type[Error]] = {error.code: error for error in Error.__subclasses__()}


def from_rpc_error(error: grpc.RpcError) -> Error:
    """The exception for what a gRPC call raised."""
    return _BY_CODE.get(error.code().name, Unknown)(error.details() or "")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raises what gRPC calls raise within as this package's exceptions."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None
