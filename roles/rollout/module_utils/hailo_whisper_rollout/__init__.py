"""What a roll-out keeps of a machine and puts back: the parts of the module hailo_whisper_rollout."""
