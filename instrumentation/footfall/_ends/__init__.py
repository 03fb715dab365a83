"""How a process ends or is doubled: signals, exits, forks."""
