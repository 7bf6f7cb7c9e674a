"""Sources of secrets: one module each (SOURCE, resolve), named in the SOURCES tuple of references.py.

`resolve(locator, base_dir, environ)` gives the value or raises SecretError. Nothing here logs, prints or repeats a
value; errors name the reference only.
"""
