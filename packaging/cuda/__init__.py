"""The package hailo-whisper-cuda: the libraries of CUDA that the service needs on an NVIDIA GPU, out of NVIDIA's wheels."""
