"""Files that go along with this package: what `fleet monitor install` writes."""
