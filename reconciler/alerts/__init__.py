"""Where alerts go: adapters. `delivery` is the only module that knows apprise."""
