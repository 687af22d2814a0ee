"""The bridge between what the user declared and what a cluster runs. Knows both, and no executor."""
