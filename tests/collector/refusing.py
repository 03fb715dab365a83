"""Both listeners before a store that refuses, in a process that never collects cycles.

`python refusing.py MIB`: so large may a request be. It prints the ports of gRPC and HTTP, and ends with its
standard input.
"""

import asyncio
import gc
import sys
import tempfile
from pathlib import Path

from footfall_collector.config.schema import AdmissionConfig, GrpcConfig, HttpConfig
from footfall_collector.decoding import turns
from footfall_collector.decoding.decoder import Decoding
from footfall_collector.receivers import bodies, grpc, grpc_reader, http
from footfall_collector.receivers.admission import Gate
from footfall_collector.receivers.intake import Intake
from footfall_exporters.contracts import Rejected, Unavailable
from footfall_processors import Catalog, load_catalog

CATALOG = """
product: shop
events:
  shop.order: {surface: web, feature: order}
"""


async def consume(batch):
    """Fails as the service's name says; the error comes through a future, as a writer's does."""
    ((_, dimension), *_) = batch.counts
    errors = {
        "rejected": Rejected("no"),
        "unavailable": Unavailable("later"),
        "fault": ValueError(),
    }
    done = asyncio.get_running_loop().create_future()
    done.set_exception(errors[dimension.service])
    try:
        await done
    finally:
        del done


def catalog() -> Catalog:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.yaml")
        path.write_text(CATALOG)
        return load_catalog(path)


async def serve(decoding: Decoding, most: int) -> None:
    decoders = decoding.decoders(["traces"])
    intake = Intake(consume, Gate(AdmissionConfig(request_limit_mib=128)))
    grpc_config = GrpcConfig(endpoint="127.0.0.1:0", max_recv_msg_size_mib=most)
    http_config = HttpConfig(endpoint="127.0.0.1:0", max_request_body_size=most * 2**20)
    async with (
        grpc.serve(grpc_config, intake, decoders) as rpc,
        http.serve(http_config, intake, decoders) as web,
    ):
        print(*(address.rpartition(":")[2] for address in (rpc, web)), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    gc.disable()
    most = int(sys.argv[1])
    # What is large takes longer to be read away, and nobody else is here to whom work would leave turns.
    bodies.FIRST_S, bodies.CHUNK_S = 1.0, 0.2
    bodies.UNREAD_S = 2.0 if most > 16 else 0.2
    turns.LONG_S = turns.STRETCH_S = float("inf")
    grpc_reader.SILENT_S = 0.3
    asyncio.run(serve(Decoding(catalog(), {}, "", b"k" * 32), most))
