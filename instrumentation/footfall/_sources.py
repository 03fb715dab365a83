"""The catalog that a program names; without OpenTelemetry, which nobody needs before he is asked."""

from os import PathLike

from footfall._settings import NO_CATALOG, ConfigurationError, Paths
from footfall_processors.catalog import Catalog
from footfall_processors.document import DocumentError
from footfall_processors.loading import load_catalog


def load(catalog: Catalog | Paths) -> Catalog:
    """A catalog from its files.

    Raises:
        ConfigurationError: with every mistake in every file.
    """
    if isinstance(catalog, Catalog):
        return catalog
    if not catalog:
        raise ConfigurationError([NO_CATALOG])
    paths = [catalog] if isinstance(catalog, str | PathLike) else list(catalog)
    try:
        return load_catalog([str(path) for path in paths])
    except DocumentError as error:
        raise ConfigurationError([str(mistake) for mistake in error.mistakes]) from error
