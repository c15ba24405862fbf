import numpy as np

from gpusim.checking import SINGLE_ULP, assert_within

WRITES = ("velocities", "moved")
EXERCISES = ("MUFU.RSQ", "LDS.128", "STG.128")


def check(before, after, launches):
    n, step = launches[0].scalars
    step = float(np.float32(step))
    positions, velocities = before["positions"].astype(np.float64), before["velocities"].astype(np.float64)
    apart = positions[None, :, :3] - positions[:, None, :3]
    pull = positions[None, :, 3] * ((apart**2).sum(axis=2) + float(np.float32(1.0e-3))) ** -1.5
    forces = apart * pull[:, :, None]
    velocity = velocities.copy()
    velocity[:, :3] += forces.sum(axis=1) * step
    moved = positions.copy()
    moved[:, :3] += velocity[:, :3] * step
    # Per term: 3 x 2 ulp of the reciprocal square root and about 10 roundings; then n roundings of the running sum.
    bound = np.zeros_like(velocity)
    bound[:, :3] = (16 + n) * SINGLE_ULP * np.abs(forces).sum(axis=1) * step + SINGLE_ULP * np.abs(velocity[:, :3])
    moved_bound = bound * step + SINGLE_ULP * np.abs(moved)
    reason = "approximate reciprocal square root (2 ulp), contraction chosen by the compiler, n rounded additions"
    assert_within("velocities", after["velocities"], velocity, bound, reason)
    assert_within("moved", after["moved"], moved, moved_bound, reason)
