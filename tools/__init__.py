"""What is generated from the command tree: man pages and completions."""
