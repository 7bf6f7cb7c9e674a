"""Adapters to clouds: one module each, behind the Cloud port."""
