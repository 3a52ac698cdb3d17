"""Who is served when: admission, the queue of windows, and the one task that feeds the engine from it."""
