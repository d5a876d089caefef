"""A service in the test's own process that answers as a test tells it to, over a real connection."""

from concurrent import futures

import grpc

from omserve.v1 import (build_pb2, build_pb2_grpc, cluster_pb2, cluster_pb2_grpc, model_pb2, model_pb2_grpc, run_pb2,
                        run_pb2_grpc)


class FakeService(build_pb2_grpc.BuildServiceServicer, model_pb2_grpc.ModelServiceServicer,
                  run_pb2_grpc.RunServiceServicer, cluster_pb2_grpc.ClusterServiceServicer):
    """Set `on_run` and the others to what a call should do: (request, context) → response."""

    def __init__(self):
        self.reset()
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
        for add in (build_pb2_grpc.add_BuildServiceServicer_to_server, model_pb2_grpc.add_ModelServiceServicer_to_server,
                    run_pb2_grpc.add_RunServiceServicer_to_server,
                    cluster_pb2_grpc.add_ClusterServiceServicer_to_server):
            add(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def reset(self):
        self.on_run = self.on_build = self.on_describe = None
        self.need = lambda options: []
        self.load_end = lambda context: None
        self.build_options = None
        self.load_options = None
        self.received = {}

    def stop(self):
        self._server.stop(None).wait()

    def _receive(self, request):
        if request.HasField("file"):
            self._current = request.file.name
            self.received[self._current] = b""
        if request.HasField("chunk"):
            self.received[self._current] += request.chunk

    def Run(self, request, context):
        return self.on_run(request, context)

    def DescribeCluster(self, request, context):
        return self.on_describe(request, context) if self.on_describe else cluster_pb2.DescribeClusterResponse()

    def Unload(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, f"no model '{request.name}'; loaded: a, b")

    def ListModels(self, request, context):
        return model_pb2.ListModelsResponse(models=[model_pb2.ModelStatus(
            name="m", state=model_pb2.MODEL_STATE_READY, slices=[model_pb2.SlicePlacement(slice="m_rank0", worker="w")])])

    def Build(self, requests, context):
        for request in requests:
            if request.HasField("options"):
                self.build_options = request.options
            self._receive(request)
        yield from self.on_build(context)

    def Load(self, requests, context):
        for request in requests:
            if request.HasField("options"):
                self.load_options = request.options
                yield model_pb2.LoadResponse(need=model_pb2.NeedFiles(sha256=self.need(request.options)))
            self._receive(request)
        self.load_end(context)
        yield model_pb2.LoadResponse(result=model_pb2.LoadResult(
            model=model_pb2.ModelStatus(name="m", state=model_pb2.MODEL_STATE_READY), bytes_pushed=7))
