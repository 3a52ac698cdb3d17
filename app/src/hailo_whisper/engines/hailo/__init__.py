"""The engine for Hailo's NPUs: Whisper by HailoRT's genai API, or as an encoder and a decoder with the decoding on the host.

`engine` is what the worker loads, and it takes `genai` or `pair` by the model's files. `binding` opens the device for both, and `errors` has what
HailoRT's errors mean. `session` and `listening` are the genai API's; `networks`, `mel`, `vocabulary`, `rules` and `search` the pair's. See docs/hailo.md.
"""
