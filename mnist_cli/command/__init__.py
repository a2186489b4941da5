"""The command line; no other package imports it."""
