"""The real command against the emulator and simulated machines, in a network of its own: killed, cut off, refused."""
