"""OpenClaw Deploy: keeps a fleet of OpenClaw gateways as one file says. The map of this package is its README.md."""

__version__ = "0.1.0"
