"""The real thing, offline: a Hetzner Cloud emulator, real machines, and stand-ins for Telegram and the model.

Imports of the product only errors, model and commands; only wiring, cli and tests import it.
"""
