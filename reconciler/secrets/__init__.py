"""Sources of secrets: one module each (SOURCE, resolve), named in the SOURCES tuple."""
