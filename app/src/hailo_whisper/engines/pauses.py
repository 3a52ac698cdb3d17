"""How many seconds lie between one look at something and the next, or between a question and its answer."""

PING = 5.0
"""Between two questions to an idle worker whether it still answers."""
ANSWER = 5.0
"""Until an idle worker has answered, at most."""
LOOK = 2.0
"""Between two looks at the models' folders, while there is no worker because of them, or another model's."""
ROOM = 0.1
"""Until it is asked again whether there is room in the memory now."""
DEVICE = 10.0
"""Until a device that was gone is looked for again, at most: it may come back by itself, where a broken model does not."""
SHORT = 30.0
"""Until a worker is started again, at most, that the kernel ended for want of memory: others may take less by then."""
BUSY = 1.0
"""Until a device is asked for again that somebody else has."""
BESIDE = 60.0
"""Until a device that is away is tried again, at most, while another engine serves in its place: nobody waits for it."""
HURRY = 15.0
"""Until another engine serves, while somebody waits for one that is slow to come up: half of what a request waits for a worker."""
