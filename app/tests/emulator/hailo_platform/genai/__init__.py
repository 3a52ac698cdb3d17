"""What HailoRT has for models that generate; the language models are left out."""

from hailo_platform.pyhailort.pyhailort import Speech2Text, Speech2TextTask, VDevice

__all__ = ["Speech2Text", "Speech2TextTask", "VDevice"]
