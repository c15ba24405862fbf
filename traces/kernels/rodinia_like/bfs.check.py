import numpy as np

from gpusim.checking import assert_same

WRITES = ("levels", "visited")
EXERCISES = ("RED.ADD", "BRA", "LDG")


def check(before, after, launches):
    levels, visited = before["levels"].copy(), before["visited"].copy()
    frontier = [launches[0].scalars[0]]
    levels[frontier] = 0
    for launch in launches[1:]:
        level = launch.scalars[-1]
        visited[level] = len(frontier)
        edges = [np.arange(before["offsets"][i], before["offsets"][i] + before["degrees"][i]) for i in frontier]
        reached = before["neighbours"][np.concatenate(edges)] if edges else np.zeros(0, int)
        frontier = sorted({int(node) for node in reached if levels[node] < 0})
        levels[frontier] = level + 1
    assert_same("levels", after["levels"], levels)
    assert_same("visited", after["visited"], visited)
