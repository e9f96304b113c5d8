"""Parts of bench/realism.py."""
