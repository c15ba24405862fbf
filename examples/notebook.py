"""What a notebook does, as a script: load a card and a trace, run, look at the frames, sweep a parameter, plot."""

import matplotlib.pyplot as plt

import gpusim

card = gpusim.load_config("a6000", ["register_file.read_ports=2"])
trace = gpusim.open_trace("ampere/sgemm")
result = gpusim.simulate(trace, card)
print(result.to_frame()[["kernel", "cycles", "ipc", "occupancy"]])
print(result.kernels[0].pc_frame().nlargest(5, "stall_long_scoreboard")[["pc", "text", "stall_long_scoreboard"]])

sweep = gpusim.sweep(trace, card, {"fetch.stream_buffer_lines": [0, 2, 4, 8]})
frame = sweep.to_frame()
frame.plot.bar("fetch.stream_buffer_lines", "cycles", ylabel=frame.attrs["units"]["cycles"], legend=False)
plt.savefig("stream_buffer.png", bbox_inches="tight")
