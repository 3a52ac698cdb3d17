"""Measures hailo-whisper beside its peers: the same clips, the same model, the same run."""
