"""Parts of bench/accuracy.py: tables, and the scaling of the cost."""
