"""The command line. Knows flows, places to run and what to print; decides nothing about tasks."""
