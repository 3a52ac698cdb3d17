"""From sound to words: waveform (decode), windows, transcript (join)."""
