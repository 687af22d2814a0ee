"""The driver: one loop between the engine and a place to run. Knows all rooms below; draws nothing."""
