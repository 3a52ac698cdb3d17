"""How the program lives among the other services of the machine: systemd, drop-ins, logs, child processes."""
