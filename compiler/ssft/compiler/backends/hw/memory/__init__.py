"""What stays in the scratchpad, and the addresses of everything."""
