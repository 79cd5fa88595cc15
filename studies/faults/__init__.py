"""What `studies/reliability.py` does to the library: interrupts, kills, full disks, threads."""
