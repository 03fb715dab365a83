"""The table of signals says what OTLP's own descriptors say."""

import pytest

from footfall_collector.config.config import Config
from footfall_collector.decoding.decoder import Decoding
from footfall_collector.decoding.otlp_json.encode import ENCODERS
from footfall_collector.decoding.otlp_json.messages import PARTS
from footfall_collector.signals import SIGNALS
from footfall_processors import load_catalog

every = pytest.mark.parametrize("signal", SIGNALS.values(), ids=list(SIGNALS))


@every
def test_the_service_answers_with_the_response_and_its_field(signal):
    file = signal.response.DESCRIPTOR.file
    [service] = file.services_by_name.values()
    assert (service.full_name, list(service.methods_by_name)) == (signal.service, ["Export"])
    method = service.methods_by_name["Export"]
    assert method.output_type is signal.response.DESCRIPTOR
    partial = signal.response.DESCRIPTOR.fields_by_name["partial_success"].message_type
    assert {"error_message", signal.rejected} == set(partial.fields_by_name)


@every
def test_the_fields_are_those_of_a_request(signal):
    [service] = signal.response.DESCRIPTOR.file.services_by_name.values()
    message = service.methods_by_name["Export"].input_type
    for field in signal.fields:
        message = message.fields_by_name[field].message_type
    assert message.full_name.endswith(("Span", "Metric", "LogRecord"))


def test_every_signal_is_configured_decoded_and_read_as_json(tmp_path):
    path = tmp_path / "events.yaml"
    path.write_text("product: shop\nevents: {shop.order: {surface: web, feature: order}}\n")
    decoders = Decoding(load_catalog([str(path)]), {}).decoders(list(SIGNALS))
    assert [decoder.signal for decoder in decoders] == list(SIGNALS.values())
    assert tuple(SIGNALS) == Config.__dataclass_fields__["signals"].default
    assert set(SIGNALS) == set(PARTS) == set(ENCODERS)
