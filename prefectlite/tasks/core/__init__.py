"""Tasks that stand for values, operators and functions, at the paths that they had in Prefect 1."""
