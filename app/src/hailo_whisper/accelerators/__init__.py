"""What this machine has to transcribe with, and whether it can be used. Reading only; each `root` is where the file system begins.

It knows nothing of settings and models; `cli/engines.py` decides by what it says.
"""
