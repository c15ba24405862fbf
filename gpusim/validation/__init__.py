"""Published measurements beside what the model gives. The numbers are data, in `validation/*/*.yaml`.

    experiments, runner, measures, report           `gpusim validate paper`: small programs, one per row of a table
    memory_data, memory_programs, memory, memory_report     `gpusim validate memory`: curves over sizes
    ablations, ablation_report                      `gpusim validate ablations`: the paper's alternatives
    sampling                                        `gpusim validate sampling`: sampled runs beside whole ones

Each reads its data, builds what has to run, simulates, and prints the measured beside the simulated value.
"""
