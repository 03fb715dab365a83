"""What a program's user agreed to, and what is kept on their machine."""
