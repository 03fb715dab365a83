"""The collector, and the command `footfall`."""
