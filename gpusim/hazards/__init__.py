"""The hazard checker: control bits that let an instruction issue before an earlier one is done with its registers.

    check   the entry: `check_hazards(trace, config)`, and what would have been enough
    walk    the compiled walk over the streams of all warps

It needs a Trace, and of the model only the table of distances that scoreboards use (`gpusim.model.setup.dependence`):
no cycle is simulated, each warp's clock advances by its stall counts. `gpusim.results.hazards` is what it finds.
"""
