"""Options, stack and loop: from a command line to what was learned."""
