"""What the two processes of a loaded model know of each other."""

import struct

RATE = 16000
LENGTH = struct.Struct("<I")
