"""What single instructions do, stated a second time: plain Python on one lane's words, nothing shared with the emulator.

One module per group; each has DRAWS, functions that draw a random instruction with its meaning (see draw.py).
"""
