"""Time: closed forms of what each command takes, and the event simulation that puts them together.

`tensor`, `systolic`, `vector` and `dma` are pure functions of shapes; `scalesim` is another
simulator's closed form, for comparison.
"""
