"""Values to text: terminal, JSON. Pure. All text that came from a host is escaped here, and nowhere else."""
