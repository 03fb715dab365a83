"""A writer of ProtoJSON of its own, which follows the official descriptors and draws a form of each field."""

import base64
import json
import math
import random

from google.protobuf.descriptor import FieldDescriptor as Field

from support.otlp import REQUESTS

IDS = {"trace_id", "span_id", "parent_span_id"}
INT64 = {Field.TYPE_INT64, Field.TYPE_UINT64, Field.TYPE_FIXED64, Field.TYPE_SFIXED64}
INT32 = {Field.TYPE_INT32, Field.TYPE_UINT32, Field.TYPE_FIXED32}
UNKNOWN = [None, 5, "x", [1, {"a": None}], {"a": [[]]}, 1e300, True, {"": {"": ""}}]


class Writer:
    """Writes messages as ProtoJSON, each field in a form that is drawn."""

    def __init__(self, seed):
        self.draw = random.Random(seed)

    def message(self, message):
        said = {field.name: (field, value) for field, value in message.ListFields()}
        pairs = [(self.name(f), self.field(f, value)) for f, value in said.values()]
        absent = [f for f in message.DESCRIPTOR.fields if f.name not in said]
        in_oneof = {f.containing_oneof for f, _ in said.values()} - {None}
        for field in absent:
            if field.containing_oneof not in in_oneof and self.draw.random() < 0.1:
                pairs.append((self.name(field), None))
        if self.draw.random() < 0.2:
            pairs.append((self.draw.choice(["new", "newField", "_"]), self.draw.choice(UNKNOWN)))
        self.draw.shuffle(pairs)
        return dict(pairs)

    def name(self, field):
        return self.draw.choice([field.json_name, field.json_name, field.name])

    def field(self, field, value):
        if field.is_repeated:
            return [self.one(field, each) for each in value]
        return self.one(field, value)

    def one(self, field, value):
        if field.type == Field.TYPE_MESSAGE:
            return self.message(value)
        if field.type == Field.TYPE_ENUM:
            known = field.enum_type.values_by_number.get(value)
            return self.draw.choice([known.name, value] if known else [value, str(value)])
        if field.type in INT64 | INT32:
            return self.integer(value)
        if field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
            return self.double(value)
        if field.type == Field.TYPE_BYTES:
            return self.bytes(field, value)
        return value

    def integer(self, value):
        forms = [value, str(value)]
        if abs(value) < 2**53:
            forms += [float(value), f"{value}.0", f"{value}e0", f"{value}0E-1"]
        return self.draw.choice(forms)

    def double(self, value):
        if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        whole = [int(value)] if value == int(value) and abs(value) < 2**53 else []
        return self.draw.choice([value, repr(value), *whole])

    def bytes(self, field, value):
        if field.name in IDS:
            return self.draw.choice([value.hex(), value.hex().upper()])
        encode = self.draw.choice([base64.b64encode, base64.urlsafe_b64encode])
        return encode(value).decode().rstrip("=" if self.draw.random() < 0.5 else "")

    def text(self, value):
        written = json.dumps(
            value,
            ensure_ascii=self.draw.random() < 0.5,
            indent=self.draw.choice([None, None, 1, "\t\r"]),
            separators=self.draw.choice([(",", ":"), (" , ", " : "), ("\n,", "\r:\t")]),
        ).encode()
        return self.draw.choice([b"", b"\xef\xbb\xbf"]) + written + self.draw.choice([b"", b" \n"])


def written(signal, body, seed):
    writer = Writer(seed)
    return writer.text(writer.message(REQUESTS[signal].FromString(body)))
