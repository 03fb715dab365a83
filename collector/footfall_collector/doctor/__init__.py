"""What is looked at, and what to do about it: the command `footfall doctor`."""
