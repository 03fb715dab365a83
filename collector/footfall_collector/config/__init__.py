"""What an operator configures, from the file, the environment and the command line."""
