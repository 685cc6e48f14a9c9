"""One training configuration per file, each a `CONFIG`."""
