"""The command line; only the search, which runs it for each trial, imports it."""
