"""Which data made which model: manifests inside artefacts, run notes beside them, the bridge of the two engines."""
