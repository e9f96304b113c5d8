"""What bench/accuracy.py prints: tables, and the measurement of how cost grows."""
