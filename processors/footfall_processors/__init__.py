"""Footfall's privacy rules: pure functions that decide what may be kept. No I/O but reading a catalog.

A catalog (`load_catalog`) is compiled to a `Policy`; a policy turns what was sent into a `Batch`.
"""

from footfall_processors.atoms import Atom, Role, Service, Verdict
from footfall_processors.batch import Batch, Counts, Delta, Dimension, Point, Rows, Shape
from footfall_processors.catalog import Attribute, Catalog, Drop, Event, Hash, Type, column_name
from footfall_processors.document import DocumentError, Mistake
from footfall_processors.error_types import ERROR_TYPES, error_type, normalise
from footfall_processors.errors import OperatorError
from footfall_processors.hashing import SaltError, keyed_hash, period, static_salts
from footfall_processors.loading import load_catalog, needs_static_salt
from footfall_processors.losses import REJECTED, Loss
from footfall_processors.matching import Match, Matcher
from footfall_processors.policy import Policy
from footfall_processors.redaction import redact
from footfall_processors.values import Value, clean, hashable, safe_text

__all__ = [
    "ERROR_TYPES", "REJECTED", "Atom", "Attribute", "Batch", "Catalog", "Counts", "Delta", "Dimension",
    "DocumentError", "Drop", "Event", "Hash", "Loss", "Match", "Matcher", "Mistake", "OperatorError",
    "Point", "Policy", "Role", "Rows", "SaltError", "Service", "Shape", "Type", "Value", "Verdict",
    "clean", "column_name", "error_type", "hashable", "keyed_hash", "load_catalog", "needs_static_salt",
    "normalise", "period", "redact", "safe_text", "static_salts",
]  # fmt: skip
