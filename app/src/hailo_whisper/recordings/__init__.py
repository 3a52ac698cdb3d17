"""Many recordings at once, from files to files: what `hailo-whisper transcribe` does, with a server or without one."""
