"""Flows that ship with the package: to be run, read and copied."""
