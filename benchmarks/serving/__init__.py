"""The service under load and faults: how fast it answers, and what a fault costs who asks."""
