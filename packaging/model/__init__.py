"""The packages hailo-whisper-model-*: a model of the catalog as a Debian package, for machines that have no network."""
