"""Streaming schedules: steps that are larger than the device's memory.

step.py       a step as segments and the tensors that they use; optimizer on the host, MeZO
plan.py       from a compiled plan
machine.py    memories and links, from a file or the command line
gaps.py       when a tensor need not be on the device, and when it stays all the same
homes.py      host or SSD
timeline.py   the schedule, by running it
search.py     how much of the memory is for what stays
bound.py      what no schedule can beat
check.py      whether a schedule can be carried out
"""
