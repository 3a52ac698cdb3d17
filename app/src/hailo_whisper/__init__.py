"""A private, OpenAI-compatible speech service for Hailo, NVIDIA and plain CPU machines."""

__version__ = "0.1.0"
