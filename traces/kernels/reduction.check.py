from gpusim.checking import add_in_order, assert_same, fold_halves, grid_stride

WRITES = ("partial", "total")
EXERCISES = ("LDS", "STS", "BAR", "BSSY", "BSYNC")


def check(before, after, launches):
    values, results = before["in"], []
    for launch in launches:
        (n,) = launch.scalars
        per_thread = add_in_order(grid_stride(values[:n], launch.threads))
        values = fold_halves(per_thread.reshape(launch.grid[0], launch.block[0]))
        results.append(values)
    partial = before["partial"].copy()
    partial[: len(results[0])] = results[0]
    assert_same("partial", after["partial"], partial)
    assert_same("total", after["total"], results[1])
