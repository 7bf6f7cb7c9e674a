"""Where backups are kept: a directory, or a bucket of S3-compatible storage. Each implements ports.Vault."""
