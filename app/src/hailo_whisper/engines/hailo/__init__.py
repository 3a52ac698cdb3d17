"""The engine for the Hailo-10H: Whisper as HailoRT's genai API runs it on the NPU.

`engine` is what the worker loads; `binding` is the one place that knows HailoRT's Python package, `errors` what its errors mean,
`hef` what is in a file for the device, and `listening` how nothing is lost where the device's decoder loses it. See docs/hailo.md.
"""
