"""Parts of bench/accuracy.py: runs, results, goals and tables."""
