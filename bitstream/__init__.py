"""The .nic format: container, entropy coding, tables, latent planes; FORMAT.md is its normative description."""
